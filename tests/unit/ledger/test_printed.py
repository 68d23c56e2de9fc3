from fractions import Fraction

import pytest

from sprat.errors import BadInput
from sprat.ledger.printed import read_printed


@pytest.mark.parametrize(
    ("printed", "counted"),
    [
        ("4.2M", 4_231_976),  # rounded
        ("290M", 290_675_200),  # truncated
        ("4.2M", 4_100_001),  # rounded up
        ("569M", 568_740_352),
        ("70k", 69_632),
        ("1,448 M", 1_448_000_000),
        ("~ 5M", 5_450_776),
        ("23.8 B", 23_783_414_658),
        ("94.86%", Fraction(9486, 10_000)),
        ("363x", Fraction(240, 1) / Fraction("0.66")),
        ("11920", 11_920),
        ("1,248,424", 1_248_424),
        ("1.6 x 10^29", 160618186625454535808756219904),
        ("about 10^15", 669_692_775_628_800),
        ("720M", 724_406_816),  # rounded to its last digit that is not zero
        ("15300M", 15_346_630_656),
        ("240MB", 243_860_896),
        ("32,400-43,200", 40_000),
        ("8-10", 9),
    ],
)
def test_agrees(printed, counted):
    assert read_printed(printed).agrees(counted)


@pytest.mark.parametrize(
    ("printed", "counted"),
    [
        ("4.2M", 4_300_000),  # a whole unit away
        ("4.2M", 4_100_000),
        ("569M", 567_839_232),
        ("11920", 11_921),  # a bare integer must be equal, whatever it ends in
        ("11920", 11_919),
        ("1.19%", Fraction(191, 10_000)),
        ("5000M", 5_713_216_096),  # truncation of a leading digit is no rounding
        ("1550M", 1_582_671_872),
        ("4.0M", 4_150_000),  # a zero after the point is a digit
        ("100%", Fraction(9, 10)),  # zeros of percentages are digits
        ("about 10^15", 8_036_313_307_545_600),
        ("8-10", 12),
    ],
)
def test_does_not_agree(printed, counted):
    assert not read_printed(printed).agrees(counted)


def test_the_unit_may_be_another_than_the_printed_one():
    assert not read_printed("4.8MB").agrees(4_993_696)
    assert read_printed("4.8MB", unit="MiB").agrees(4_993_696)


def test_the_value_is_in_the_base_unit():
    assert read_printed("70.6%").value == Fraction(706, 1000)
    assert read_printed("0.790").value == Fraction(79, 100)
    assert read_printed("0.47MB").value == 470_000


@pytest.mark.parametrize("text", ["", "-", "many", "4.2 parsecs", "13x13x512", "10^"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(BadInput, match="not a printed number"):
        read_printed(text)
