"""The counts of AlexNet and of its filter groups, its order of operations, export (shared/facts/vgg_alexnet.md)."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from sprat.cost import Cost, count
from sprat.errors import BadInput
from sprat.export import to_onnx
from sprat.export.session import open_session
from sprat.image import ImageSpec
from sprat.preprocess import Preprocess
from sprat.zoo import build
from sprat.zoo.alexnet import AlexNet, ResponseNorm, last_side

CROP = ImageSpec(3, 227, 227)
SMALL = ImageSpec(3, 32, 32)
NARROW = AlexNet(width=0.125)


def cost(config: AlexNet, image: ImageSpec = CROP) -> Cost:
    with torch.device("meta"):
        return count(build(config, image, 1000), image)


def convs(net: nn.Module) -> list[nn.Conv2d]:
    return [module for module in net.modules() if isinstance(module, nn.Conv2d)]


@pytest.mark.parametrize(
    ("config", "params", "macs"),
    [
        (AlexNet(), 60_965_224, 724_406_816),
        (AlexNet(groups=1), 62_378_344, 1_135_256_096),
        (AlexNet(groups=1, grouped="all"), 62_378_344, 1_135_256_096),
        (AlexNet(lrn=False), 60_965_224, 724_406_816),
    ],
)
def test_counts(config: AlexNet, params: int, macs: int) -> None:
    seen = cost(config)
    assert (seen.params, seen.macs) == (params, macs)


def test_printed_60m_720m_240mb() -> None:
    seen = cost(AlexNet())
    assert seen.params // 10**6 == 60
    assert seen.macs // 10**7 == 72
    assert round(4 * seen.params / 1e6, 1) == 243.9


@pytest.mark.parametrize(("grouped", "saves"), [("paper", (2, 4, 5)), ("all", (2, 3, 4, 5))])
@pytest.mark.parametrize("groups", [2, 4])
def test_groups_divide_the_weights_of_the_convolutions_they_are_in(
    grouped: str, saves: tuple[int, ...], groups: int
) -> None:
    whole, parts = (
        [layer for layer in cost(AlexNet(groups=g, grouped=grouped)).layers if "conv" in layer.kind]
        for g in (1, groups)
    )
    for number, (one, part) in enumerate(zip(whole, parts, strict=True), start=1):
        assert one.macs == part.macs * (groups if number in saves else 1), number


def test_parameters_of_each_layer() -> None:
    assert [layer.params for layer in cost(AlexNet()).layers] == [
        96 * 3 * 11 * 11 + 96,
        256 * 48 * 5 * 5 + 256,
        384 * 256 * 3 * 3 + 384,
        384 * 192 * 3 * 3 + 384,
        256 * 192 * 3 * 3 + 256,
        6 * 6 * 256 * 4096 + 4096,
        4096 * 4096 + 4096,
        4096 * 1000 + 1000,
    ]


@pytest.mark.parametrize(
    ("side", "maps"), [(227, (55, 27, 13, 6)), (224, (54, 27, 13, 6)), (32, (32, 16, 8, 4)), (64, (32, 16, 8, 4))]
)
def test_sizes_of_the_maps(side: int, maps: tuple[int, ...]) -> None:
    image = ImageSpec(3, side, side)
    with torch.device("meta"):
        seen = build(AlexNet(), image, 10).features(torch.empty(1, *image.shape))
    assert tuple(x.shape[2] for x in seen) == maps
    assert [x.shape[1] for x in seen] == [96, 256, 256, 256]


def test_224_pixels_give_the_same_parameters() -> None:
    assert cost(AlexNet(), ImageSpec(3, 224, 224)).params == 60_965_224


def test_the_size_of_the_last_map_is_that_of_the_network() -> None:
    for side in (*range(4, 70), *range(120, 135), 299):
        image = ImageSpec(3, side, side + 3)
        with torch.device("meta"):
            net = build(NARROW, image, 7).eval()
            maps = net.features(torch.empty(1, *image.shape))
            assert net.head(maps[-1]).shape == (1, 7), side
        assert min(maps[-1].shape[2:]) >= 2, side
    assert last_side(227, 4, False, (2, 2, 2)) == 6


def test_response_norm_is_pytorchs_without_5_dimensions() -> None:
    torch.manual_seed(0)
    x = 100 * torch.randn(2, 12, 9, 7)
    theirs = nn.LocalResponseNorm(5, 1e-4, 0.75, 2.0)
    ours = ResponseNorm(5, 1e-4, 0.75, 2.0)
    torch.testing.assert_close(ours(x), theirs(x))
    assert (ours(x) - x / 2**0.75).abs().max() > 1  # the neighbours count


def test_response_norm_by_the_formula_of_section_3_3() -> None:
    x = torch.tensor([3.0, 100.0, 0.0, 50.0, 1.0, 7.0]).reshape(1, 6, 1, 1)
    squares = [9.0, 10_000.0, 0.0, 2_500.0, 1.0, 49.0]
    expected = [
        value.item() / (2 + 1e-4 / 5 * sum(squares[max(0, i - 2) : i + 3])) ** 0.75 for i, value in enumerate(x.ravel())
    ]
    assert ResponseNorm(5, 1e-4, 0.75, 2.0)(x).ravel().tolist() == pytest.approx(expected, rel=1e-5)


def test_order_is_convolution_relu_normalisation_pool() -> None:
    net = build(AlexNet(width=0.125), CROP, 10)
    kinds = [
        type(module).__name__
        for module in net.modules()
        if not list(module.children()) and not isinstance(module, nn.Dropout)
    ]
    assert kinds == [
        *("Conv2d", "ReLU", "ResponseNorm", "MaxPool2d"),
        *("Conv2d", "ReLU", "ResponseNorm", "MaxPool2d"),
        *("Conv2d", "ReLU") * 3,
        *("MaxPool2d", "Flatten", "Linear", "ReLU", "Linear", "ReLU", "Linear"),
    ]


def test_a_grouped_convolution_does_not_see_the_other_group() -> None:
    torch.manual_seed(0)
    conv2 = convs(build(NARROW, SMALL, 10))[1]
    x = torch.randn(1, conv2.in_channels, 5, 5)
    y = x.clone()
    y[:, conv2.in_channels // 2 :] += 1
    half = conv2.out_channels // 2
    assert torch.equal(conv2(x)[:, :half], conv2(y)[:, :half])
    assert not torch.equal(conv2(x)[:, half:], conv2(y)[:, half:])


def test_initial_values_are_those_of_section_5() -> None:
    torch.manual_seed(0)
    net = build(AlexNet(width=0.5), SMALL, 1000)
    layers = [module for module in net.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    for layer in layers:
        assert layer.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert [layer.bias[0].item() for layer in layers] == [0, 1, 0, 1, 1, 1, 1, 0]


def test_batch_norm_replaces_the_biases_of_convolutions() -> None:
    net = build(AlexNet(width=0.125, batch_norm=True), SMALL, 10)
    assert all(conv.bias is None for conv in convs(net))
    assert sum(isinstance(module, nn.BatchNorm2d) for module in net.modules()) == 5
    assert all((module.bias == 0).all() for module in net.modules() if isinstance(module, nn.Linear))


@pytest.mark.parametrize("groups", [1, 2, 8, 32])
@pytest.mark.parametrize("width", [0.01, 0.3, 0.77, 1.5])
def test_any_width_divides_into_its_groups(groups: int, width: float) -> None:
    with torch.device("meta"):
        net = build(AlexNet(groups=groups, grouped="all", width=width), SMALL, 10).eval()
        assert net(torch.empty(1, *SMALL.shape)).shape == (1, 10)
    assert all(conv.out_channels % groups == 0 for conv in convs(net))


def test_response_norm_leaves_as_onnx_of_4_dimensions(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = build(NARROW, ImageSpec(3, 40, 32), 3).eval()
    with torch.no_grad():
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight)  # from values of 0.01 all images look alike
                nn.init.zeros_(layer.bias)
        convs(net)[0].weight *= 100  # so that the normalisation matters
    preprocess = Preprocess(3, 40, 32, (120.0, 115.0, 105.0), (60.0, 59.0, 58.0))
    images = np.random.default_rng(0).integers(0, 256, (4, 40, 32, 3), dtype=np.uint8)
    with torch.no_grad():
        logits = net(preprocess.apply(images))
        list(net.modules())[-1].weight /= logits.std()
        expected = torch.softmax(net(preprocess.apply(images)), 1).numpy()
    path = to_onnx(net, preprocess, ("a", "b", "c"), tmp_path / "model.onnx")
    seen = open_session(path).run(None, {"image": images})[0]
    np.testing.assert_allclose(seen, expected, atol=1e-4)
    assert np.ptp(expected, axis=0).max() > 0.01
    model = onnx.shape_inference.infer_shapes(onnx.load(path), strict_mode=True)
    assert sum(node.op_type == "Pow" for node in model.graph.node) == 2
    assert max(len(value.type.tensor_type.shape.dim) for value in model.graph.value_info) == 4


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"groups": 3}, "3 groups: they must divide"),
        ({"groups": 64}, "64 groups: they must divide"),
        ({"groups": 0}, "0 groups"),
        ({"groups": -2}, "-2 groups"),
        ({"grouped": "none"}, "'none': it must be paper or all"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": -0.1}, "dropout"),
        ({"dropout": float("nan")}, "dropout"),
        ({"width": 0.0}, "above 0"),
        ({"width": float("nan")}, "above 0"),
    ],
)
def test_configs_that_cannot_be_built_are_refused(change: dict[str, object], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        build(replace(AlexNet(), **change), CROP, 10)  # type: ignore[arg-type]
