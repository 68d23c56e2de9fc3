"""The counts of ShuffleNet's tables 1, 2, 5 and 6, unit, shuffle, variants (shared/facts/shufflenet.md)."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from sprat.cost import Cost, count
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo import build, get_preset
from sprat.zoo.shufflenet_v1 import (
    PRESETS,
    AddUnit,
    ChannelShuffle,
    ConcatUnit,
    ShuffleNetV1,
    SqueezeExcitation,
    channel_shuffle,
    widths,
)

IMAGENET = ImageSpec(3, 224, 224)


def cost(config: ShuffleNetV1, image: ImageSpec = IMAGENET) -> Cost:
    with torch.device("meta"):
        return count(build(config, image, 1000), image)


@pytest.mark.parametrize(
    ("groups", "without_fc", "with_fc", "params"),
    [
        (1, 142_502_976, 143_078_976, 1_531_936),
        (2, 140_036_512, 140_836_512, 1_733_848),
        (3, 136_500_672, 137_460_672, 1_865_728),
        (4, 133_251_776, 134_339_776, 1_968_344),
        (8, 136_829_952, 138_365_952, 2_434_768),
    ],
)
def test_table_1(groups: int, without_fc: int, with_fc: int, params: int) -> None:
    seen = cost(ShuffleNetV1(groups=groups))
    classifier = seen.layers[-1]
    assert classifier.kind == "linear"
    assert (seen.macs - classifier.macs, seen.macs, seen.params) == (without_fc, with_fc, params)


@pytest.mark.parametrize(
    ("scale", "groups", "stem", "macs"),
    [
        (2.0, 3, 48, 524_045_184),
        (1.5, 3, 24, 292_443_552),
        (0.5, 1, 12, 38_517_408),
        (0.5, 3, 12, 37_589_856),
        (0.5, 8, 16, 40_469_760),
        (0.25, 1, 12, 13_162_320),
        (0.25, 3, 12, 13_300_656),
    ],
)
def test_tables_2_5_and_6_count_the_classifier(scale: float, groups: int, stem: int, macs: int) -> None:
    config = ShuffleNetV1(groups=groups, scale=scale)
    assert widths(config)[0] == stem
    assert cost(config).macs == macs


def test_table_8_parameters_of_the_repository() -> None:
    assert cost(ShuffleNetV1(groups=3, scale=2.0)).params == 5_450_776


def test_unit_cost_is_the_formula_of_section_3_2() -> None:
    with torch.device("meta"):
        unit = AddUnit(240, 3)
    c, m, g, h, w = 240, 60, 3, 28, 28
    assert count(unit, ImageSpec(c, h, w)).macs == h * w * (2 * c * m // g + 9 * m) == 7_949_760


def test_the_first_pointwise_layer_of_stage_2_alone_is_not_grouped() -> None:
    rows = [row for row in cost(ShuffleNetV1(groups=3)).layers if "pointwise" in row.kind]
    assert [row.kind for row in rows] == ["pointwise"] + ["group pointwise"] * 31


def test_fifty_layers() -> None:
    assert sum(row.macs > 0 for row in cost(ShuffleNetV1()).layers) == 50


def test_shuffle_interleaves_the_groups() -> None:
    x = torch.arange(6.0).reshape(1, 6, 1, 1)
    assert channel_shuffle(x, 2).flatten().tolist() == [0, 3, 1, 4, 2, 5]
    assert channel_shuffle(x, 3).flatten().tolist() == [0, 2, 4, 1, 3, 5]


def test_shuffle_refuses_groups_that_do_not_divide() -> None:
    with pytest.raises(BadInput, match="4 does not divide 6"):
        channel_shuffle(torch.zeros(1, 6, 1, 1), 4)


def test_units_compute_what_figure_2_draws() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 24, 6, 6)
    add = AddUnit(24, 3).eval()
    torch.testing.assert_close(add(x), torch.relu(x + add.branch(x)))
    concat = ConcatUnit(24, 48, 2, 3, 1).eval()
    y = concat(x)
    assert y.shape == (2, 48, 3, 3)
    torch.testing.assert_close(y[:, :24], nn.functional.avg_pool2d(x, 3, 2, 1))
    assert (y[:, 24:] >= 0).all()


def test_every_input_reaches_every_output_of_two_group_convolutions_only_by_the_shuffle() -> None:
    torch.manual_seed(0)
    unit = AddUnit(24, 3).eval()
    x = torch.randn(1, 24, 3, 3, requires_grad=True)
    branch = unit.branch(x)
    reached = torch.autograd.grad(branch[0, 0].sum(), x)[0].abs().sum((0, 2, 3)) > 0
    assert reached[8:].any(), "the first output channel sees the first group only"


def test_initial_values_are_the_authors() -> None:
    torch.manual_seed(0)
    net = build(ShuffleNetV1(groups=3), ImageSpec(3, 32, 32), 1000)
    weights = {
        name: module.weight.std().item() for name, module in net.named_modules() if isinstance(module, nn.Conv2d)
    }
    assert weights["stem.0.0"] == pytest.approx(0.01, rel=0.1)
    unit = net.get_submodule("stages.1.1.branch")
    convs = [module for module in unit.modules() if isinstance(module, nn.Conv2d)]
    assert convs[0].weight.std().item() == pytest.approx(1 / 160, rel=0.05)
    assert convs[1].weight.std().item() == pytest.approx(1.0, rel=0.1)
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all((norm.bias == 1e-4).all() and (norm.weight == 1).all() and norm.eps == 1e-5 for norm in norms)


def test_squeeze_and_excitation_adds_2_88_million_macs() -> None:
    plain, with_se = (cost(get_preset(name)) for name in ("shufflenet_v1_2.0_g3", "shufflenet_v1_2.0_g3_se"))
    assert with_se.macs == 526_925_184  # printed 527M
    assert with_se.macs - plain.macs == 2_880_000
    weights_and_biases = sum(n * (2 * c * c // 16 + c // 16 + c) for n, c in ((4, 480), (8, 960), (4, 1920)))
    assert with_se.params - plain.params == weights_and_biases


def test_squeeze_and_excitation_scales_channels() -> None:
    torch.manual_seed(0)
    gate = SqueezeExcitation(8, 2)
    x = torch.randn(2, 8, 5, 3)
    ratio = gate(x) / x
    torch.testing.assert_close(ratio, ratio[:, :, :1, :1].expand_as(ratio), rtol=1e-4, atol=1e-5)
    assert (ratio > 0).all()
    assert (ratio < 1).all()


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.25])
@pytest.mark.parametrize("groups", [3, 8])
def test_table_3_compares_networks_of_equal_cost(scale: float, groups: int) -> None:
    without = get_preset(f"shufflenet_v1_{scale}_g{groups}_noshuffle")
    assert without == replace(get_preset(f"shufflenet_v1_{scale}_g{groups}"), shuffle=False)
    seen, wanted = cost(without), cost(replace(without, shuffle=True))
    assert (seen.macs, seen.params) == (wanted.macs, wanted.params)
    with torch.device("meta"):
        nets = [build(replace(without, shuffle=shuffle), IMAGENET, 10) for shuffle in (True, False)]
    assert [sum(isinstance(module, ChannelShuffle) for module in net.modules()) for net in nets] == [16, 0]


@pytest.mark.parametrize(("shuffle", "seen"), [(True, 36), (False, 12)])
def test_only_the_shuffle_lets_an_output_see_the_other_groups(shuffle: bool, seen: int) -> None:
    torch.manual_seed(0)
    unit = AddUnit(36, 3, shuffle).eval()
    nn.init.constant_(unit.branch[0][1].bias, 10.0)  # no ReLU is dead, so that every path carries a gradient
    x = torch.randn(1, 36, 3, 3, requires_grad=True)
    reached = torch.autograd.grad(unit.branch(x)[0, 0].sum(), x)[0].abs().sum((0, 2, 3)) > 0
    assert reached.sum() == seen


@pytest.mark.parametrize(
    ("config", "macs"),
    [
        # Table 5 prints 40M for the shallow network: its width is not stated.
        (ShuffleNetV1(groups=3, scale=0.5, units=(2, 4, 2)), 21_584_496),
        (ShuffleNetV1(groups=3, scale=0.5, units=(2, 4, 2), stage2=180), 41_634_216),
        # 38M for 0.5x with 4 groups: 4 x 136 does not divide, and the text gives stage 4 576 channels.
        (ShuffleNetV1(groups=4, scale=0.5, stage2=144), 40_710_528),
        (ShuffleNetV1(groups=4, scale=0.5, stage2=144, conv1=8), 38_932_416),
        (ShuffleNetV1(groups=4, scale=0.5, stage2=128), 33_427_456),
        # 13M for 0.25x comes out with 12 channels in conv1, not with half of them.
        (ShuffleNetV1(groups=1, scale=0.25, conv1=6), 11_003_184),
        (ShuffleNetV1(groups=3, scale=0.25, conv1=6), 11_009_808),
    ],
)
def test_widths_that_are_printed_or_tried(config: ShuffleNetV1, macs: int) -> None:
    assert cost(config).macs == macs


def test_the_shallow_network_has_26_layers() -> None:
    assert sum(row.macs > 0 for row in cost(get_preset("shufflenet_v1_0.5_g3_shallow")).layers) == 26


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (ShuffleNetV1(stage2=140), "does not divide into 3 groups"),
        (ShuffleNetV1(stage2=0), "does not divide"),
        (ShuffleNetV1(groups=0, stage2=120), "does not divide into 0 groups"),
        (ShuffleNetV1(conv1=25), "less the 25 of conv1"),
        (ShuffleNetV1(conv1=0), "less the 0 of conv1"),
        (ShuffleNetV1(conv1=240), "less the 240 of conv1"),
        (ShuffleNetV1(units=(2, 0, 2)), "at least 1"),
        (ShuffleNetV1(se_ratio=0), "se_ratio"),
        (ShuffleNetV1(dropout=1.0), "dropout"),
    ],
)
def test_variants_that_cannot_be_built_are_refused(config: ShuffleNetV1, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        build(config, IMAGENET, 10)


@pytest.mark.parametrize(
    ("groups", "scale", "why"),
    [
        (2, 0.5, "does not divide into 2 groups"),  # printed in table 2, widths unknown
        (4, 0.5, "does not divide into 4 groups"),
        (3, 0.33, "whole number"),
        (5, 1.0, "1, 2, 3, 4 or 8 groups"),
        (3, 0.0, "above 0"),
        (3, float("nan"), "above 0"),
        (3, float("inf"), "above 0"),
    ],
)
def test_channels_that_do_not_divide_are_refused(groups: int, scale: float, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        build(ShuffleNetV1(groups=groups, scale=scale), IMAGENET, 10)


def test_every_preset_divides() -> None:
    assert len(PRESETS) == 27
    for config in PRESETS.values():
        stem, stage2 = widths(config)
        assert (stage2 - stem) % config.groups == 0
        assert stage2 // 4 % config.groups == 0
