"""The counts of MobileNet v2: the paper's table 4 and those of the released checkpoints."""

import pytest
import torch
from torch import nn

from sprat.cost import Cost, count
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo import build, get_preset
from sprat.zoo.mobilenet_v2 import InvertedResidual, MobileNetV2, multiple_of_8


def cost(width: float, side: int) -> Cost:
    image = ImageSpec(3, side, side)
    with torch.device("meta"):
        return count(build(MobileNetV2(width=width), image, 1000), image)


def without_norms(seen: Cost) -> int:
    return sum(layer.params for layer in seen.layers if layer.kind != "norm")


def printed(value: int, unit: float, decimals: int) -> list[float]:
    """The value rounded and truncated: papers do either."""
    scaled = value / unit * 10**decimals
    return [round(scaled) / 10**decimals, int(scaled) / 10**decimals]


def test_table_4_of_width_1() -> None:
    seen = cost(1.0, 224)
    assert (seen.macs, seen.params) == (300_774_272, 3_504_872)
    assert 300 in printed(seen.macs, 1e6, 0)
    assert 3.4 in printed(without_norms(seen), 1e6, 1)


def test_table_4_of_width_1_4_is_not_the_released_network() -> None:
    """The paper prints 585M and 6.9M for 1.4; the released code and checkpoints have 582M and 6.06M."""
    seen = cost(1.4, 224)
    assert (seen.macs, seen.params) == (582_195_824, 6_108_776)
    assert 582 in printed(seen.macs, 1e6, 0)
    assert 585 not in printed(seen.macs, 1e6, 0)
    assert 6.06 in printed(without_norms(seen), 1e6, 2)
    assert 6.9 not in printed(seen.params, 1e6, 1)


@pytest.mark.parametrize(
    ("width", "side", "macs", "params"),
    [
        (1.0, 224, 300, 3.47),
        (1.0, 192, 221, 3.47),
        (1.0, 160, 154, 3.47),
        (1.0, 128, 99, 3.47),
        (0.75, 224, 209, 2.61),
        (0.75, 192, 153, 2.61),
        (0.5, 224, 97, 1.95),
        (0.35, 224, 59, 1.66),
    ],
)
def test_counts_of_the_released_checkpoints(width: float, side: int, macs: int, params: float) -> None:
    seen = cost(width, side)
    assert macs in printed(seen.macs, 1e6, 0)
    assert params in printed(without_norms(seen), 1e6, 2)  # theirs leave batch norm out


def test_stages_end_where_the_resolution_halves() -> None:
    with torch.device("meta"):
        net = build(get_preset("mobilenet_v2_1.0"), ImageSpec(3, 224, 224), 1000).eval()
        maps = net.features(torch.empty(1, 3, 224, 224))
    assert [(x.shape[1], x.shape[2]) for x in maps] == [
        (32, 112),
        (16, 112),
        (24, 56),
        (32, 28),
        (96, 14),
        (1280, 7),
    ]
    assert [len(stage) for stage in net.stages] == [1, 2, 3, 7, 5]


def test_bottlenecks_are_linear_and_every_other_convolution_has_relu6() -> None:
    with torch.device("meta"):
        net = build(MobileNetV2(), ImageSpec(3, 224, 224), 10)
    blocks = [module for module in net.modules() if isinstance(module, InvertedResidual)]
    assert len(blocks) == 17
    assert [len(block.branch) for block in blocks] == [2] + [3] * 16  # the first expands by 1
    assert [block.adds for block in blocks].count(True) == 10
    assert all([type(layer) for layer in block.branch[-1]] == [nn.Conv2d, nn.BatchNorm2d] for block in blocks)
    assert sum(isinstance(module, nn.ReLU6) for module in net.modules()) == 35
    assert not any(type(module) is nn.ReLU for module in net.modules())
    assert {module.eps for module in net.modules() if isinstance(module, nn.BatchNorm2d)} == {1e-3}


@pytest.mark.parametrize(("width", "last"), [(1.4, 1792), (1.0, 1280), (0.35, 1280), (0.05, 1280)])
def test_the_last_convolution_does_not_shrink(width: float, last: int) -> None:
    with torch.device("meta"):
        net = build(MobileNetV2(width=width), ImageSpec(3, 32, 32), 10)
    assert net.head[-1].in_features == last
    channels = {module.out_channels for module in net.modules() if isinstance(module, nn.Conv2d)}
    assert all(each % 8 == 0 for each in channels)


@pytest.mark.parametrize(
    ("channels", "rounded"),
    [
        (1, 8),
        (8.4, 8),
        (11.2, 16),  # 8 would take over a tenth away
        (12, 16),
        (44.8, 48),
        (33.6, 32),
        (89.6, 88),
        (134.4, 136),
    ],
)
def test_channels_round_to_multiples_of_8(channels: float, rounded: int) -> None:
    assert multiple_of_8(channels) == rounded


def test_a_block_adds_its_input_only_where_the_shape_stays() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 8, 6, 6)
    block = InvertedResidual(8, 8, 1, 6).eval()
    with torch.no_grad():
        assert torch.equal(block(x), x + block.branch(x))
        assert InvertedResidual(8, 8, 2, 6).eval()(x).shape == (1, 8, 3, 3)
        assert InvertedResidual(8, 16, 1, 6).eval()(x).shape == (1, 16, 6, 6)


@pytest.mark.parametrize("width", [0.0, -1.0, float("nan")])
def test_width_must_be_positive(width: float) -> None:
    with pytest.raises(BadInput, match="width"):
        build(MobileNetV2(width=width), ImageSpec(3, 224, 224), 10)


def test_dropout_must_be_a_fraction() -> None:
    with pytest.raises(BadInput, match="dropout"):
        build(MobileNetV2(dropout=1.0), ImageSpec(3, 224, 224), 10)


def test_too_small_an_image_is_refused() -> None:
    with pytest.raises(BadInput, match="at least 4 pixels"):
        build(MobileNetV2(), ImageSpec(3, 3, 32), 10)
