"""The counts of Xception, the rows of its figure 5, the intermediate activations (shared/facts/xception.md)."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from sprat.cost import Cost, count
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo import build
from sprat.zoo.xception import Module, Xception, separable

CROP = ImageSpec(3, 299, 299)
SMALL = ImageSpec(3, 32, 32)


def cost(config: Xception, image: ImageSpec = CROP) -> Cost:
    with torch.device("meta"):
        return count(build(config, image, 1000), image)


def randomise(net: nn.Module) -> None:
    """Batch norm that does something."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 1.5)


@pytest.mark.parametrize("activation", ["none", "relu", "elu"])
def test_counts(activation: str) -> None:
    seen = cost(Xception(activation=activation))
    assert (seen.params, seen.macs) == (22_855_952, 8_357_403_496)
    assert sum(layer.params for layer in seen.layers if layer.kind != "norm") == 22_801_424


def test_printed_22_8_million_and_not_the_printed_8_38_billion() -> None:
    seen = cost(Xception())
    assert f"{seen.params // 10**5 / 10}" == "22.8"
    assert round(seen.macs / 1e9, 2) == 8.36  # 8.38 in the NASNet table, not explained


def test_fully_connected_layers_add_their_weights_and_nothing_else() -> None:
    plain, hidden = cost(Xception()), cost(Xception(fc_layers=2))
    added = (2048 * 4096 + 4096) + (4096 * 4096 + 4096) + (4096 * 1000 + 1000) - (2048 * 1000 + 1000)
    assert hidden.params - plain.params == added
    head = build(Xception(fc_layers=2, width=0.125), SMALL, 10).head
    kinds = [type(module).__name__ for module in head]
    assert kinds == ["AdaptiveAvgPool2d", "Flatten", "Linear", "ReLU", "Linear", "ReLU", "Dropout", "Linear"]
    assert head[-1].in_features == 512


def test_sizes_of_the_maps() -> None:
    with torch.device("meta"):
        maps = build(Xception(), CROP, 10).features(torch.empty(1, *CROP.shape))
    assert [tuple(x.shape[1:]) for x in maps] == [
        (64, 147, 147),
        (128, 74, 74),
        (256, 37, 37),
        (728, 19, 19),
        (2048, 10, 10),
    ]


def test_36_convolutions_without_biases_in_14_modules() -> None:
    with torch.device("meta"):
        net = build(Xception(), CROP, 10)
    convs = [(name, module) for name, module in net.named_modules() if isinstance(module, nn.Conv2d)]
    assert all(conv.bias is None for _, conv in convs)
    depthwise = [conv for _, conv in convs if conv.groups > 1]
    shortcuts = [conv for name, conv in convs if "shortcut" in name]
    assert len(depthwise) == 34
    assert len(convs) - len(depthwise) - len(shortcuts) == 36
    assert [conv.out_channels for conv in shortcuts] == [128, 256, 728, 1024]
    assert [conv.in_channels for conv in depthwise] == [64, 128, 128, 256, 256, *[728] * 27, 1024, 1536]
    assert sum(isinstance(module, Module) for module in net.modules()) == 12
    assert {module.eps for module in net.modules() if isinstance(module, nn.BatchNorm2d)} == {1e-3}


@pytest.mark.parametrize(
    ("activation", "function"),
    [("none", nn.Identity()), ("relu", torch.relu), ("elu", nn.functional.elu)],
)
def test_the_activation_lies_between_depthwise_and_pointwise(activation: str, function: nn.Module) -> None:
    torch.manual_seed(0)
    layer = separable(6, 4, activation).eval()
    depthwise, pointwise = [module for module in layer.modules() if isinstance(module, nn.Conv2d)]
    x = torch.randn(2, 6, 5, 5)
    between = nn.functional.conv2d(x, depthwise.weight, padding=1, groups=6)
    expected = nn.functional.conv2d(function(between), pointwise.weight) / (1 + 1e-3) ** 0.5
    torch.testing.assert_close(layer(x), expected)


def test_the_shortcut_takes_the_input_before_the_relu() -> None:
    torch.manual_seed(0)
    middle = Module(5, (5, 5, 5), 1, "none", True).eval()
    strided = Module(5, (7, 7), 2, "none", True).eval()
    randomise(middle)
    randomise(strided)
    x = -torch.rand(1, 5, 9, 9)  # the branch sees zeros, the shortcut does not
    assert not list(middle.shortcut.parameters())
    torch.testing.assert_close(middle(x) - middle.branch(torch.zeros_like(x)), x)
    y = 2 * x
    assert torch.equal(strided.branch(x), strided.branch(y))
    torch.testing.assert_close(strided(x) - strided(y), strided.shortcut(x) - strided.shortcut(y))
    assert (strided(x) - strided(y)).abs().max() > 0.1


def test_modules_2_and_14_have_no_leading_relu() -> None:
    net = build(Xception(width=0.125), SMALL, 10)
    modules = [module for module in net.modules() if isinstance(module, Module)]
    assert [isinstance(module.branch[0], nn.ReLU) for module in modules] == [False, *[True] * 11]
    kinds = [type(layer).__name__ for layer in net.stages[-1]]
    assert kinds == ["Module", "Sequential", "ReLU", "Sequential", "ReLU"]


def test_small_and_odd_images() -> None:
    for height, width in [(8, 8), (5, 9), (4, 300), (32, 32), (64, 48), (127, 127), (128, 131), (224, 224)]:
        image = ImageSpec(3, height, width)
        with torch.device("meta"):
            net = build(Xception(width=0.125), image, 7).eval()
            maps = net.features(torch.empty(1, *image.shape))
            assert net.head(maps[-1]).shape == (1, 7)
        assert min(maps[-1].shape[2:]) >= 2, (height, width)


@pytest.mark.parametrize(("side", "strides"), [(8, (1, 1, 1, 1, 2)), (32, (1, 1, 2, 2, 2)), (128, (2, 2, 2, 2, 2))])
def test_a_pool_of_stride_1_is_left_out(side: int, strides: tuple[int, ...]) -> None:
    net = build(Xception(width=0.0625), ImageSpec(3, side, side), 10)
    modules = [module for module in net.modules() if isinstance(module, Module)]
    pooled = [isinstance(module.branch[-1], nn.MaxPool2d) for module in modules]
    first, *pools = strides
    assert net.stem[0][0].stride == (first, first)
    assert pooled == [*(stride == 2 for stride in pools[:3]), *[False] * 8, pools[3] == 2]
    assert net.stem[0][0].padding == ((0, 0) if side >= 128 else (1, 1))


def test_initial_values_are_keras_glorot_uniform() -> None:
    torch.manual_seed(0)
    net = build(Xception(width=0.125, fc_layers=1), SMALL, 100)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):  # Keras: kernel area times (in + out); out is the multiplier where depthwise
            out = 1 if module.groups > 1 else module.out_channels
            bound = (6 / (module.kernel_size[0] ** 2 * (module.in_channels + out))) ** 0.5
            assert 0.9 * bound < module.weight.abs().max().item() <= bound * 1.0001
        if isinstance(module, nn.Linear):
            assert (module.bias == 0).all()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"activation": "gelu"}, "'gelu': it must be none or relu or elu"),
        ({"activation": ""}, "activation"),
        ({"fc_layers": -1}, "-1 fc_layers"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": float("nan")}, "dropout"),
        ({"width": 0.0}, "above 0"),
        ({"width": float("inf")}, "above 0"),
    ],
)
def test_configs_that_cannot_be_built_are_refused(change: dict[str, object], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        build(replace(Xception(), **change), CROP, 10)  # type: ignore[arg-type]
