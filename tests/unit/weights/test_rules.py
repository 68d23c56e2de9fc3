import numpy as np
import pytest

from sprat.errors import BadInput
from sprat.weights.layout import arranged, constant
from sprat.weights.pattern import expand, matching, parse_rules
from sprat.weights.rules import pair
from sprat.weights.table import Network, formats, parse_table, tables
from sprat.zoo import list_models

TABLE = """
title = "test"
formats = ["test"]
[kind.conv]
weight = "kernel hwio"
bias = "bias ?"
[kind.norm]
weight = "gamma ? ones"
bias = "beta"
running_mean = "mean minus $2/bias"
running_var = "variance"
[input.plain]
mean = [1, 2, 3]
std = [4, 5, 6]
[[network]]
name = "net"
models = ["x"]
input = "plain"
rules = '''
conv_{a,b}|other   conv  body.{0,1}   // in parallel
unit_#/conv_#      conv  stages.#.#
unit_#/norm_#|unit_#/conv_#  norm  norms.#
extra_#            conv  extras.#  ?
'''
ignore = ["step", "*/momentum"]
"""
OURS = {
    "body.0": ["weight"],
    "body.1": ["weight"],
    "stages.0.9": ["weight"],
    "stages.0.10": ["weight"],
    "stages.1.0": ["weight"],
    "norms.0": ["weight", "bias", "running_mean", "running_var"],
    "norms.1": ["weight", "bias", "running_mean", "running_var"],
    "norms.2": ["weight", "bias", "running_mean", "running_var"],
}
UNITS = ("unit_1/conv_1", "unit_1/conv_2", "unit_2/conv_1")
FOREIGN = [
    "conv_a/kernel",
    "conv_b/kernel",
    "other/kernel",
    *(f"{unit}/kernel" for unit in reversed(UNITS)),
    "unit_1/conv_2/bias",
    *(f"{unit.replace('conv', 'norm')}/{part}" for unit in UNITS for part in ("beta", "mean", "variance")),
    "unit_2/norm_1/gamma",
    "step",
    "conv_a/kernel/momentum",
]


@pytest.fixture
def network() -> Network:
    (network,) = parse_table("test", TABLE.replace("conv_{a,b}|other", "conv_{a,b}"))
    return network


def test_braces_expand_leftmost_slowest_and_in_parallel():
    assert expand("a{1..3}b") == ["a1b", "a2b", "a3b"]
    assert expand("{x,y}{1,2}") == ["x1", "x2", "y1", "y2"]
    lines = list(parse_rules("n{a,b}  conv  m.{0,1}\n// only words\nc conv head ?"))
    assert [(line.foreign, line.ours, line.optional) for line in lines] == [
        (("na",), "m.0", False),
        (("nb",), "m.1", False),
        (("c",), "head", True),
    ]


def test_names_are_sorted_by_their_numbers_not_their_letters():
    names = dict.fromkeys(["b10/c2", "b9/c11", "b9/c3", "b9/x", "b/c"])
    assert matching("b#/c#", names) == ["b9/c3", "b9/c11", "b10/c2"]
    assert matching("b9/x", names) == ["b9/x"]
    assert matching("*/c#", names) == ["b10/c2", "b9/c3", "b9/c11"]


def test_every_tensor_finds_its_place_by_rank(network: Network):
    foreign = [name for name in FOREIGN if not name.startswith("other")]
    pairing = pair(network, foreign, OURS)
    assert pairing.complete, pairing.faults()
    assert pairing.sources["stages.0.9.weight"].names == ("unit_1/conv_1/kernel",)
    assert pairing.sources["stages.0.10.weight"].names == ("unit_1/conv_2/kernel",)
    assert pairing.sources["stages.1.0.weight"].names == ("unit_2/conv_1/kernel",)
    assert pairing.sources["stages.1.0.weight"].transform == "hwio"
    assert pairing.sources["norms.1.running_mean"].names == ("unit_1/norm_2/mean", "unit_1/conv_2/bias")
    assert pairing.sources["norms.0.running_mean"].names == ("unit_1/norm_1/mean",)
    assert pairing.sources["norms.0.weight"].names == ()
    assert pairing.sources["norms.0.weight"].transform == "ones"
    assert pairing.sources["norms.2.weight"].names == ("unit_2/norm_1/gamma",)


