"""The counts of ENAS's micro networks, the released cells, the wiring, drop path (shared/facts/enas.md)."""

import json
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from sprat.cost import count
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo import build, config_from_dict, config_to_dict, create
from sprat.zoo.enas_micro import NORMAL, OPS, REDUCTION, Cell, DropPath, EnasMicro, Node, unread

CIFAR = ImageSpec(3, 32, 32)
# The released cells as their script has them: (input, operation's code) twice a node.
ARCS = (
    (0, 2, 0, 0, 0, 4, 0, 1, 0, 4, 1, 1, 1, 0, 0, 1, 0, 2, 1, 1),
    (1, 0, 1, 0, 0, 3, 0, 2, 1, 1, 3, 1, 1, 0, 0, 4, 0, 3, 1, 1),
)
# Cells that leave inputs unread: the older one, the newer one, both but one node.
ODD = (
    Cell((Node("max3", 1, "identity", 1), Node("avg3", 2, "identity", 2))),
    Cell((Node("sep3", 0, "identity", 0), Node("max3", 2, "sep5", 0))),
    Cell((Node("identity", 1, "avg3", 1),)),
    Cell((Node("identity", 1, "identity", 0),)),
)


def cell_of(arc: tuple[int, ...]) -> Cell:
    quads = [arc[i : i + 4] for i in range(0, len(arc), 4)]
    return Cell(tuple(Node(OPS[left], a, OPS[right], b) for a, left, b, right in quads))


def arc_of(cell: Cell) -> tuple[int, ...]:
    rows = ((n.left_input, OPS.index(n.left_op), n.right_input, OPS.index(n.right_op)) for n in cell.nodes)
    return tuple(code for row in rows for code in row)


@pytest.mark.parametrize(
    ("name", "filters", "params"), [("enas_micro_36", 36, 3_894_372), ("enas_micro_40", 40, 4_758_920)]
)
def test_counts(name: str, filters: int, params: int) -> None:
    with torch.device("meta"):
        net = create(name, num_classes=10, image=CIFAR)
        maps = net.features(torch.empty(1, *CIFAR.shape))
        seen = count(net, CIFAR)
    assert seen.params == params  # printed 4.6M; neither width gives it
    assert [tuple(x.shape[1:]) for x in maps] == [
        (3 * filters, 32, 32),
        (5 * filters, 32, 32),
        (10 * filters, 16, 16),
        (20 * filters, 8, 8),
    ]


def test_the_auxiliary_head_adds_half_a_million() -> None:
    with torch.device("meta"):
        net = build(EnasMicro(auxiliary=True), CIFAR, 10)
    assert count(net, CIFAR).params - 3_894_372 == 720 * 128 + 256 + 4 * 128 * 768 + 2 * 768 + 7680 == 494_848


def test_released_cells() -> None:
    assert (cell_of(ARCS[0]), cell_of(ARCS[1])) == (NORMAL, REDUCTION)
    assert unread(NORMAL) == (2, 3, 4, 5, 6)
    assert unread(REDUCTION) == (2, 4, 5, 6)


def test_unread_inputs_are_outputs() -> None:
    assert [unread(cell) for cell in ODD] == [(0, 3), (1, 3), (0, 2), (2,)]


@pytest.mark.parametrize(("cells", "reductions"), [(15, (5, 11)), (6, (2, 5)), (3, (1, 3)), (7, (2, 5))])
def test_reductions_are_where_the_channels_double(cells: int, reductions: tuple[int, int]) -> None:
    with torch.device("meta"):
        net = build(EnasMicro(cells=cells, filters=4), CIFAR, 10)
        states = [cell.newer[-1][1].out_channels for cell in net.cells]
    assert len(states) == cells + 2
    assert tuple(i for i in range(1, cells + 2) if states[i] == 2 * states[i - 1]) == reductions
    assert states[-1] == 16


