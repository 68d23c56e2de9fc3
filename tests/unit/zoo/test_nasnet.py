"""The counts of NASNet-A's networks, cells of every operation against a naive one, drop path (facts/nasnet.md)."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from sprat.cost import Cost, count
from sprat.cost.trace import trace
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo import build, config_from_dict, config_to_dict, get_preset, published_input
from sprat.zoo.nasnet import NORMAL, PRESETS, REDUCTION, NASNet, places
from sprat.zoo.nasnet_cell import OPS, Cell, Map, NASNetCell, Step, layers, unread

CIFAR = ImageSpec(3, 32, 32)
TINY = NASNet(cells=1, filters=96, stem="cifar", dropout=0.0, eps=1e-5)
# Every operation, on each kind of state; the outputs hold both inputs.
EVERY = Cell(
    steps=(
        Step("conv1", 1, "dilated3", 0),
        Step("conv3", 0, "max5", 1),
        Step("conv1x7_7x1", 1, "identity", 1),
        Step("max7", 2, "conv1x3_3x1", 0),
        Step("sep7", 1, "avg3", 1),
        Step("max3", 6, "sep3", 3),
        Step("sep5", 6, "identity", 4),
    ),
    outputs=(0, 1, 5, 7, 8),
)


def cost(config: NASNet, side: int, classes: int) -> Cost:
    image = ImageSpec(3, side, side)
    with torch.device("meta"):
        return count(build(config, image, classes), image)


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        ("nasnet_a_4_1056", 5_289_978, 563_638_816),
        ("nasnet_a_6_4032", 88_753_150, 23_783_414_658),
        ("nasnet_a_6_768", 3_346_538, 544_333_312),
        ("nasnet_a_7_2304", 32_590_954, 5_151_250_944),
        ("nasnet_a_2_768", 1_294_698, 232_185_344),
    ],
)
def test_counts(name: str, params: int, macs: int) -> None:
    image, classes = published_input(name)
    seen = cost(get_preset(name), image.height, classes)
    assert (seen.params, seen.macs) == (params, macs)


def test_6_2304_counts_nearer_to_the_size_printed_for_7_2304() -> None:
    assert cost(replace(get_preset("nasnet_a_6_768"), filters=2304), 32, 10).params == 28_213_546


@pytest.mark.parametrize(
    ("name", "stem", "params", "macs"),
    [
        ("nasnet_a_7_1920", "large", 24_615_213, 5_373_741_052),
        ("nasnet_a_7_1920", "mobile", 24_597_805, None),
        ("nasnet_a_5_1536", "large", 12_264_953, 2_686_419_120),
        ("nasnet_a_5_1536", "mobile", 12_249_081, None),
    ],
)
def test_networks_of_table_2_at_299_pixels_have_1001_classes(
    name: str, stem: str, params: int, macs: int | None
) -> None:
    config = replace(get_preset(name), stem=stem)
    seen = cost(config, 299, 1001)
    assert seen.params == params
    assert macs in (seen.macs, None)
    assert cost(config, 299, 1000).params == params - config.filters - 1


@pytest.mark.parametrize(
    ("name", "with_statistics"),
    [("nasnet_a_4_1056", 5_326_716), ("nasnet_a_6_4032", 88_949_818), ("nasnet_a_6_768", 3_383_786)],
)
def test_sizes_printed_by_others_count_the_statistics_of_batch_norm(name: str, with_statistics: int) -> None:
    image, classes = published_input(name)
    with torch.device("meta"):
        net = build(get_preset(name), image, classes)
    tensors = [tensor for tensor in net.state_dict().values() if tensor.ndim]
    assert sum(tensor.numel() for tensor in tensors) == with_statistics


def test_parameters_without_batch_norm() -> None:
    rows = cost(get_preset("nasnet_a_6_768"), 32, 10).layers
    assert sum(row.params for row in rows if row.kind != "norm") == 3_309_290


@pytest.mark.parametrize(
    ("name", "extra"), [("nasnet_a_4_1056", 2_411_240), ("nasnet_a_6_4032", 4_567_784), ("nasnet_a_6_768", 1_631_498)]
)
def test_auxiliary_head_adds_parameters_and_no_macs_to_forward(name: str, extra: int) -> None:
    image, classes = published_input(name)
    config = get_preset(name)
    plain, with_head = (cost(c, image.height, classes) for c in (config, replace(config, auxiliary=True)))
    assert with_head.params - plain.params == extra
    assert with_head.macs == plain.macs


def test_skipping_the_input_of_reductions_changes_no_count() -> None:
    config = NASNet(cells=2, filters=192)
    plain, skipping = (cost(replace(config, skip_reduction_input=skip), 224, 10) for skip in (False, True))
    assert (plain.params, plain.macs) == (skipping.params, skipping.macs)


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("nasnet_a_4_1056", [(32, 111), (44, 56), (264, 28), (528, 14), (1056, 7)]),
        ("nasnet_a_6_4032", [(96, 165), (168, 83), (1008, 42), (2016, 21), (4032, 11)]),
        ("nasnet_a_6_768", [(96, 32), (192, 32), (384, 16), (768, 8)]),
    ],
)
def test_maps(name: str, shapes: list[tuple[int, int]]) -> None:
    image, classes = published_input(name)
    with torch.device("meta"):
        maps = build(get_preset(name), image, classes).eval().features(torch.empty(1, *image.shape))
    assert [tuple(x.shape[1:]) for x in maps] == [(channels, side, side) for channels, side in shapes]


def test_places_of_the_cells() -> None:
    base = {"nasnet_a_4_1056": 44, "nasnet_a_6_4032": 168, "nasnet_a_6_768": 32, "nasnet_a_7_2304": 96}
    base |= {"nasnet_a_7_1920": 80, "nasnet_a_5_1536": 64, "nasnet_a_2_768": 32}
    assert base.keys() == PRESETS.keys()
    for name, f in base.items():
        config = PRESETS[name]
        stem = [] if config.stem == "cifar" else [(f // 4, 2), (f // 2, 2)]
        expected = [(f, 1)] * config.cells
        for filters in (2 * f, 4 * f):
            expected += [(filters, 2), *[(filters, 1)] * config.cells]
        assert [(place.filters, place.stride) for place in places(config)] == [*stem, *expected]


class Straight:
    """A CIFAR network written down naively: each tensor of the state dict is used once, in its order."""

    def __init__(self, net: nn.Module, config: NASNet) -> None:
        self.values: Iterator[Tensor] = iter([value for value in net.state_dict().values() if value.ndim])
        self.config = config

    def conv_bn(self, x: Tensor, stride: tuple[int, int] = (1, 1), groups: int = 1, dilation: int = 1) -> Tensor:
        return self.norm(self.conv(x, stride, groups, dilation))

    def conv(self, x: Tensor, stride: tuple[int, int] = (1, 1), groups: int = 1, dilation: int = 1) -> Tensor:
        weight = next(self.values)
        padding = [side // 2 * dilation for side in weight.shape[2:]]
        return torch.conv2d(x, weight, None, stride, padding, dilation, groups)

    def norm(self, x: Tensor) -> Tensor:
        gain, bias, mean, variance = (next(self.values).view(1, -1, 1, 1) for _ in range(4))
        return (x - mean) / (variance + self.config.eps).sqrt() * gain + bias

    def pool(self, op: str, x: Tensor, stride: int) -> Tensor:
        kernel = int(op[3])
        fill = float("nan") if op == "avg3" else -1e9
        padded = nn.functional.pad(x, (kernel // 2,) * 4, value=fill)
        windows = padded.unfold(2, kernel, stride).unfold(3, kernel, stride).flatten(4)
        return windows.nanmean(4) if op == "avg3" else windows.amax(4)

    def operation(self, op: str, x: Tensor, f: int, s: int) -> Tensor:
        if op == "identity":
            return x if s == 1 and x.shape[1] == f else self.conv_bn(x.relu(), (s, s))
        if op[:3] in ("avg", "max"):
            x = self.pool(op, x, s)
            return x if x.shape[1] == f else self.conv_bn(x)
        if op.startswith("sep"):
            for stride in (s, 1):
                x = self.conv_bn(self.conv(x.relu(), (stride, stride), groups=x.shape[1]))
            return x
        if op.startswith("conv1x"):
            return self.conv_bn(self.conv_bn(x.relu(), (1, s)).relu(), (s, 1))
        return self.conv_bn(x.relu(), (s, s), dilation=2 if op == "dilated3" else 1)

    def halve(self, x: Tensor) -> Tensor:
        shifted = nn.functional.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        return torch.cat([self.conv_bn(x, (2, 2)), self.conv_bn(shifted, (2, 2))], 1)

    def cell(self, cell: Cell, older: Tensor | None, newer: Tensor, f: int, stride: int) -> Tensor:
        states = [self.conv_bn(newer.relu())]
        if older is None:
            older = newer
        elif older.shape[2] != newer.shape[2]:
            older = self.halve(older.relu())
        elif older.shape[1] != f:
            older = self.conv_bn(older.relu())
        states.append(older)
        for step in cell.steps:
            left = self.operation(step.left_op, states[step.left_input], f, stride if step.left_input < 2 else 1)
            right = self.operation(step.right_op, states[step.right_input], f, stride if step.right_input < 2 else 1)
            states.append(left + right)
        for state in cell.outputs:
            if states[state].shape[2] != states[-1].shape[2]:
                states[state] = self.halve(states[state])
            elif states[state].shape[1] != f:
                states[state] = self.conv_bn(states[state])
        return torch.cat([states[state] for state in cell.outputs], 1)

    def logits(self, x: Tensor, strides: tuple[int, int]) -> Tensor:
        config = self.config
        outputs: list[Tensor] = [self.conv_bn(x)]
        f = config.filters // (4 * len(config.normal.outputs))
        for number in range(3 * config.cells):
            before = outputs[-2] if len(outputs) > 1 else None
            if number in (config.cells, 2 * config.cells):
                f *= 2
                stride = strides[number // config.cells - 1]
                outputs.append(self.cell(config.reduction, outputs[-2], outputs[-1], f, stride))
                if not config.skip_reduction_input:
                    before = outputs[-2]
            outputs.append(self.cell(config.normal, before, outputs[-1], f, 1))
        weight, bias = self.values
        return outputs[-1].relu().mean((2, 3)) @ weight.T + bias


def randomise(net: nn.Module) -> nn.Module:
    """Statistics and affine values of batch norm that a mix-up would show."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return net.eval()


