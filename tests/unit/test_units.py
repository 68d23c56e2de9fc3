"""Quantities: what people write and what we print."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprat.errors import BadInput
from sprat.units import format_bytes, format_count, format_duration, parse_bytes, parse_count, parse_ms


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("500KB", 500_000),
        ("0.5MB", 500_000),
        ("64KiB", 65_536),
        ("1.5 mb", 1_500_000),
        ("20000", 20_000),
        (7, 7),
        ("12b", 12),
    ],
)
def test_bytes(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize(
    "text", ["", "KB", "5XB", "-5KB", "0", "0KB", "1e3KB", "5 0KB", True, float("nan"), float("inf"), -1, "0.1"]
)
def test_bytes_refused(text):
    with pytest.raises(BadInput):
        parse_bytes(text)


@pytest.mark.parametrize(("text", "count"), [("40M", 40_000_000), ("200k", 200_000), ("1.5G", 1_500_000_000), (12, 12)])
def test_counts(text, count):
    assert parse_count(text) == count


@pytest.mark.parametrize(("text", "ms"), [("5ms", 5), ("0.2s", 200), ("3", 3), ("250us", 0.25)])
def test_times(text, ms):
    assert parse_ms(text) == pytest.approx(ms)


@given(st.integers(1, 10**12))
def test_exact_bytes_survive(size):
    assert parse_bytes(str(size)) == size
    assert int(format_bytes(size).removesuffix(" bytes").replace(",", "")) == size


@given(st.integers(1, 10**13))
def test_counts_are_printed_within_a_percent(count):
    assert parse_count(format_count(count)) == pytest.approx(count, rel=0.01)


def test_durations():
    assert [format_duration(seconds) for seconds in (4.4, 187, 3765)] == ["4 s", "3:07", "1:02:45"]
