"""The counts of ResNeXt's tables 2 to 6, the three forms of its block, CIFAR (shared/facts/resnext.md)."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from sprat.cost import Cost, count
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo import build, get_preset, published_input
from sprat.zoo.resnext import FORMS, Block, EarlyConcat, ResNeXt, SplitTransformSum, grouped

SMALL = ImageSpec(3, 32, 32)


def cost(config: ResNeXt, side: int = 224, classes: int = 1000) -> Cost:
    image = ImageSpec(3, side, side)
    with torch.device("meta"):
        return count(build(config, image, classes), image)


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        ("50_1x64d", 25_557_032, 4_089_184_256),
        ("50_2x40d", 25_425_000, 4_124_508_160),
        ("50_4x24d", 25_292_968, 4_159_832_064),
        ("50_8x14d", 25_603_016, 4_267_409_408),
        ("50_32x4d", 25_028_904, 4_230_479_872),
        ("101_1x64d", 44_549_160, 7_801_405_440),
        ("101_2x40d", 44_456_296, 7_843_553_280),
        ("101_4x24d", 44_363_432, 7_885_701_120),
        ("101_8x14d", 45_104_328, 8_076_871_680),
        ("101_32x4d", 44_177_704, 7_969_996_800),
        ("101_1x100d", 85_611_336, 15_272_862_720),
        ("101_2x64d", 84_198_184, 15_123_087_360),
        ("101_64x4d", 83_455_272, 15_460_270_080),
    ],
)
def test_tables_3_and_4(name: str, params: int, macs: int) -> None:
    seen = cost(get_preset(f"resnext{name}"))
    assert (seen.params, seen.macs) == (params, macs)


def test_depth_152_of_one_group_is_resnet_152() -> None:
    seen = cost(ResNeXt(depth=152, groups=1, group_width=64))
    assert (seen.params, seen.macs) == (60_192_808, 11_513_626_624)


def test_table_5_takes_images_of_320_pixels() -> None:
    assert cost(get_preset("resnext101_64x4d"), 320).macs == 31_549_440_000  # NASNet's table prints 31.5B


@pytest.mark.parametrize(
    ("name", "params"),
    [("50_1x64d", 33_753_032), ("50_32x4d", 33_224_904), ("101_1x64d", 52_745_160), ("101_32x4d", 52_373_704)],
)
def test_table_6_has_5000_classes(name: str, params: int) -> None:
    assert cost(get_preset(f"resnext{name}"), classes=5000).params == params


@pytest.mark.parametrize(
    ("groups", "group_width", "params"),
    [(1, 64, 69_632), (2, 40, 69_760), (4, 24, 69_888), (8, 14, 71_456), (32, 4, 70_144)],
)
@pytest.mark.parametrize("form", FORMS)
def test_table_2_weights_of_a_block_of_256_channels(form: str, groups: int, group_width: int, params: int) -> None:
    with torch.device("meta"):
        branch = FORMS[form](256, group_width, 256, 1, groups)
    assert sum(p.numel() for p in branch.parameters() if p.dim() == 4) == params


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("resnext29_8x64d", 34_426_698),  # printed 34.4M
        ("resnext29_16x64d", 68_155_210),  # printed 68.1M
        ("resnext29_32x4d", 4_775_754),
        ("resnext29_1x64d", 4_914_250),
    ],
)
def test_cifar_networks(name: str, params: int) -> None:
    image, classes = published_input(name)
    assert (image, classes) == (SMALL, 10)
    seen = cost(get_preset(name), 32, classes)
    assert seen.params == params
    convs = sum(row.macs > 0 for row in seen.layers)
    assert convs == 29 + 3  # and the projections of the three stages


def test_the_width_of_the_3x3_doubles_from_stage_to_stage() -> None:
    with torch.device("meta"):
        net = build(get_preset("resnext101_1x100d"), ImageSpec(3, 224, 224), 10)
    convs = [net.get_submodule(f"stages.{stage}.{3 if stage == 0 else 2}.branch.1.0") for stage in range(4)]
    assert [conv.out_channels for conv in convs] == [100, 200, 400, 800]


def test_strides_are_on_the_3x3_of_the_first_block_and_on_its_shortcut() -> None:
    with torch.device("meta"):
        net = build(ResNeXt(), ImageSpec(3, 224, 224), 10)
        maps = net.features(torch.empty(1, 3, 224, 224))
    strided = [n for n, m in net.named_modules() if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
    assert strided == ["stem.0"] + [f"stages.{s}.0.{part}" for s in (1, 2, 3) for part in ("shortcut.0", "branch.1.0")]
    assert [tuple(x.shape[1:]) for x in maps] == [
        (64, 112, 112),
        (256, 56, 56),
        (512, 28, 28),
        (1024, 14, 14),
        (2048, 7, 7),
    ]


def test_block_adds_before_its_relu_and_projects_on_change_alone() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 16, 7, 5)
    same, change = Block(16, 16, 1, grouped(16, 2, 16, 1, 4)).eval(), Block(16, 32, 2, grouped(16, 2, 32, 2, 4)).eval()
    assert isinstance(same.shortcut, nn.Identity)
    torch.testing.assert_close(same(x), torch.relu(x + same.branch(x)))
    assert change(x).shape == (2, 32, 4, 3)


def split(key: str, value: Tensor, groups: int, form: str) -> dict[str, Tensor]:
    """One tensor of form C under the names of form A or B, cut into the paths it belongs to."""
    layer, rest = key.split(".", 1)
    if layer == "2":
        if form == "B":
            return {f"expand.{rest}": value}
        if rest.startswith("1."):
            return {f"norm.{rest[2:]}": value}
        return {f"paths.{g}.2.weight": part for g, part in enumerate(value.chunk(groups, dim=1))}
    parts = value.chunk(groups) if value.dim() else (value,) * groups
    return {f"paths.{g}.{key}": part for g, part in enumerate(parts)}


@pytest.mark.parametrize("form", ["A", "B"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_three_forms_compute_the_same(form: str, training: bool, stride: int) -> None:
    torch.manual_seed(0)
    groups = 4
    c = grouped(12, 3, 20, stride, groups).double().train(training)
    for module in c.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    other = FORMS[form](12, 3, 20, stride, groups).double().train(training)
    pieces = [split(key, value, groups, form) for key, value in c.state_dict().items()]
    other.load_state_dict({name: part for piece in pieces for name, part in piece.items()})

    x = torch.randn(5, 12, 7, 6, dtype=torch.float64)
    outputs, inputs = [], []
    for branch in (c, other):
        y = x.clone().requires_grad_()
        outputs.append(branch(y))
        (outputs[-1] ** 3).sum().backward()
        inputs.append(y.grad)
    torch.testing.assert_close(outputs[1], outputs[0])
    torch.testing.assert_close(inputs[1], inputs[0])
    gradients = {name: parameter.grad for name, parameter in other.named_parameters()}
    for key, parameter in c.named_parameters():
        for name, wanted in split(key, parameter.grad, groups, form).items():
            torch.testing.assert_close(gradients.pop(name), wanted)
    assert not gradients


def test_form_a_has_one_batch_norm_after_its_sum() -> None:
    branch = SplitTransformSum(8, 2, 16, 1, 3)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in branch.modules()) == 2 * 3 + 1
    early = EarlyConcat(8, 2, 16, 1, 3)
    assert early.expand[0].in_channels == 6


def test_the_forms_cost_the_same() -> None:
    config = ResNeXt(depth=29, stem="cifar", groups=4, width=0.25)
    seen = [cost(replace(config, form=form), 32, 10) for form in FORMS]
    assert len({(one.params, one.macs) for one in seen}) == 1


@pytest.mark.parametrize("form", FORMS)
def test_initial_values_are_those_of_form_c(form: str) -> None:
    torch.manual_seed(0)
    net = build(ResNeXt(depth=11, stem="cifar", groups=2, group_width=32, form=form), SMALL, 10)
    stds: dict[tuple[int, ...], float] = {}
    for kernel, of in ((3, "branch"), (1, "branch")):
        weights = [
            p.flatten()
            for name, p in net.stages[0][0].named_parameters()
            if of in name and p.dim() == 4 and p.shape[-1] == kernel and p.shape[0] != 256
        ]
        stds[(kernel,)] = torch.cat(weights).std().item()
    assert stds[(3,)] == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.05)
    assert stds[(1,)] == pytest.approx((2 / 64) ** 0.5, rel=0.05)
    last = [p.flatten() for p in net.stages[0][0].branch.parameters() if p.dim() == 4 and p.shape[0] == 256]
    assert torch.cat(last).std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.05)


def test_width_keeps_a_channel_in_every_group() -> None:
    with torch.device("meta"):
        net = build(ResNeXt(depth=29, stem="cifar", width=0.125), SMALL, 10)
    assert [net.get_submodule(f"stages.{s}.0.branch.1.0").out_channels for s in range(3)] == [32, 32, 64]
    assert cost(ResNeXt(depth=29, stem="cifar", width=0.125), 32, 10).params == 82_226


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"depth": 34}, "50, 101, 152"),
        ({"depth": 50, "stem": "cifar"}, r"9n \+ 2"),
        ({"depth": 2, "stem": "cifar"}, r"9n \+ 2"),
        ({"groups": 0}, "at least 1"),
        ({"group_width": 0}, "at least 1"),
        ({"form": "D"}, "A, B, C"),
        ({"stem": "svhn"}, "imagenet or cifar"),
        ({"width": 0.0}, "width"),
        ({"width": float("nan")}, "width"),
    ],
)
def test_configs_that_cannot_be_built_are_refused(change: dict[str, object], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        build(replace(ResNeXt(), **change), SMALL, 10)  # type: ignore[arg-type]


def test_too_small_an_image_is_refused() -> None:
    with pytest.raises(BadInput, match="at least 4 pixels"):
        build(ResNeXt(), ImageSpec(3, 3, 32), 10)