@pytest.mark.parametrize(
    ("config", "image", "strides"),
    [
        (TINY, ImageSpec(3, 16, 21), (2, 2)),
        (replace(TINY, cells=2, skip_reduction_input=True, eps=1e-3), ImageSpec(1, 17, 19), (2, 2)),
        (TINY, ImageSpec(3, 9, 8), (1, 2)),
        (TINY, ImageSpec(3, 5, 6), (1, 1)),
        (replace(TINY, normal=EVERY, reduction=EVERY, filters=80), ImageSpec(3, 16, 19), (2, 2)),
        (replace(TINY, normal=EVERY, reduction=REDUCTION, filters=80), ImageSpec(3, 9, 8), (1, 2)),
        # One output: the older input has the width of a state already, and is left as it is.
        (replace(TINY, normal=Cell((Step("avg3", 0, "sep3", 1),), (2,)), filters=32), ImageSpec(3, 9, 8), (1, 2)),
    ],
)
def test_logits_are_those_of_a_straight_line(config: NASNet, image: ImageSpec, strides: tuple[int, int]) -> None:
    torch.manual_seed(0)
    net = randomise(build(config, image, 5)).double()
    x = torch.randn(2, *image.shape, dtype=torch.float64)
    with torch.no_grad():
        wanted = Straight(net, config).logits(x, strides)
        torch.testing.assert_close(net(x), wanted, rtol=1e-9, atol=1e-9)
        assert torch.equal(net(x), net.head(net.features(x)[-1]))
    assert (wanted[0] - wanted[1]).abs().max() > 1e-3 * wanted.abs().max()