class Straight:
    """The released fixed network, written down naively from the codes of its two cells."""

    def __init__(self, net: nn.Module, arcs: tuple[tuple[int, ...], ...]) -> None:
        self.values = net.state_dict()
        self.arcs = arcs
        self.used: set[str] = set()

    def __getitem__(self, key: str) -> Tensor:
        self.used.add(key)
        return self.values[key]

    def norm(self, x: Tensor, key: str) -> Tensor:
        gain, bias, mean, variance = (
            self[f"{key}.{name}"].view(1, -1, 1, 1) for name in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) / (variance + 1e-5).sqrt() * gain + bias

    def project(self, x: Tensor, key: str) -> Tensor:
        weight = self[f"{key}.1.weight"][:, :, 0, 0]
        return self.norm(torch.einsum("oc,nchw->nohw", weight, x.relu()), f"{key}.2")

    def reduce(self, x: Tensor, key: str) -> Tensor:
        moved = nn.functional.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        parts = []
        for name, y in (("even", x), ("odd", moved)):
            weight = self[f"{key}.{name}.0.weight"][:, :, 0, 0]
            parts.append(self.norm(torch.einsum("oc,nchw->nohw", weight, y[:, :, ::2, ::2]), f"{key}.{name}.1"))
        return torch.cat(parts, 1)

    def separable(self, x: Tensor, key: str, stride: int) -> Tensor:
        for first, step in ((1, stride), (5, 1)):
            depthwise, pointwise = self[f"{key}.{first}.weight"], self[f"{key}.{first + 1}.weight"]
            padding = depthwise.shape[-1] // 2
            x = torch.conv2d(x.relu(), depthwise, stride=step, padding=padding, groups=x.shape[1])
            x = self.norm(torch.conv2d(x, pointwise), f"{key}.{first + 2}")
        return x

    def operation(self, code: int, x: Tensor, key: str, stride: int) -> Tensor:
        if code in (0, 1):
            return self.separable(x, f"{key}.0", stride)
        if code == 2:
            area = nn.functional.avg_pool2d(torch.ones_like(x), 3, stride, 1)
            return nn.functional.avg_pool2d(x, 3, stride, 1) / area
        if code == 3:
            return nn.functional.max_pool2d(nn.functional.pad(x, (1,) * 4, value=-1e9), 3, stride)
        return self.reduce(x, key) if stride == 2 else x

    def cell(self, older: Tensor, newer: Tensor, arc: tuple[int, ...], key: str, filters: int, stride: int) -> Tensor:
        if older.shape[2:] != newer.shape[2:]:
            older = self.reduce(older.relu(), f"{key}.older.1")
        elif older.shape[1] != filters:
            older = self.project(older, f"{key}.older")
        if newer.shape[1] != filters:
            newer = self.project(newer, f"{key}.newer.0")
            newer = self.project(newer, f"{key}.newer.1")
        else:
            newer = self.project(newer, f"{key}.newer.0")
        states = [older, newer]
        for node in range(len(arc) // 4):
            a, left, b, right = arc[4 * node : 4 * node + 4]
            x = self.operation(left, states[a], f"{key}.left.{node}", stride if a < 2 else 1)
            y = self.operation(right, states[b], f"{key}.right.{node}", stride if b < 2 else 1)
            states.append(x + y)
        loose = [i for i in range(len(states)) if i not in arc[0::2]]
        smallest = min(states[i].shape[2] for i in loose)
        for i in loose:
            if states[i].shape[2] > smallest:
                states[i] = self.reduce(states[i], f"{key}.halves.{i}")
        return torch.cat([states[i] for i in loose], 1)

    def logits(self, x: Tensor, cells: int, filters: int, strides: tuple[int, int]) -> Tensor:
        older = newer = self.norm(torch.conv2d(x, self["stem.0.weight"], padding=1), "stem.1")
        reductions = [cells // 3, 2 * (cells // 3) + 1]
        for position in range(cells + 2):
            arc, stride = self.arcs[0], 1
            if position in reductions:
                filters, arc, stride = 2 * filters, self.arcs[1], strides[reductions.index(position)]
            older, newer = newer, self.cell(older, newer, arc, f"cells.{position}", filters, stride)
        logits = newer.relu().mean((2, 3)) @ self["head.4.weight"].T
        unused = {key for key in self.values if not key.endswith("num_batches_tracked")} - self.used
        assert not unused, f"tensors that the network never uses: {unused}"
        return logits


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
    ("normal", "reduction", "cells", "image", "strides"),
    [
        (NORMAL, REDUCTION, 15, ImageSpec(3, 16, 16), (2, 2)),
        (NORMAL, REDUCTION, 6, ImageSpec(1, 17, 22), (2, 2)),
        (REDUCTION, NORMAL, 6, ImageSpec(3, 16, 16), (2, 2)),
        (NORMAL, REDUCTION, 3, ImageSpec(3, 8, 11), (1, 2)),
        (NORMAL, REDUCTION, 3, ImageSpec(3, 5, 4), (1, 1)),
        (ODD[0], ODD[1], 6, ImageSpec(3, 16, 18), (2, 2)),
        (ODD[1], ODD[2], 4, ImageSpec(3, 16, 18), (2, 2)),
        (ODD[2], ODD[0], 4, ImageSpec(3, 8, 8), (1, 2)),
        (ODD[3], ODD[3], 5, ImageSpec(3, 16, 16), (2, 2)),
    ],
)
def test_logits_are_those_of_a_straight_line(
    normal: Cell, reduction: Cell, cells: int, image: ImageSpec, strides: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    config = EnasMicro(normal=normal, reduction=reduction, cells=cells, filters=4)
    net = randomise(build(config, image, 5)).double()
    x = torch.randn(2, *image.shape, dtype=torch.float64)
    with torch.no_grad():
        wanted = Straight(net, (arc_of(normal), arc_of(reduction))).logits(x, cells, 4, strides)
        torch.testing.assert_close(net(x), wanted, rtol=1e-9, atol=1e-9)
        assert torch.equal(net(x), net.head(net.features(x)[-1]))
    assert (wanted[0] - wanted[1]).abs().max() > 1e-3 * wanted.abs().max()


@pytest.mark.parametrize(("normal", "reduction"), [(NORMAL, REDUCTION), (ODD[0], ODD[1]), (ODD[1], ODD[0])])
@pytest.mark.parametrize("side", [8, 16])
def test_gradient_reaches_every_parameter(normal: Cell, reduction: Cell, side: int) -> None:
    torch.manual_seed(0)
    config = EnasMicro(normal=normal, reduction=reduction, cells=3, filters=4, auxiliary=True)
    net = build(config, ImageSpec(3, side, side), 5)
    heads = net.with_auxiliary(torch.randn(4, 3, side, side))
    sum(nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 3])) for logits in heads).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("image", [ImageSpec(3, 32, 32), ImageSpec(1, 5, 9), ImageSpec(3, 64, 48)])
