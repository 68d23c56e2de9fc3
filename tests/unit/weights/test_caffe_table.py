"""The table of Caffe's networks against layers that are derived from their prototxts, apart from our zoo."""

import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from caffe_nets import CASES, Row, Shape, number_bytes_of, tensors_of
from caffe_writer import V1_NUMBERS, Layer, net_bytes
from numpy.typing import NDArray
from torch import Tensor

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.weights.convert import Converted, config_of, convert, parameters_of, skeleton
from sprat.weights.foreign import Foreign, read_foreign
from sprat.weights.layout import arranged
from sprat.weights.rules import Pairing, pair
from sprat.weights.table import Network, networks_of
from sprat.zoo import all_presets
from sprat.zoo.alexnet import ALPHA, BETA, SIZE, ResponseNorm, build

EXACT = 1000  # published lengths from here on are bytes
FEW = ("squeezenet_v1.0", "squeezenet_v1.1", "mobilenet_v1")  # of which files of full size are written
every_network = pytest.mark.parametrize("name", CASES)


def entry(name: str) -> Network:
    return next(network for network in networks_of("caffe") if network.name == CASES[name].entry)


@cache
def ours_of(name: str) -> tuple[dict[str, list[str]], dict[str, Shape]]:
    """Our modules with their parameters, and the shapes of those, without memory."""
    network, preset = entry(name), CASES[name].preset
    image = ImageSpec(3, network.side["*"], network.side["*"])
    net = skeleton(config_of(network, preset, all_presets()[preset], image), image, 1000)
    return parameters_of(net), {key: tuple(value.shape) for key, value in net.state_dict().items()}


def paired(name: str, tensors: Mapping[str, Shape]) -> tuple[Pairing, list[str]]:
    """How those tensors pair with the network of a case, and which of them have then another shape."""
    modules, shapes = ours_of(name)
    pairing = pair(entry(name), list(tensors), modules)
    wrong = []
    for ours, source in pairing.sources.items():
        for foreign in source.names:
            layout = "" if source.transform.startswith("times:") else source.transform
            shape = arranged(np.broadcast_to(np.float32(0), tensors[foreign]), layout, foreign).shape
            if shape != shapes[ours]:
                wrong.append(f"{foreign} {tensors[foreign]} is {shape}, {ours} is {shapes[ours]}")
    return pairing, wrong


def thin_file(name: str, generation: int, path: Path) -> dict[str, float]:
    """A file with every layer of a case and one number a blob, and the number of every tensor."""
    values: dict[str, float] = {}
    layers = []
    for row in CASES[name].layers():
        numbers = [np.float32(len(values) + place + 1) for place, _ in enumerate(row.shapes)]
        if row.kind == "BatchNorm":
            numbers[2] = np.float32(1)
        values |= dict(zip(row.tensors(), map(float, numbers), strict=False))
        layers.append(Layer(row.name, row.kind, [np.full(1, value, np.float32) for value in numbers]))
    path.write_bytes(net_bytes(layers, generation=generation, name=name, inputs=generation == 1))
    return values


def generations_of(name: str) -> list[int]:
    """Batch norm is younger than the second generation."""
    return [1, 2] if all(row.kind in V1_NUMBERS for row in CASES[name].layers()) else [2]


@every_network
def test_every_tensor_and_every_parameter_pairs_in_its_shape(name: str) -> None:
    pairing, wrong = paired(name, tensors_of(name))
    assert pairing.faults() == ""
    assert wrong == []


@every_network
def test_numbers_of_the_layers_fill_the_published_file(name: str) -> None:
    published, numbers = CASES[name].published, number_bytes_of(name)
    rows = len(list(CASES[name].layers()))
    if published > EXACT:  # names, shapes and settings come on top
        assert 20 * rows < published - numbers < 400 * rows
    elif published:
        assert published == pytest.approx(numbers / 2**20, rel=0.003)