def test_what_several_operations_begin_with_runs_once() -> None:
    with torch.device("meta"):
        ops = trace(build(replace(TINY, cells=2), CIFAR, 10), CIFAR).ops
    operators = Counter(op.operator for op in ops)
    # avg3 of states 0 and 1 in six normal cells, of states 0 and 2 in two reductions; one max3 in a reduction.
    assert operators["aten.avg_pool2d"] == 6 * 2 + 2 * 2
    assert operators["aten.max_pool2d_with_indices"] == 2
    # Each output once, states 0 and 1 of a normal cell, 0 to 2 of a reduction, and inside each of five separables;
    # the first cell's state 1 and the skipped projection of its identity read the ReLU of the stem.
    assert operators["aten.relu"] == 9 + 6 * (2 + 5) + 2 * (3 + 5) - 1


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize(("in_channels", "stride"), [(8, 1), (8, 2), (6, 1), (6, 2)])
def test_operations_cost_what_they_are(op: str, in_channels: int, stride: int) -> None:
    project = {"identity": in_channels * 8 + 16} if stride == 2 or in_channels != 8 else {"identity": 0}
    pool = in_channels * 8 + 16 if in_channels != 8 else 0
    params = {
        **project,
        **{f"sep{k}": k * k * (in_channels + 8) + 8 * (in_channels + 8) + 32 for k in (3, 5, 7)},
        **dict.fromkeys(("avg3", "max3", "max5", "max7"), pool),
        "conv1": 8 * in_channels + 16,
        "conv3": 72 * in_channels + 16,
        "dilated3": 72 * in_channels + 16,
        "conv1x3_3x1": 24 * in_channels + 16 + 24 * 8 + 16,
        "conv1x7_7x1": 56 * in_channels + 16 + 56 * 8 + 16,
    }
    made = layers(op, in_channels, 8, stride, 1e-3)
    assert sum(p.numel() for p in made.parameters()) == params[op] if made is not None else params[op] == 0
    cell = NASNetCell(Cell((Step(op, 1, op, 0),), (2,)), None, Map(in_channels, 0), 8, stride, 0.0, 1e-3)
    x = torch.randn(2, in_channels, 9, 6)
    assert cell(x, x.relu(), x.relu()).shape == (2, 8, -(-9 // stride), 6 // stride)


def random_cell(rng: random.Random) -> Cell:
    steps = tuple(
        Step(rng.choice(OPS), rng.randrange(state), rng.choice(OPS), rng.randrange(state)) for state in range(2, 7)
    )
    return Cell(steps, unread(steps))


@pytest.mark.parametrize("seed", range(12))
def test_any_searched_cell_builds_and_learns(seed: int) -> None:
    rng = random.Random(seed)
    normal, reduction = random_cell(rng), random_cell(rng)
    stem = ("cifar", "mobile")[seed % 2]
    filters = 16 * len(normal.outputs) * rng.choice((1, 2))
    config = NASNet(cells=1, filters=filters, stem=stem, normal=normal, reduction=reduction, auxiliary=True)
    again = config_from_dict(json.loads(json.dumps(config_to_dict(config))))
    assert again == config
    assert hash(again) == hash(config)
    torch.manual_seed(seed)
    # At 107 pixels every stride is as published.
    image = ImageSpec(3, *rng.choice(((15, 13), (107, 111))))
    net = build(config, image, 5)
    losses = [nn.functional.cross_entropy(y, torch.arange(4)) for y in net.with_auxiliary(torch.randn(4, *image.shape))]
    (losses[0] + net.auxiliary_weight * losses[1]).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_gradient_reaches_every_parameter() -> None:
    torch.manual_seed(0)
    net = build(replace(TINY, auxiliary=True), ImageSpec(3, 16, 16), 5)
    sum(y.log_softmax(1)[:, 0].sum() for y in net.with_auxiliary(torch.randn(4, 3, 16, 16))).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_unread_states_of_the_cells_of_nasnet_a() -> None:
    # The published outputs have two states more than those that no step reads.
    assert unread(NORMAL.steps) == (2, 3, 4, 5, 6)
    assert unread(REDUCTION.steps) == (4, 5, 6)


@pytest.mark.parametrize("stem", ["cifar", "mobile", "large"])
@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 5, 9), (3, 32, 32), (3, 64, 130), (3, 131, 150)])
def test_auxiliary_logits_at_every_size(stem: str, shape: tuple[int, int, int]) -> None:
    config = NASNet(cells=1, filters=96, stem=stem, auxiliary=True)
    with torch.device("meta"):
        net = build(config, ImageSpec(*shape), 7)
        x = torch.empty(2, *shape)
        assert [tuple(y.shape) for y in net.with_auxiliary(x)] == [(2, 7), (2, 7)]
        plain = build(replace(config, auxiliary=False), ImageSpec(*shape), 7)
        assert [tuple(y.shape) for y in plain.with_auxiliary(x)] == [(2, 7)]


