import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprat.report.scale import Linear, Log, padded, padded_log, short_count


def test_linear() -> None:
    scale = Linear(0.0, 10.0, 100.0, 300.0)
    assert [scale.at(value) for value in (0, 5, 10, -3, 99)] == [100, 200, 300, 100, 300]
    assert scale.ticks() == [0, 2, 4, 6, 8, 10]
    assert Linear(0.71, 0.84, 0, 1).ticks() == pytest.approx([0.75, 0.8])


def test_log() -> None:
    scale = Log(10.0, 1000.0, 0.0, 200.0)
    assert scale.at(100) == pytest.approx(100)
    assert Log(8.0, 300.0, 0, 1).ticks() == [10, 20, 50, 100, 200]
    assert Log(1.0, 1e12, 0, 1).ticks() == [1, 1e3, 1e6, 1e9, 1e12]


@given(low=st.floats(-1e6, 1e6), span=st.floats(1e-3, 1e6))
def test_linear_ticks_are_few_and_inside(low: float, span: float) -> None:
    ticks = Linear(low, low + span, 0, 1).ticks()
    assert len(ticks) <= 6
    assert all(low - span * 1e-6 <= tick <= low + span * (1 + 1e-6) for tick in ticks)
    assert ticks == sorted(ticks)


@given(low=st.floats(1e-3, 1e6), factor=st.floats(1.0, 1e9))
def test_log_ticks_are_few_and_rise(low: float, factor: float) -> None:
    ticks = Log(low, low * factor, 0, 1).ticks()
    assert 1 <= len(ticks) <= 6
    assert ticks == sorted(ticks)


def test_padding_leaves_room() -> None:
    assert padded([3.0]) == (2.7, 3.3)
    assert padded([0.0]) == (-1.0, 1.0)
    low, high = padded_log([100.0, 10000.0])
    assert low < 100
    assert high > 10000
    assert low * high == pytest.approx(1e6)


def test_short_count() -> None:
    assert [short_count(value) for value in (500, 20_000, 1_500_000, 2e9)] == ["500", "20k", "1.5M", "2G"]