def test_auxiliary_logits_come_from_the_cell_after_the_second_reduction(image: ImageSpec) -> None:
    torch.manual_seed(0)
    net = build(EnasMicro(cells=6, filters=4, auxiliary=True), image, 7).eval()
    x = torch.randn(2, *image.shape)
    seen: list[Tensor] = []
    net.cells[6].register_forward_hook(lambda module, inputs, output: seen.append(output))
    calls: list[Tensor] = []
    net.auxiliary.register_forward_hook(lambda module, inputs, output: calls.append(inputs[0]))
    with torch.no_grad():
        logits, auxiliary = net.with_auxiliary(x)
        assert torch.equal(logits, net(x))
    assert auxiliary.shape == logits.shape == (2, 7)
    assert len(calls) == 1  # forward does not run it
    assert torch.equal(calls[0], seen[0])
    assert net.auxiliary_weight == 0.4


def test_without_the_auxiliary_head_there_are_the_logits_alone() -> None:
    torch.manual_seed(0)
    net = build(EnasMicro(cells=3, filters=4), CIFAR, 7).eval()
    x = torch.randn(2, *CIFAR.shape)
    with torch.no_grad():
        (logits,) = net.with_auxiliary(x)
        assert torch.equal(logits, net(x))


def test_drop_path_grows_with_depth_and_progress_and_spares_identities() -> None:
    net = create("enas_micro_36", num_classes=10, image=CIFAR)
    for position, cell in enumerate(net.cells):
        paths = [module for module in cell.modules() if isinstance(module, DropPath)]
        assert len(paths) == (9 if position in (5, 11) else 8)  # of ten operations; the rest are identities
        assert all(path.final == pytest.approx(0.4 * (position + 1) / 17) for path in paths)
        assert all(path.progress == 0 for path in paths)
    net.set_progress(0.25)
    assert all(module.progress == 0.25 for module in net.modules() if isinstance(module, DropPath))