def test_the_stem_is_padded_under_128_pixels() -> None:
    for side, after in ((128, 63), (127, 64), (97, 49), (96, 96)):
        with torch.device("meta"):
            net = build(NASNet(cells=1, filters=96), ImageSpec(3, side, side), 7).eval()
            maps = net.features(torch.empty(1, 3, side, side))
        assert maps[0].shape[-1] == after
        assert maps[-1].shape[-1] >= 4


def test_drop_path_grows_with_depth_and_reaches_all_but_identities() -> None:
    with torch.device("meta"):
        net = build(replace(TINY, drop_path=0.4), CIFAR, 10)
        large = build(NASNet(cells=1, filters=96, drop_path=0.3), CIFAR, 10)
    assert [cell.drop_path for cell in net.cells] == pytest.approx([0.4 * k / 5 for k in range(1, 6)])
    assert [cell.drop_path for cell in large.cells] == pytest.approx([0.3 * k / 7 for k in range(1, 8)])
    for cell, ops in ((net.cells[0], NORMAL), (net.cells[1], REDUCTION)):
        published = [(step.left_op, step.right_op) for step in ops.steps]
        assert [(a.drops, b.drops) for a, b in cell.steps] == [(a != "identity", b != "identity") for a, b in published]


def test_drop_path_drops_whole_images_and_scales_the_rest() -> None:
    # One pool beside one identity, of an input of ones: the output is 1 + 0 or 1 + 1 / keep.
    torch.manual_seed(0)
    cell = NASNetCell(Cell((Step("avg3", 1, "identity", 1),), (0, 2)), None, Map(4, 0), 4, 1, 0.4, 1e-3)
    x = torch.ones(4000, 4, 3, 3)

    def outputs() -> Tensor:
        with torch.no_grad():
            return cell(x, x, x)[:, 4:]

    assert torch.equal(outputs(), 2 * x)
    cell.progress = 0.5
    seen = outputs()
    assert torch.equal(seen, seen[:, :1, :1, :1].expand_as(seen))
    per_image = seen[:, 0, 0, 0]
    dropped = per_image == 1
    assert dropped.float().mean().item() == pytest.approx(0.2, abs=0.03)
    torch.testing.assert_close(per_image[~dropped], torch.full_like(per_image[~dropped], 1 + 1 / 0.8))
    cell.eval()
    assert torch.equal(outputs(), 2 * x)


