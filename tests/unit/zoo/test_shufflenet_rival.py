"""The rivals of ShuffleNet's table 4: counts, units, initial values, refusals (shared/facts/shufflenet.md)."""

import pytest
import torch
from torch import nn

from sprat.cost import Cost, count
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo import build, get_preset
from sprat.zoo.shufflenet_rival import Bottleneck, ShuffleNetRival, vgg

IMAGENET = ImageSpec(3, 224, 224)


def cost(config: ShuffleNetRival) -> Cost:
    with torch.device("meta"):
        return count(build(config, IMAGENET, 1000), IMAGENET)


@pytest.mark.parametrize(
    ("name", "macs", "stage4"),
    [
        ("shufflenet_rival_resnet", 38_125_056, 192),  # printed 38M
        ("shufflenet_rival_vgg", 35_610_240, 48),  # 50 channels, as printed, are no four times a whole number
        ("shufflenet_rival_resnext", 45_350_400, 192),  # 8 groups, as the printed 16 do not divide
    ],
)
def test_counts_at_38_million(name: str, macs: int, stage4: int) -> None:
    seen = cost(get_preset(name))
    assert seen.macs == macs
    assert seen.layers[-1].in_shape == (stage4,)


def test_resnets_with_a_larger_conv1_does_not_count_38_million() -> None:
    assert cost(ShuffleNetRival(conv1=24)).macs == 43_092_480


@pytest.mark.parametrize(("name", "layers"), [("vgg", 34), ("resnet", 50 + 3), ("resnext", 50 + 3)])
def test_layers_are_those_of_sixteen_units_with_three_projections(name: str, layers: int) -> None:
    assert sum(row.macs > 0 for row in cost(get_preset(f"shufflenet_rival_{name}")).layers) == layers


def test_sizes_of_the_maps_are_those_of_table_1() -> None:
    with torch.device("meta"):
        maps = build(ShuffleNetRival(), IMAGENET, 10).features(torch.empty(1, *IMAGENET.shape))
    assert [tuple(x.shape[1:]) for x in maps] == [(12, 56, 56), (48, 28, 28), (96, 14, 14), (192, 7, 7)]


@pytest.mark.parametrize(("ratio", "groups", "name"), [(4, 1, "resnet"), (2, 8, "resnext")])
def test_unit_costs_of_section_3_2(ratio: int, groups: int, name: str) -> None:
    c, h, w = 48, 28, 28
    m = c // ratio
    with torch.device("meta"):
        unit = Bottleneck(c, c, 1, ratio, groups)
    assert count(unit, ImageSpec(c, h, w)).macs == h * w * (2 * c * m + 9 * m * m // groups)


def test_bottleneck_adds_before_its_relu_and_projects_on_change_alone() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 8, 7, 7)
    same, change = Bottleneck(8, 8, 1, 4, 1).eval(), Bottleneck(8, 16, 2, 4, 1).eval()
    assert isinstance(same.shortcut, nn.Identity)
    torch.testing.assert_close(same(x), torch.relu(x + same.branch(x)))
    assert change(x).shape == (2, 16, 4, 4)
    assert [module.stride for module in change.modules() if isinstance(module, nn.Conv2d)] == [
        (2, 2),
        (1, 1),
        (2, 2),
        (1, 1),
    ]


def test_vgg_unit_is_two_3x3_convolutions() -> None:
    convs = [module for module in vgg(8, 16, 2).modules() if isinstance(module, nn.Conv2d)]
    assert [(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride) for conv in convs] == [
        (8, 16, (3, 3), (2, 2)),
        (16, 16, (3, 3), (1, 1)),
    ]


def test_initial_values() -> None:
    torch.manual_seed(0)
    net = build(ShuffleNetRival(), ImageSpec(3, 32, 32), 1000)
    conv = net.get_submodule("stages.2.3.branch.2.0")
    assert conv.weight.std().item() == pytest.approx((2 / 192) ** 0.5, rel=0.05)
    assert net.head[-1].weight.std().item() == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (ShuffleNetRival(unit="xception"), "shufflenet_v1 with groups 1"),
        (ShuffleNetRival(unit="resnext", groups=16), "48 channels of stage 2 over 2 do not divide into 16 groups"),
        (ShuffleNetRival(unit="resnext", groups=0), "0 groups"),
        (ShuffleNetRival(stage2=50), "multiple of 4"),
        (ShuffleNetRival(stage2=0), "at least 1"),
        (ShuffleNetRival(conv1=0), "at least 1"),
        (ShuffleNetRival(groups=2), "only resnext has groups"),
        (ShuffleNetRival(dropout=1.0), "dropout"),
    ],
)
def test_configs_that_cannot_be_built_are_refused(config: ShuffleNetRival, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        build(config, IMAGENET, 10)