def test_drop_path_drops_whole_images_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    path = DropPath(0.4)
    x = torch.ones(4000, 2, 3, 3)
    assert torch.equal(path(x), x)
    path.progress = 0.5
    y = path(x)
    assert torch.equal(y, y[:, :1, :1, :1].expand_as(y))
    assert torch.unique(y).tolist() == pytest.approx([0, 1 / 0.8])
    assert (y[:, 0, 0, 0] == 0).float().mean().item() == pytest.approx(0.2, abs=0.02)
    assert torch.equal(path.eval()(x), x)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_progress_is_a_fraction(fraction: float) -> None:
    with pytest.raises(BadInput, match="from 0 to 1"):
        build(EnasMicro(cells=3, filters=4), CIFAR, 10).set_progress(fraction)


def test_initial_values_are_hes() -> None:
    torch.manual_seed(0)
    net = build(EnasMicro(cells=3), CIFAR, 1000)
    weight = net.cells[0].newer[0][1].weight
    assert weight.shape == (36, 108, 1, 1)
    assert weight.std().item() == pytest.approx((2 / 108) ** 0.5, rel=0.05)
    assert net.head[-1].weight.std().item() == pytest.approx((2 / 720) ** 0.5, rel=0.02)
    assert net.head[-1].bias is None


def test_a_searched_network_survives_json() -> None:
    config = EnasMicro(normal=ODD[0], reduction=ODD[2], cells=4, filters=6, auxiliary=True)
    again = config_from_dict(json.loads(json.dumps(config_to_dict(config))))
    assert again == config
    assert hash(again) == hash(config)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"filters": 35}, "35 filters: .* even"),
        ({"filters": 0}, "0 filters"),
        ({"cells": 2}, "of 2 cells"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"drop_path": -0.1}, "drop_path is -0.1"),
        ({"normal": Cell(())}, "the normal cell has no nodes"),
        ({"normal": Cell((Node("sep7", 0, "sep3", 1),))}, "state 2 of the normal cell has operation 'sep7'; .*max3"),
        ({"reduction": Cell((Node("sep3", 0, "sep3", 2),))}, "state 2 of the reduction cell reads state 2; .* 0 to 1"),
        ({"reduction": Cell((Node("sep3", -1, "sep3", 0),))}, "reads state -1; it may read states 0 to 1"),
        ({"normal": Cell((*NORMAL.nodes, Node("max3", 6, "max3", 8)))}, "state 7 .* reads state 8; .* 0 to 6"),
    ],
)
def test_configs_that_cannot_be_built_are_refused(change: dict[str, object], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        build(replace(EnasMicro(), **change), CIFAR, 10)  # type: ignore[arg-type]


def test_too_small_an_image_is_refused() -> None:
    with pytest.raises(BadInput, match="at least 4 pixels"):
        build(EnasMicro(cells=3, filters=4), ImageSpec(3, 3, 32), 10)
