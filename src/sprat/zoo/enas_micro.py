"""ENAS micro networks: two cells, normal and reduction, whose nodes each add two operations on earlier states.

Source: ENAS (arXiv:1802.03268), section 2.4 and table 2; the fixed network and the two cells of the released code.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo.blocks import FactorizedReduction, conv_bn, conv_bn_act, fit_strides
from sprat.zoo.family import family

OPS = ("sep3", "sep5", "avg3", "max3", "identity")  # in the order of the released code
STRIDES = (2, 2)  # of the two reduction cells
AUXILIARY_SIDE = 8  # of the map at which the auxiliary head was published


@dataclass(frozen=True, slots=True)
class Node:
    """left_op(left_input) + right_op(right_input): a new state.

    Args:
        left_op: one of `OPS`.
        left_input: an earlier state; 0 is the output of the last cell but one, 1 of the last cell, 2 the first node.
        right_op: one of `OPS`.
        right_input: an earlier state.
    """

    left_op: str
    left_input: int
    right_op: str
    right_input: int


@dataclass(frozen=True, slots=True)
class Cell:
    """Nodes in order; the output is the concatenation of the states that no node reads.

    Args:
        nodes: node k makes state k + 2 from states 0 to k + 1.
    """

    nodes: tuple[Node, ...]


# The cells that the authors released.
NORMAL = Cell(
    (
        Node("avg3", 0, "sep3", 0),
        Node("identity", 0, "sep5", 0),
        Node("identity", 0, "sep5", 1),
        Node("sep3", 1, "sep5", 0),
        Node("avg3", 0, "sep5", 1),
    )
)
REDUCTION = Cell(
    (
        Node("sep3", 1, "sep3", 1),
        Node("max3", 0, "avg3", 0),
        Node("sep5", 1, "sep5", 3),
        Node("sep3", 1, "identity", 0),
        Node("max3", 0, "sep5", 1),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnasMicro:
    """A micro architecture; the defaults are the final network of the released code.

    Args:
        normal: cell of stride 1.
        reduction: cell that halves the map and doubles the filters.
        cells: normal cells, at least 3; the reductions come before normal cells cells // 3 and 2 * (cells // 3).
        filters: of the first cells, even; the stem has three times as many.
        drop_path: probability with which an operation of the last cell is dropped, an image, at the end of training;
            it grows with the progress of training and with the depth of the cell. Identities are never dropped.
        dropout: before the classifier.
        auxiliary: a second classifier on the cell after the second reduction, for training only. The released code
            leaves its weights out of the optimiser; here they are parameters like any other.
    """

    normal: Cell = NORMAL
    reduction: Cell = REDUCTION
    cells: int = 15
    filters: int = 36
    drop_path: float = 0.4
    dropout: float = 0.2
    auxiliary: bool = False


PRESETS = {"enas_micro_36": EnasMicro(), "enas_micro_40": EnasMicro(filters=40)}


def relu_conv_bn(in_channels: int, out_channels: int) -> nn.Sequential:
    """BN(conv1x1(ReLU(x))): (N, in, H, W) to (N, out, H, W)."""
    return nn.Sequential(nn.ReLU(), *conv_bn(in_channels, out_channels, 1))


def separable(channels: int, kernel: int, stride: int) -> nn.Sequential:
    """BN(pointwise(depthwise(ReLU(x)))) twice, the stride in the first: (N, C, H, W) to (N, C, H / stride, ..)."""
    layers: list[nn.Module] = []
    for step in (stride, 1):
        depthwise = nn.Conv2d(channels, channels, kernel, step, kernel // 2, groups=channels, bias=False)
        layers += [nn.ReLU(), depthwise, *conv_bn(channels, channels, 1)]
    return nn.Sequential(*layers)


class DropPath(nn.Module):
    """In training: x / keep with probability keep, an image, else 0; keep = 1 - progress * final."""

    def __init__(self, final: float) -> None:
        super().__init__()
        self.final = final
        self.progress = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        keep = 1.0 - self.progress * self.final
        if not self.training or keep == 1.0:
            return x
        return x * (x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(keep) / keep)


def operation(op: str, channels: int, stride: int, drop_path: float) -> nn.Module:
    """One operation: (N, C, H, W) to (N, C, ceil(H / stride), ceil(W / stride)); averages leave out the padding."""
    if op == "identity":
        return FactorizedReduction(channels, channels) if stride == 2 else nn.Identity()
    if op == "avg3":
        run: nn.Module = nn.AvgPool2d(3, stride, 1, count_include_pad=False)
    elif op == "max3":
        run = nn.MaxPool2d(3, stride, 1)
    else:
        run = separable(channels, int(op[-1]), stride)
    return nn.Sequential(run, DropPath(drop_path))


class MicroCell(nn.Module):
    """The outputs of the last two cells to the cell's own: concat(states that no node reads).

    Args:
        cell: what to compute.
        in_channels: of the older and the newer input.
        channels: of every state.
        halve_older: the older input is twice as large as the newer.
        stride: of operations on the two inputs.
        drop_path: probability at the end of training.
    """

    def __init__(
        self, cell: Cell, in_channels: tuple[int, int], channels: int, halve_older: bool, stride: int, drop_path: float
    ) -> None:
        super().__init__()
        older, newer = in_channels
        self.older: nn.Module = nn.Identity()
        if halve_older:
            self.older = nn.Sequential(nn.ReLU(), FactorizedReduction(older, channels))
        elif older != channels:
            self.older = relu_conv_bn(older, channels)
        # The released code projects the newer input twice, once to match the width and once in every cell.
        self.newer = nn.Sequential(*([relu_conv_bn(newer, channels)] if newer != channels else []))
        self.newer.append(relu_conv_bn(channels, channels))
        self.edges = [(node.left_input, node.right_input) for node in cell.nodes]
        self.left = nn.ModuleList()
        self.right = nn.ModuleList()
        for node in cell.nodes:
            self.left.append(operation(node.left_op, channels, stride if node.left_input < 2 else 1, drop_path))
            self.right.append(operation(node.right_op, channels, stride if node.right_input < 2 else 1, drop_path))
        self.outputs = unread(cell)
        # Inputs that no node reads are concatenated too; a reduction cell must halve them first.
        halved = [str(state) for state in self.outputs if state < 2 and stride == 2]
        self.halves = nn.ModuleDict({state: FactorizedReduction(channels, channels) for state in halved})
        self.out_channels = len(self.outputs) * channels

    def forward(self, older: Tensor, newer: Tensor) -> Tensor:
        """The cell's output."""
        states = [self.older(older), self.newer(newer)]
        for (a, b), left, right in zip(self.edges, self.left, self.right, strict=True):
            states.append(left(states[a]) + right(states[b]))
        for state, halve in self.halves.items():
            states[int(state)] = halve(states[int(state)])
        return torch.cat([states[state] for state in self.outputs], dim=1)


