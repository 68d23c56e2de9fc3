"""The counts of MobileNet's tables 1 to 7, 9 and 10, and its variants (shared/facts/mobilenet.md)."""

import pytest
import torch
from torch import nn

from sprat.cost import Cost, count
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo import build, get_preset
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


@pytest.mark.parametrize(
    ("name", "macs", "params", "stages"),
    [
        ("mobilenet_v1_1.0_conv", 4_867_293_184, 29_294_088, [1, 2, 2, 6, 2]),  # table 4
        ("mobilenet_v1_1.0_shallow", 307_323_392, 2_887_976, [1, 2, 2, 1, 2]),  # table 5
        ("mobilenet_v1_1.0_relu6", 568_740_352, 4_231_976, [1, 2, 2, 6, 2]),
    ],
)
def test_variants(name: str, macs: int, params: int, stages: list[int]) -> None:
    image = ImageSpec(3, 224, 224)
    with torch.device("meta"):
        net = build(get_preset(name), image, 1000)
        seen = count(net, image)
        maps = net.features(torch.empty(1, *image.shape))
    assert (seen.macs, seen.params) == (macs, params)
    assert [len(stage) for stage in net.stages] == stages
    assert [x.shape[-1] for x in maps] == [112, 112, 56, 28, 14, 7]


def test_conv_mobilenet_has_no_depthwise_layer() -> None:
    with torch.device("meta"):
        seen = count(build(MobileNetV1(convolution="full"), ImageSpec(3, 32, 32), 10), ImageSpec(3, 32, 32))
    assert [row.kind for row in seen.layers if row.macs] == ["conv"] * 14 + ["linear"]


@pytest.mark.parametrize("convolution", ["separable", "full"])
def test_relu6_clips_every_layer_and_the_default_none(convolution: str) -> None:
    counts = []
    for activation in ("relu", "relu6"):
        config = MobileNetV1(convolution=convolution, activation=activation)
        with torch.device("meta"):
            net = build(config, ImageSpec(3, 32, 32), 10)
        counts.append([sum(type(m) is kind for m in net.modules()) for kind in (nn.ReLU, nn.ReLU6)])
    layers = 27 if convolution == "separable" else 14
    assert counts == [[layers, 0], [0, layers]]


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (MobileNetV1(convolution="depthwise"), "separable or full"),
        (MobileNetV1(activation="swish"), "relu or relu6"),
        (MobileNetV1(dropout=1.0), "dropout"),
    ],
)
def test_unknown_variants_are_refused(config: MobileNetV1, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        build(config, ImageSpec(3, 32, 32), 10)


@pytest.mark.parametrize("width", [0.0, -1.0, float("nan")])
def test_width_must_be_positive(width: float) -> None:
    with pytest.raises(BadInput, match="width"):
        build(MobileNetV1(width=width), ImageSpec(3, 224, 224), 10)


def test_too_small_an_image_is_refused() -> None:
    with pytest.raises(BadInput, match="at least 4 pixels"):
        build(MobileNetV1(), ImageSpec(3, 3, 32), 10)