@every_network
def test_a_file_of_every_layer_fits_one_entry_and_is_read_whole(name: str, tmp_path: Path) -> None:
    for generation in generations_of(name):
        path = tmp_path / f"{generation}.caffemodel"
        values = thin_file(name, generation, path)
        foreign = read_foreign(path)
        assert foreign.format == "caffe"
        assert (foreign.notes["net"], foreign.notes["generation"]) == (name, generation)
        assert foreign.notes["layers"] == [[row.name, row.kind] for row in CASES[name].layers()]
        assert {key: float(array.reshape(-1)[0]) for key, array in foreign.tensors.items()} == values
        fits = {case.entry for case in map(CASES.__getitem__, CASES) if _complete(case.entry, foreign)}
        expected = {CASES[name].entry}
        # The names of some are the same, only shapes tell them apart.
        alike = {"squeezenet_v1.0": {"squeezenet_v1.1"}, "squeezenet_v1.1": {"squeezenet_v1.0"}}
        assert fits == expected | alike.get(name, set())


def _complete(wanted: str, foreign: Foreign) -> bool:
    names = [name for name, case in CASES.items() if case.entry == wanted]
    return any(pair(entry(name), list(foreign.tensors), ours_of(name)[0]).complete for name in names)


@every_network
def test_a_tensor_too_many_or_too_few_is_an_error(name: str) -> None:
    tensors = tensors_of(name)
    assert paired(name, {**tensors, "another/weights": (1,)})[0].unused == ("another/weights",)
    used = [key for key in tensors if not key.startswith(("loss1/", "loss2/"))]
    for lost in (used[0], used[len(used) // 2], used[-1]):
        assert not paired(name, {key: shape for key, shape in tensors.items() if key != lost})[0].complete, lost


@pytest.mark.parametrize(
    ("name", "ours", "foreign"),
    [
        ("squeezenet_v1.0", "stages.1.1.squeeze.0.weight", "fire5/squeeze1x1/weights"),
        ("squeezenet_v1.1", "stages.2.4.expand3x3.0.bias", "fire9/expand3x3/bias"),
        ("bvlc_alexnet", "stages.1.5.0.weight", "conv5/weights"),
        ("bvlc_googlenet", "stages.2.4d.branches.2.1.0.weight", "inception_4c/5x5/weights"),
        ("bvlc_googlenet", "stages.3.5b.branches.3.1.0.bias", "inception_5a/pool_proj/bias"),
        ("vgg_16", "stages.2.3.0.weight", "conv4_3/weights"),
        ("vgg_19", "stages.3.4.0.bias", "conv5_4/bias"),
        ("vgg_19", "head.4.weight", "fc7/weights"),
        ("resnet_50", "stages.2.5.branch.1.0.weight", "res4f_branch2b/weights"),
        ("resnet_50", "stages.1.0.shortcut.1.running_var", "bn3a_branch1/variance"),
        ("resnet_101", "stages.2.10.branch.1.1.weight", "scale4b10_branch2b/weight"),
        ("resnet_101", "stages.2.2.branch.1.1.running_mean", "bn4b2_branch2b/mean"),
        ("resnet_152", "stages.1.7.branch.2.1.bias", "scale3b7_branch2c/bias"),
        ("resnext50_32x4d", "stages.2.3.branch.1.0.weight", "resx11_conv2/weights"),
        ("resnext101_32x4d", "stages.3.0.shortcut.1.weight", "resx31_match_conv_scale/weight"),
        ("densenet_121", "stages.1.4.layers.9.parts.1.2.weight", "conv3_10/x2/weights"),
        ("densenet_201", "stages.2.4.layers.47.parts.1.0.running_mean", "conv4_48/x2/bn/mean"),
        ("densenet_161", "stages.2.0.weight", "conv3_blk/scale/weight"),
        ("densenet_169", "stages.3.5.running_var", "conv5_blk/bn/variance"),
        ("mobilenet_v1", "stages.3.3.0.1.bias", "conv5_3/dw/scale/bias"),
        ("mobilenet_v1", "stages.4.1.1.0.weight", "conv6/sep/weights"),
    ],
)
def test_layers_of_one_shape_are_not_mistaken_for_each_other(name: str, ours: str, foreign: str) -> None:
    pairing, _ = paired(name, tensors_of(name))
    assert pairing.sources[ours].names == (foreign,)


def full_file(name: str, path: Path) -> dict[str, list[NDArray[np.float32]]]:
    """A file of a case with numbers, and the numbers of each layer."""
    numbers = np.random.default_rng(5)
    blobs: dict[str, list[NDArray[np.float32]]] = {}
    for row in CASES[name].layers():
        blobs[row.name] = [numbers.random(shape, np.float32) + np.float32(0.5) for shape in row.shapes]
    layers = [Layer(row.name, row.kind, blobs[row.name]) for row in CASES[name].layers()]
    path.write_bytes(net_bytes(layers, generation=generations_of(name)[0], name=name))
    return blobs


@pytest.mark.parametrize("name", FEW)
def test_a_file_becomes_the_network_with_blue_and_red_exchanged(name: str, tmp_path: Path) -> None:
    blobs = full_file(name, tmp_path / "net.caffemodel")
    network, preset = entry(name), CASES[name].preset
    image = ImageSpec(3, network.side["*"], network.side["*"])
    foreign = read_foreign(tmp_path / "net.caffemodel")
    made = convert(foreign, network, preset, all_presets()[preset], image)
    assert isinstance(made, Converted), made
    assert made.num_classes == 1000
    first = "stem.0.weight"
    np.testing.assert_array_equal(made.state[first], blobs["conv1"][0][:, ::-1])
    if name == "mobilenet_v1":
        mean, variance, factor = blobs["conv5_3/dw/bn"]
        gain, bias = blobs["conv5_3/dw/scale"]
        norm = {key.rpartition(".")[2]: value for key, value in made.state.items() if key.startswith("stages.3.3.0.1.")}
        np.testing.assert_allclose(norm["running_mean"], mean / factor, rtol=1e-6)
        # Ours adds 1e-3 to the variance, Caffe 1e-5.
        exact = gain / np.sqrt(variance / factor + 1e-5)
        np.testing.assert_allclose(norm["weight"] / np.sqrt(norm["running_var"] + 1e-3), exact, rtol=1e-5)
        np.testing.assert_array_equal(norm["bias"], bias)
        np.testing.assert_array_equal(made.state["head.3.weight"], blobs["fc7"][0][:, :, 0, 0])
    else:
        for key, layer in (("stages.0.1.squeeze.0", "fire2/squeeze1x1"), ("head.1", "conv10")):
            np.testing.assert_array_equal(made.state[f"{key}.weight"], blobs[layer][0])
            np.testing.assert_array_equal(made.state[f"{key}.bias"], blobs[layer][1])


def test_squeezenets_are_told_apart_by_their_shapes(tmp_path: Path) -> None:
    full_file("squeezenet_v1.1", tmp_path / "net.caffemodel")
    foreign = read_foreign(tmp_path / "net.caffemodel")
    network, preset = entry("squeezenet_v1.0"), CASES["squeezenet_v1.0"].preset
    found = convert(foreign, network, preset, all_presets()[preset], ImageSpec(3, 227, 227))
    assert isinstance(found, list)
    assert any("conv1/weights" in fault for fault in found)


def test_bias_before_the_first_norm_of_resnet_50_is_taken_from_its_mean() -> None:
    pairing, _ = paired("resnet_50", tensors_of("resnet_50"))
    assert pairing.sources["stem.1.running_mean"].names == ("bn_conv1/mean", "conv1/bias")


def test_factors_of_alexnet_make_our_response_normalisation_caffes() -> None:
    """Five layers of random numbers: ours with k = 2 and the table's factors against k = 1 and none."""
    factors = {
        layer: [_factor(entry("bvlc_alexnet").kinds[kind][part]) for part in ("weight", "bias")]
        for layer, kind in (("conv1", "conv_before_lrn"), ("conv2", "conv_between_lrn"), ("conv3", "conv_after_lrn"))
    }
    torch.manual_seed(3)
    channels = {"conv1": (3, 8), "conv2": (8, 8), "conv3": (8, 4)}
    weights = {layer: (torch.randn(o, i, 3, 3) * 5, torch.randn(o) * 5) for layer, (i, o) in channels.items()}
    image = torch.randn(1, 3, 32, 32) * 50

    def run(k: float, scale: Mapping[str, list[float]]) -> Tensor:
        norm, x = ResponseNorm(SIZE, ALPHA, BETA, k), image
        for layer, (weight, bias) in weights.items():
            x = torch.conv2d(x, weight * scale[layer][0], bias * scale[layer][1])
            if layer != "conv3":
                x = torch.max_pool2d(norm(torch.relu(x)), 3, 2, ceil_mode=True)
        return x

    plain = {layer: [1.0, 1.0] for layer in weights}
    torch.testing.assert_close(run(2.0, factors), run(1.0, plain), rtol=1e-4, atol=1e-3)
    assert not torch.allclose(run(2.0, plain), run(1.0, plain), rtol=0.05)


def _factor(text: str) -> float:
    words = text.split()
    return float(words[1].removeprefix("times:")) if len(words) > 1 else 1.0


def test_the_factors_are_a_layout_that_the_import_knows() -> None:
    np.testing.assert_array_equal(arranged(np.full(3, 2, np.float32), "times:1.5", "conv1/bias"), np.full(3, 3))


def test_alexnets_normalisation_comes_where_caffes_does() -> None:
    """Convolution, ReLU, normalisation, pool, twice, as norm1 reads conv1 and pool1 reads norm1 in the prototxt."""
    with torch.device("meta"):
        net = build(all_presets()["alexnet"], ImageSpec(3, 227, 227), 1000)
    kinds = [type(module).__name__ for module in net.modules() if not list(module.children())]
    expected = ["Conv2d", "ReLU", "ResponseNorm", "MaxPool2d", "Conv2d", "ReLU", "ResponseNorm", "MaxPool2d", "Conv2d"]
    assert kinds[:9] == expected


@pytest.mark.parametrize("side", [112, 224])
def test_the_first_pool_of_resnets_is_caffes(side: int) -> None:
    """Without padding and rounded up, which "same_pools" is on an even map."""
    network = entry("resnet_50")
    image = ImageSpec(3, 2 * side, 2 * side)
    net = skeleton(config_of(network, "resnet50_paper", all_presets()["resnet50_paper"], image), image, 10)
    pool: Any = net.stages[0][0]  # type: ignore[index]
    x = torch.randn(1, 2, side, side)
    torch.testing.assert_close(pool(x), torch.max_pool2d(x, 3, 2, ceil_mode=True), rtol=0, atol=0)
    assert pool(x).shape[-1] == math.ceil((side - 3) / 2) + 1


def test_the_table_says_how_each_network_is_fed() -> None:
    said = {
        network.name: (network.padding, network.eps, network.side["*"], network.resize["*"], network.keep_aspect)
        for network in networks_of("caffe")
    }
    norms = dict.fromkeys(("resnet_50", "resnet_101", "resnet_152"), ("same_pools", 1e-5, 224, 256, True))
    norms |= dict.fromkeys(("resnext", "densenet", "mobilenet_v1"), ("symmetric", 1e-5, 224, 256, True))
    assert said == {
        "squeezenet_v1.0": ("symmetric", None, 227, 256, False),
        "squeezenet_v1.1": ("symmetric", None, 227, 256, False),
        "bvlc_alexnet": ("symmetric", None, 227, 256, False),
        "bvlc_googlenet": ("symmetric", None, 224, 256, False),
        "vgg_16": ("symmetric", None, 224, 256, True),
        "vgg_19": ("symmetric", None, 224, 256, True),
        **norms,
    }
    for network in networks_of("caffe"):
        assert network.order == "bgr"
        red, green, blue = network.mean
        assert red > green > blue > 100
        assert not network.background
    assert entry("squeezenet_v1.0").change == {"conv10_padding": 1}
    assert entry("resnet_101").change == {"strides": "1x1"}


def test_every_row_names_its_tensors_once() -> None:
    for name in CASES:
        rows = list(CASES[name].layers())
        assert len({row.name for row in rows}) == len(rows), name
    with pytest.raises(BadInput, match="dimensions"):
        arranged(np.zeros((2, 3)), "oihw_linear", "fc7")
    assert Row("fc", "InnerProduct", ((2, 3), (2,))).tensors() == {"fc/weights": (2, 3), "fc/bias": (2,)}
