"""The counts of MobileNet's tables 1 to 3, 6, 7, 9 and 10 (shared/facts/mobilenet.md)."""

import pytest
import torch
from torch import nn

from sprat.cost import Cost, count
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo import build
from sprat.zoo.mobilenet_v1 import MobileNetV1, separable


def cost(width: float, side: int, classes: int = 1000) -> Cost:
    image = ImageSpec(3, side, side)
    with torch.device("meta"):
        return count(build(MobileNetV1(width=width), image, classes), image)


@pytest.mark.parametrize(
    ("width", "side", "macs", "params"),
    [
        (1.0, 224, 568_740_352, 4_231_976),
        (1.0, 192, 418_121_728, 4_231_976),
        (1.0, 160, 290_675_200, 4_231_976),
        (1.0, 128, 186_400_768, 4_231_976),
        (0.75, 224, 325_400_448, 2_585_560),
        (0.5, 224, 149_497_088, 1_331_592),
        (0.25, 224, 41_030_272, 470_072),
        (0.5, 160, 76_524_800, 1_331_592),
    ],
)
def test_tables_6_7_and_9(width: float, side: int, macs: int, params: int) -> None:
    seen = cost(width, side)
    assert (seen.macs, seen.params) == (macs, params)


@pytest.mark.parametrize(("width", "without"), [(1.0, 4_210_088), (0.75, 2_569_144), (0.5, 1_320_648), (0.25, 464_600)])
def test_parameters_without_batch_norm(width: float, without: int) -> None:
    assert sum(layer.params for layer in cost(width, 224).layers if layer.kind != "norm") == without


@pytest.mark.parametrize(
    ("width", "side", "macs", "params"),
    [
        (1.0, 224, 567_839_232, 3_329_976),
        (0.75, 224, 324_724_608, 1_908_840),
        (1.0, 192, 417_220_608, 3_329_976),
        (0.75, 192, 238_597_632, 1_908_840),
    ],
)
def test_table_10_has_120_classes(width: float, side: int, macs: int, params: int) -> None:
    seen = cost(width, side, classes=120)
    assert (seen.macs, seen.params) == (macs, params)


@pytest.mark.parametrize(
    ("width", "side", "macs", "params"),
    [(1.0, 224, 567_716_352, 3_206_976), (0.5, 128, 48_648_192, 818_592), (0.25, 128, 13_314_048, 213_072)],
)
def test_table_12_counts_the_body_alone(width: float, side: int, macs: int, params: int) -> None:
    body = [layer for layer in cost(width, side).layers if layer.kind != "linear"]
    assert (sum(layer.macs for layer in body), sum(layer.params for layer in body)) == (macs, params)


def test_table_2_shares_with_its_misprint() -> None:
    layers = cost(1.0, 224).layers
    macs = {kind: sum(row.macs for row in layers if row.kind == kind) for kind in ("pointwise", "depthwise", "conv")}
    linear = sum(row.macs for row in layers if row.kind == "linear")
    total = sum(macs.values()) + linear
    shares = {kind: round(100 * value / total, 2) for kind, value in macs.items()}
    assert shares == {"pointwise": 94.86, "depthwise": 3.06, "conv": 1.91}  # printed 1.19: digits swapped
    assert round(100 * linear / total, 2) == 0.18


@pytest.mark.parametrize(
    ("channels", "side", "macs", "params"),
    [(512, 14, 52_283_392, 266_752), (384, 14, 29_578_752, 150_912), (384, 10, 15_091_200, 150_912)],
)
def test_table_3_layer(channels: int, side: int, macs: int, params: int) -> None:
    with torch.device("meta"):
        seen = count(separable(channels, channels, 1), ImageSpec(channels, side, side))
    weights = sum(layer.params for layer in seen.layers if layer.kind != "norm")
    assert (seen.macs, weights) == (macs, params)


def test_table_3_full_convolution() -> None:
    with torch.device("meta"):
        seen = count(nn.Conv2d(512, 512, 3, padding=1, bias=False), ImageSpec(512, 14, 14))
    assert (seen.macs, seen.params) == (462_422_016, 2_359_296)


def test_the_last_depthwise_layer_has_stride_1() -> None:
    rows = [row for row in cost(1.0, 224).layers if row.kind == "depthwise"]
    assert rows[-1].in_shape == rows[-1].out_shape == (1024, 7, 7)


@pytest.mark.parametrize("width", [0.0, -1.0, float("nan")])
def test_width_must_be_positive(width: float) -> None:
    with pytest.raises(BadInput, match="width"):
        build(MobileNetV1(width=width), ImageSpec(3, 224, 224), 10)


def test_too_small_an_image_is_refused() -> None:
    with pytest.raises(BadInput, match="at least 4 pixels"):
        build(MobileNetV1(), ImageSpec(3, 3, 32), 10)
