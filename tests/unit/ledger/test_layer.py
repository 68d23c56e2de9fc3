from fractions import Fraction

import pytest

from sprat.errors import BadInput
from sprat.ledger.layer import conv, proved
from sprat.ledger.quantity import computed


def test_a_convolution_is_counted():
    assert conv(8, 16, 3, 4) == (3 * 3 * 8 * 16, 3 * 3 * 8 * 16 * 4 * 4)


def test_a_formula_that_the_layers_contradict_is_refused():
    with pytest.raises(BadInput, match="count 2"):
        proved("1 + 2", 3, 2)


@pytest.mark.parametrize(
    ("name", "given", "formula"),
    [
        ("standard_conv", {"kernel": 3, "inputs": 512, "outputs": 512, "side": 14}, 462_422_016),
        ("separable_conv", {"kernel": 3, "inputs": 512, "outputs": 512, "side": 14}, 52_283_392),
        ("separable_ratio", {"kernel": 3, "inputs": 8, "outputs": 16, "side": 4}, Fraction(1, 16) + Fraction(1, 9)),
        ("resnext_unit", {"channels": 240, "width": 60, "side": 28}, 47_980_800),
        ("resnext_unit", {"channels": 240, "width": 60, "side": 28, "groups": 3}, 31_046_400),
        ("shufflenet_unit", {"channels": 240, "width": 60, "side": 28, "groups": 3}, 7_949_760),
        ("nasnet_space", {"blocks": 5, "ops": 13, "combiners": 2}, 2_286_906_949_584_691_200),
    ],
)
def test_formulas_evaluate_to_the_values_found_by_hand(name, given, formula):
    assert computed(name, given)["formula"] == formula
