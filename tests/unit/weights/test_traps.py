"""Traps that the tables know, each by its name; those of the conversion are in test_convert.py."""

import numpy as np
import pytest
import torch
from torch import nn

from sprat.image import ImageSpec
from sprat.preprocess import Preprocess
from sprat.weights.convert import config_of, skeleton
from sprat.weights.table import Network, tables
from sprat.zoo import Ported, build, get_preset
from sprat.zoo.end_padded import SameConv2d, SameMaxPool2d


def entry(name: str) -> Network:
    (found,) = [network for network in tables() if f"{network.source}/{network.name}" == name]
    return found


def network_of(name: str, preset: str, side: int) -> nn.Module:
    image = ImageSpec(3, side, side)
    return skeleton(config_of(entry(name), preset, get_preset(preset), image), image, 1000)


def pixels(name: str, colour: tuple[int, int, int]) -> list[float]:
    """One pixel of that colour as the imported network gets it."""
    network = entry(name)
    side = next(iter(network.side.values()))
    image = np.tile(np.array(colour, np.uint8), (1, side, side, 1))
    x = Preprocess(3, side, side, network.mean, network.std).apply(image)
    return [float(value) for value in x[0, :, 0, 0]]


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("tf_slim/mobilenet_v1", True),
        ("tflite/mobilenet_v1", True),
        ("keras/mobilenet", True),
        ("tf_slim/inception_v1", True),
        ("tf_slim/nasnet_a_mobile", True),
        ("caffe/mobilenet_v1", False),
        ("torchvision/mobilenet_v2", False),
        ("tf_slim/resnet_v1", False),  # its conv2d_same pads both ends by hand
        ("keras/resnet", False),  # and so does ZeroPadding2D here
    ],
)
def test_same_against_explicit_padding(name: str, same: bool):
    assert (entry(name).padding == "same") is same


def test_same_pads_convolutions_and_pools_of_inception():
    kinds = {type(module) for module in network_of("tf_slim/inception_v1", "inception_v1", 224).modules()}
    assert {SameConv2d, SameMaxPool2d} <= kinds


def test_a_pool_without_padding_that_rounds_up_is_padded_at_the_end():
    net = network_of("caffe/resnet_50", "resnet50_paper", 224)
    assert any(isinstance(module, SameMaxPool2d) for module in net.modules())
    assert not any(isinstance(module, SameConv2d) for module in net.modules())


@pytest.mark.parametrize("name", ["caffe/squeezenet_v1.0", "deep_compression/squeezenet_v1.0"])
def test_ceil_mode_pooling(name: str):
    """113 -> 56 in floor mode, 57 in ceil mode: the layer table of the release has 111, 55, 27, 13."""
    net = network_of(name, "squeezenet_1.0", 227)
    pools = [module for module in net.modules() if isinstance(module, nn.MaxPool2d)]
    assert len(pools) == 3
    assert all(pool.ceil_mode and pool.padding == 0 for pool in pools)
    sides = sorted({feature.shape[2] for feature in net.features(torch.zeros(1, 3, 227, 227, device="meta"))})
    assert sides[0] == 13
    assert 27 in sides


def test_conv10_of_squeezenet_is_padded_in_the_release_and_not_in_version_1_1():
    for name, preset, side in (
        ("caffe/squeezenet_v1.0", "squeezenet_1.0", 15),
        ("deep_compression/squeezenet_v1.0", "squeezenet_1.0", 15),
        ("openvino/squeezenet1.1", "squeezenet_1.1", 14),
        ("torchvision/squeezenet", "squeezenet_1.0", 13),
    ):
        net = network_of(name, preset, 227)
        conv10 = [module for module in net.modules() if isinstance(module, nn.Conv2d)][-1]
        last = net.features(torch.zeros(1, 3, 227, 227, device="meta"))[-1]
        assert conv10(last).shape[2] == side, name