def test_what_is_missing_or_left_over_is_listed(network: Network):
    foreign = [name for name in FOREIGN if name not in ("conv_b/kernel", "unit_1/norm_2/variance")]
    pairing = pair(network, foreign, OURS)
    assert not pairing.complete
    assert "norms.1.running_var (unit_1/norm_2/variance)" in pairing.missing
    assert "body.1.weight" in pairing.missing
    assert pairing.unused == ("other/kernel",)
    for word in ("missing", "unused", "other/kernel", "body.1.weight"):
        assert word in pairing.faults()


def test_two_of_theirs_for_one_of_ours_is_a_fault(network: Network):
    foreign = [*(name for name in FOREIGN if not name.startswith("other")), "unit_3/conv_1/kernel"]
    pairing = pair(network, foreign, OURS)
    assert "unit_3/conv_1/kernel" in pairing.unused
    assert any("4 of unit_#/conv_#" in problem and "3 of stages.#.#" in problem for problem in pairing.problems)


def test_every_table_is_readable_and_names_networks_and_kinds_that_exist():
    assert set(formats()) == {network.source for network in tables()}
    names = [(network.source, network.name) for network in tables()]
    assert len(set(names)) == len(names)
    presets = set(list_models())
    for network in tables():
        where = f"{network.source}/{network.name}"
        matches = [p for p in presets if any(list_models(pattern).count(p) for pattern in network.models)]
        assert matches, f"{where}: no preset matches {network.models}"
        assert {line.kind for line in network.rules} <= set(network.kinds), where
        assert len(network.mean) == len(network.std) == 3, where
        assert network.padding in ("symmetric", "same", "same_pools"), where
        assert network.order in ("rgb", "bgr"), where


def by_hand(kind: str, array: np.ndarray) -> np.ndarray:
    """The same change, one number at a time."""
    if kind == "hwio":
        h, w, i, o = array.shape
        return np.array(
            [[[[array[y, x, c, n] for x in range(w)] for y in range(h)] for c in range(i)] for n in range(o)]
        )
    if kind == "hwim":
        h, w, i, m = array.shape
        return np.array([[[[array[y, x, n // m, n % m] for x in range(w)] for y in range(h)]] for n in range(i * m)])
    if kind == "1hwc":
        _, h, w, c = array.shape
        return np.array([[[[array[0, y, x, n] for x in range(w)] for y in range(h)]] for n in range(c)])
    o, h, w, i = array.shape
    return np.array([[[[array[n, y, x, c] for x in range(w)] for y in range(h)] for c in range(i)] for n in range(o)])


@pytest.mark.parametrize(
    ("kind", "shape"), [("hwio", (2, 3, 4, 5)), ("hwim", (3, 2, 4, 2)), ("1hwc", (1, 3, 2, 5)), ("ohwi", (4, 2, 3, 5))]
)
def test_layouts_move_each_number_where_it_belongs(kind: str, shape: tuple[int, ...]):
    array = np.arange(np.prod(shape)).reshape(shape)
    np.testing.assert_array_equal(arranged(array, kind, "w"), by_hand(kind, array))


def test_a_flattened_layer_answers_as_before_in_the_other_order_of_channels():
    rng = np.random.default_rng(0)
    dense, x = rng.normal(size=(2 * 3 * 4, 5)), rng.normal(size=(2, 3, 4))  # x is (H, W, C)
    ours = arranged(dense, "flatten_hwc:2x3x4", "fc")
    np.testing.assert_allclose(ours @ x.transpose(2, 0, 1).reshape(-1), x.reshape(-1) @ dense)
    conv = rng.normal(size=(2, 3, 4, 5))  # (H, W, I, O)
    np.testing.assert_allclose(
        arranged(conv, "linear_hwio", "fc") @ x.transpose(2, 0, 1).reshape(-1), np.einsum("hwi,hwio->o", x, conv)
    )


@pytest.mark.parametrize(
    ("kind", "shape"),
    [("hwio", (3, 3)), ("io", (1, 2, 3)), ("hwio_linear", (3, 3, 4, 5)), ("oihw_linear", (5, 4, 2, 2)),
     ("flatten_hwc:2x3x4", (23, 5)), ("flatten_hwc:2x3x4", (24,))],
)  # fmt: skip
def test_other_shapes_are_refused_by_name(kind: str, shape: tuple[int, ...]):
    with pytest.raises(BadInput, match="fc7/kernel"):
        arranged(np.zeros(shape), kind, "fc7/kernel")


def test_constants():
    assert constant("one_minus_eps", 1e-3) == 0.999
    assert (constant("ones", 1.0), constant("zeros", 1.0)) == (1.0, 0.0)
