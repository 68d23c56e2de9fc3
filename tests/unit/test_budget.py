"""Budget: excess is empty exactly when every limit holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprat.budget import Budget
from sprat.errors import BadInput

limit = st.none() | st.integers(1, 100)
figure = st.none() | st.integers(1, 100)


@given(limit, limit, limit, figure, figure, figure)
def test_excess_is_empty_exactly_when_all_hold(max_bytes, max_params, max_macs, size_bytes, params, macs):
    budget = Budget(max_bytes=max_bytes, max_params=max_params, max_macs=max_macs)
    over = budget.excess(size_bytes=size_bytes, params=params, macs=macs)
    expected = [
        name
        for name, allowed, seen in (
            ("size_bytes", max_bytes, size_bytes),
            ("params", max_params, params),
            ("macs", max_macs, macs),
        )
        if allowed is not None and seen is not None and seen > allowed
    ]
    assert [entry.quantity for entry in over] == expected


def test_the_limit_itself_fits():
    budget = Budget.parse(size="500KB", latency="5ms")
    assert budget.excess(size_bytes=500_000, latency_ms=5.0) == ()
    (over,) = budget.excess(size_bytes=500_001)
    assert "500,001" in str(over)
    assert "500,000" in str(over)


@given(limit, limit)
def test_json_round_trip(max_bytes, max_macs):
    budget = Budget(max_bytes=max_bytes, max_macs=max_macs)
    assert Budget.from_dict(budget.to_dict()) == budget


def test_unknown_limit_is_refused():
    with pytest.raises(BadInput):
        Budget.from_dict({"max_beauty": 3})