@pytest.mark.parametrize(
    ("name", "preset", "kernel"),
    [
        ("caffe/resnet_50", "resnet50_paper", 1),
        ("keras/resnet", "resnet50", 1),
        ("torchvision/resnet", "resnet50", 3),
    ],
)
def test_where_the_stride_sits_in_a_bottleneck(name: str, preset: str, kernel: int):
    matching = [n for n in tables() if n.source == name.split("/")[0] and preset in n.models]
    network = next((n for n in matching if f"{n.source}/{n.name}" == name), matching[0])
    image = ImageSpec(3, 224, 224)
    net = skeleton(config_of(network, preset, get_preset(preset), image), image, 1000)
    strided = [
        module
        for path, module in net.named_modules()
        if isinstance(module, nn.Conv2d) and module.stride[0] == 2 and "branch" in path
    ]
    assert {module.kernel_size for module in strided} == {(kernel, kernel)}


def test_where_slim_puts_the_stride():
    """In the last unit of a block, so that its first block ends at 28 pixels and not at 56."""
    net = network_of("tf_slim/resnet_v1", "resnet_v1_50_slim", 224)
    strided = [
        path
        for path, module in net.named_modules()
        if isinstance(module, nn.Conv2d) and module.stride[0] == 2 and "branch" in path
    ]
    other = build(get_preset("resnet50"), ImageSpec(3, 224, 224), 10)
    usual = [
        path
        for path, module in other.named_modules()
        if isinstance(module, nn.Conv2d) and module.stride[0] == 2 and "branch" in path
    ]
    assert len(strided) == len(usual) == 3
    units = [
        sum(len(stage) for stage in net.stages[: int(path.split(".")[1])]) + int(path.split(".")[2]) for path in strided
    ]
    assert [unit - 1 for unit in units] == [2, 6, 12]  # the last of 3, of 4, of 6; the pool comes before the first


def test_blue_green_red_minus_the_mean():
    assert entry("caffe/squeezenet_v1.0").order == entry("openvino/squeezenet1.1").order == "bgr"
    assert pixels("caffe/squeezenet_v1.0", (255, 117, 4)) == [132.0, 0.0, -100.0]


@pytest.mark.parametrize(
    "name", ["tf_slim/inception_v3", "tf_slim/mobilenet_v1", "keras/xception", "keras/nasnet_mobile"]
)
def test_plus_and_minus_one(name: str):
    assert entry(name).order == "rgb"
    assert pixels(name, (255, 0, 255)) == [1.0, -1.0, 1.0]


@pytest.mark.parametrize(
    ("name", "background"),
    [
        ("tf_slim/inception_v1", True),
        ("tf_slim/resnet_v2", True),
        ("tf_slim/resnet_v1", False),
        ("tf_slim/vgg", False),
        ("tflite/mobilenet_v1", True),
        ("keras/mobilenet", False),
    ],
)
def test_a_thousand_and_one_classes(name: str, background: bool):
    assert entry(name).background is background


@pytest.mark.parametrize("name", ["tf_slim/mobilenet_v1", "tflite/mobilenet_v1", "keras/mobilenet"])
def test_relu6(name: str):
    network = entry(name)
    preset = "mobilenet_v1_0.25" if network.change else "mobilenet_v1_0.25_relu6"
    config = config_of(network, preset, get_preset(preset), ImageSpec(3, 224, 224))
    assert isinstance(config, Ported)
    assert config.network.activation == "relu6"


def test_the_flattened_layer_of_keras_vgg_has_its_channels_last():
    kinds = entry("keras/vgg").kinds
    used = {line.kind for line in entry("keras/vgg").rules}
    assert any("flatten_hwc:7x7x512" in text for kind in used for text in kinds[kind].values())


@pytest.mark.parametrize(
    ("name", "eps"),
    [
        ("tf_slim/inception_v3", 1e-3),
        ("tf_slim/resnet_v1", 1e-5),
        ("keras/resnet", 1.001e-5),
        ("keras/densenet", 1.001e-5),
    ],
)
def test_epsilon_of_batch_norm(name: str, eps: float):
    assert entry(name).eps == pytest.approx(eps)