def unread(cell: Cell) -> tuple[int, ...]:
    """The states that no node reads, in order."""
    read = {state for node in cell.nodes for state in (node.left_input, node.right_input)}
    return tuple(state for state in range(len(cell.nodes) + 2) if state not in read)


class EnasMicroNet(nn.Module):
    """Stem, cells and head; `features` are the maps after the stem and after the last cell of each resolution.

    Args:
        stem: its output is both inputs of the first cell.
        cells: each reads the outputs of the two before it.
        reductions: positions of the reduction cells.
        head: of the last cell's output.
        auxiliary: head of the output of the cell after the second reduction, or None.
    """

    auxiliary_weight = 0.4

    def __init__(
        self,
        stem: nn.Module,
        cells: list[MicroCell],
        reductions: tuple[int, int],
        head: nn.Module,
        auxiliary: nn.Module | None,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.cells = nn.ModuleList(cells)
        self.reductions = reductions
        self.head = head
        self.auxiliary = auxiliary

    def features(self, x: Tensor) -> list[Tensor]:
        """Feature maps after the stem, before each reduction and after the last cell, each (N, C_i, H_i, W_i)."""
        maps = self._maps(x)
        return [maps[0], *(maps[position] for position in self.reductions), maps[-1]]

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, num_classes) of images x (N, C, H, W)."""
        logits: Tensor = self.head(self._maps(x)[-1])
        return logits

    def with_auxiliary(self, x: Tensor) -> tuple[Tensor, ...]:
        """The logits, followed by the auxiliary ones where the network has that head."""
        maps = self._maps(x)
        heads = (self.head(maps[-1]),)
        return heads if self.auxiliary is None else (*heads, self.auxiliary(maps[self.reductions[1] + 2]))

    def set_progress(self, fraction: float) -> None:
        """The fraction of training that is done, 0 to 1; drop path grows with it. A new network is at 0."""
        if not 0 <= fraction <= 1:
            raise BadInput(f"progress of training is {fraction}; it must be a fraction from 0 to 1")
        for module in self.modules():
            if isinstance(module, DropPath):
                module.progress = fraction

    def _maps(self, x: Tensor) -> list[Tensor]:
        """The maps of the stem and of every cell."""
        maps = [self.stem(x)]
        for cell in self.cells:
            maps.append(cell(maps[max(0, len(maps) - 2)], maps[-1]))
        return maps


@family("enas_micro", paper="arXiv:1802.03268", config=EnasMicro, presets=PRESETS, inputs={"enas_micro_*": (32, 10)})
def build(config: EnasMicro, image: ImageSpec, num_classes: int) -> nn.Module:
    """An ENAS micro network with strides fitted to the image; a reduction cell of stride 1 doubles the filters only.

    Raises:
        BadInput: an unknown operation, a state that is not earlier, odd filters, or too small an image.
    """
    _check(config)
    third = config.cells // 3
    reductions = (third, 2 * third + 1)
    strides = dict(zip(reductions, fit_strides(STRIDES, image, "enas_micro"), strict=True))
    total = config.cells + len(reductions)
    filters = config.filters
    stem = conv_bn(image.channels, 3 * filters, 3)
    older = newer = 3 * filters
    cells: list[MicroCell] = []
    auxiliary: nn.Module | None = None
    for position in range(total):
        wiring = config.reduction if position in reductions else config.normal
        filters = 2 * filters if position in reductions else filters
        drop_path = config.drop_path * (position + 1) / total
        halve_older = strides.get(position - 1, 1) == 2
        cell = MicroCell(wiring, (older, newer), filters, halve_older, strides.get(position, 1), drop_path)
        cells.append(cell)
        older, newer = newer, cell.out_channels
        if config.auxiliary and position == reductions[1] + 1:
            auxiliary = auxiliary_head(newer, num_classes)
    head = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(config.dropout))
    head.append(nn.Linear(newer, num_classes, bias=False))
    net = EnasMicroNet(stem, cells, reductions, head, auxiliary)
    _initialise(net)
    return net


def auxiliary_head(in_channels: int, num_classes: int) -> nn.Sequential:
    """(N, C, H, W) to logits (N, num_classes): 5x5/3 average, 1x1 to 128, full-map convolution to 768, classifier.

    Published on 8x8 maps; other sizes are averaged or repeated to 8x8 first (our addition).
    """
    side = (AUXILIARY_SIDE - 5) // 3 + 1
    return nn.Sequential(
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(AUXILIARY_SIDE),
        nn.AvgPool2d(5, 3),
        conv_bn_act(in_channels, 128, 1),
        conv_bn_act(128, 768, side, padding=0),
        nn.Flatten(),
        nn.Linear(768, num_classes, bias=False),
    )


def _check(config: EnasMicro) -> None:
    if config.cells < 3:
        raise BadInput(f"enas_micro of {config.cells} cells: each of the three resolutions needs at least 1")
    if config.filters < 2 or config.filters % 2:
        raise BadInput(f"enas_micro of {config.filters} filters: a reduction has two halves; give an even number")
    for name in ("drop_path", "dropout"):
        if not 0 <= getattr(config, name) < 1:
            raise BadInput(f"enas_micro: {name} is {getattr(config, name)}; it must be a fraction below 1")
    for kind, cell in (("normal", config.normal), ("reduction", config.reduction)):
        if not cell.nodes:
            raise BadInput(f"enas_micro: the {kind} cell has no nodes; give at least 1")
        for state, node in enumerate(cell.nodes, start=2):
            for op, index in ((node.left_op, node.left_input), (node.right_op, node.right_input)):
                if op not in OPS:
                    names = ", ".join(OPS)
                    raise BadInput(f"enas_micro: state {state} of the {kind} cell has operation {op!r}; known: {names}")
                if not 0 <= index < state:
                    known = f"it may read states 0 to {state - 1}"
                    raise BadInput(f"enas_micro: state {state} of the {kind} cell reads state {index}; {known}")


def _initialise(net: nn.Module) -> None:
    """He's normal of fan-in, as in the released code also in the classifiers."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