def test_progress_of_training() -> None:
    torch.manual_seed(0)
    net = build(replace(TINY, drop_path=0.4), ImageSpec(3, 8, 8), 10)
    x = torch.randn(8, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(net(x), net(x))
        net.set_progress(1.0)
        assert not torch.equal(net(x), net(x))
        net.set_progress(0.0)
        assert torch.equal(net(x), net(x))
        net.set_progress(1.0)
        assert torch.equal(net.eval()(x), net(x))
    for fraction in (-0.1, 1.1, float("nan")):
        with pytest.raises(BadInput, match="fraction from 0 to 1"):
            net.set_progress(fraction)


def test_initial_values_are_of_fan_out() -> None:
    torch.manual_seed(0)
    net = build(replace(TINY, filters=1536), CIFAR, 1000)
    separable = net.cells[0].layers["left3"]
    for weight, fan_out in (
        (net.stem[0].weight, 192 * 9),
        (separable[4].weight, 25),  # depthwise 5x5
        (separable[1].weight, 64),  # pointwise
        (net.head[-1].weight, 1000),
    ):
        deviation = (2 / fan_out) ** 0.5
        assert weight.std().item() == pytest.approx(deviation, rel=0.05)
        assert weight.abs().max().item() <= 2 * (1.3**0.5) * deviation * 1.0001
    assert (net.head[-1].bias == 0).all()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"stem": "imagenet"}, "stem is 'imagenet'; it must be one of cifar, mobile, large"),
        ({"cells": 0}, "0 cells"),
        ({"filters": 1538}, "1538 filters: .* 'mobile' stem .* multiple of 96; nearest: 1536 and 1632"),
        ({"filters": 1538, "stem": "cifar"}, "multiple of 24; nearest: 1536 and 1560"),
        ({"filters": 1032}, "nearest: 960 and 1056"),
        ({"filters": 24}, "nearest: 96"),
        ({"filters": 0}, "nearest: 96"),
        ({"filters": -100}, "nearest: 96"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"drop_path": -0.1}, "drop_path is -0.1"),
        ({"drop_path": float("nan")}, "drop_path is nan"),
        ({"eps": 0.0}, "eps is 0.0"),
        ({"normal": Cell((), (0, 1))}, "the normal cell has no steps"),
        ({"normal": Cell((Step("sep9", 0, "sep3", 1),), (2,))}, "normal cell: state 2 has operation 'sep9'; .*sep7"),
        (
            {"reduction": Cell((Step("sep3", 0, "sep3", 2),), (1, 2))},
            "reduction cell: state 2 reads state 2; .* 0 to 1",
        ),
        ({"reduction": Cell((Step("sep3", 0, "sep3", -1),), (1, 2))}, "state 2 reads state -1"),
        ({"normal": replace(NORMAL, outputs=(2, 3, 4, 5))}, r"outputs \(2, 3, 4, 5\); .* 2, 3, 4, 5, 6"),
        ({"normal": replace(NORMAL, outputs=(6, 5, 4, 3, 2))}, "increasing"),
        ({"normal": replace(NORMAL, outputs=(2, 3, 4, 5, 6, 6))}, "once"),
        ({"normal": replace(NORMAL, outputs=(2, 3, 4, 5, 6, 7))}, "from 0 to 6"),
    ],
)
def test_configs_that_cannot_be_built_are_refused(change: dict[str, object], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        build(replace(NASNet(), **change), CIFAR, 10)  # type: ignore[arg-type]


def test_too_small_an_image_is_refused() -> None:
    for stem in ("cifar", "mobile"):
        with pytest.raises(BadInput, match="at least 4 pixels"):
            build(NASNet(cells=1, filters=96, stem=stem), ImageSpec(3, 3, 32), 10)
