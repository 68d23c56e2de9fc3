"""Cells of NASNet: five steps that each add two operations on earlier states, as literal data and as a module.

Source: NASNet (arXiv:1707.07012), section 3 and appendix A; details from the released code. This file is no family.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sprat.errors import BadInput
from sprat.zoo.blocks import FactorizedReduction, conv_bn

# The 13 operations of the search space. The dilation rate is not printed; 2 is the usual reading.
POOLS = ("avg3", "max3", "max5", "max7")
SEPARABLE = ("sep3", "sep5", "sep7")
CONVS = ("conv1", "conv3", "dilated3", "conv1x3_3x1", "conv1x7_7x1")
OPS = ("identity", *SEPARABLE, *POOLS, *CONVS)


@dataclass(frozen=True, slots=True)
class Step:
    """left_op(left_input) + right_op(right_input): a new state.

    The search could also concatenate the two, which none of the released cells does; here they are always added.

    Args:
        left_op: one of `OPS`.
        left_input: an earlier state; 0 is the output of the last cell, 1 of the last but one, 2 the first step.
        right_op: one of `OPS`.
        right_input: an earlier state.
    """

    left_op: str
    left_input: int
    right_op: str
    right_input: int


@dataclass(frozen=True, slots=True)
class Cell:
    """Steps in order, and the states whose concatenation is the output.

    Args:
        steps: step k makes state k + 2 from states 0 to k + 1.
        outputs: states, increasing; all that no step reads (`unread`), and others where wanted.
    """

    steps: tuple[Step, ...]
    outputs: tuple[int, ...]


def unread(steps: tuple[Step, ...]) -> tuple[int, ...]:
    """The states that no step reads: the outputs that the search gives a cell."""
    read = {state for step in steps for state in (step.left_input, step.right_input)}
    return tuple(state for state in range(len(steps) + 2) if state not in read)


def check_cell(cell: Cell, name: str) -> None:
    """Refuse a cell that cannot be built.

    Raises:
        BadInput: no steps, an unknown operation, a state that is not earlier, or outputs that lack an unread state.
    """
    if not cell.steps:
        raise BadInput(f"{name} has no steps; give at least 1")
    for state, step in enumerate(cell.steps, start=2):
        for op, index in ((step.left_op, step.left_input), (step.right_op, step.right_input)):
            if op not in OPS:
                raise BadInput(f"{name}: state {state} has operation {op!r}; it must be one of {', '.join(OPS)}")
            if not 0 <= index < state:
                raise BadInput(f"{name}: state {state} reads state {index}; it may read 0 to {state - 1}")
    needed, last = unread(cell.steps), len(cell.steps) + 1
    if not set(needed) <= set(cell.outputs) or list(cell.outputs) != sorted(set(cell.outputs) & set(range(last + 1))):
        raise BadInput(
            f"{name} has outputs {cell.outputs}; give each once, increasing, from 0 to {last}, with those that no step "
            f"reads: {', '.join(str(state) for state in needed)}"
        )


class Map(NamedTuple):
    """Shape of a feature map: its channels, and how often the resolution was halved before it."""

    channels: int
    halvings: int


def separable(in_channels: int, channels: int, kernel: int, stride: int, eps: float) -> nn.Sequential:
    """BN(pointwise(depthwise(x))), then the same of its ReLU; the stride is in the first, x has had its ReLU."""

    def depthwise(width: int, step: int) -> nn.Conv2d:
        return nn.Conv2d(width, width, kernel, step, kernel // 2, groups=width, bias=False)

    first = (depthwise(in_channels, stride), *conv_bn(in_channels, channels, 1, eps=eps))
    return nn.Sequential(*first, nn.ReLU(), depthwise(channels, 1), *conv_bn(channels, channels, 1, eps=eps))


def pair(in_channels: int, channels: int, kernel: int, stride: int, eps: float) -> nn.Sequential:
    """BN(k x 1(ReLU(BN(1 x k(x))))), each with the stride along its own side; x has had its ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, (1, kernel), (1, stride), (0, kernel // 2), bias=False),
        nn.BatchNorm2d(channels, eps=eps),
        nn.ReLU(),
        nn.Conv2d(channels, channels, (kernel, 1), (stride, 1), (kernel // 2, 0), bias=False),
        nn.BatchNorm2d(channels, eps=eps),
    )


def layers(op: str, in_channels: int, channels: int, stride: int, eps: float) -> nn.Sequential | None:
    """The layers of an operation after its ReLU or pool: (N, in, H, W) to (N, channels, ceil(H / stride), ...).

    None where there are none: a pool or an identity that fits as it is. One that does not fit gets a 1x1 convolution.
    """
    if op in SEPARABLE:
        return separable(in_channels, channels, int(op[-1]), stride, eps)
    if op in ("conv1x3_3x1", "conv1x7_7x1"):
        return pair(in_channels, channels, int(op[-3]), stride, eps)
    if op == "dilated3":
        conv = nn.Conv2d(in_channels, channels, 3, stride, 2, dilation=2, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(channels, eps=eps))
    if op in CONVS:
        return conv_bn(in_channels, channels, int(op[-1]), stride, eps=eps)
    if in_channels != channels or (op == "identity" and stride == 2):
        return conv_bn(in_channels, channels, 1, stride if op == "identity" else 1, eps=eps)
    return None


class Edge(NamedTuple):
    """One operation of a cell.

    Args:
        name: of its layers in the cell.
        state: that it reads.
        start: what comes before the layers: "relu", a pool, or "" for nothing.
        stride: of the pool.
        drops: drop path applies, that is to all but identities.
    """

    name: str
    state: int
    start: str
    stride: int
    drops: bool


class NASNetCell(nn.Module):
    """The outputs of the last two cells to the cell's own.

    A ReLU or a pool of a state that several operations begin with is computed once.

    Args:
        cell: what to compute.
        older: shape of the output of the last cell but one, or None in the first cell: then state 1 is the raw stem.
        newer: shape of the output of the last cell.
        channels: F, of every state.
        stride: of operations on states 0 and 1.
        drop_path: probability with which an operation's output is dropped at the end of training, an image.
        eps: of batch norm.
    """

    def __init__(
        self, cell: Cell, older: Map | None, newer: Map, channels: int, stride: int, drop_path: float, eps: float
    ) -> None:
        super().__init__()
        self.drop_path = drop_path
        self.progress = 0.0
        self.newer = conv_bn(newer.channels, channels, 1, eps=eps)
        self.older: nn.Module | None = None
        if older and older.halvings != newer.halvings:
            self.older = FactorizedReduction(older.channels, channels, eps)
        elif older and older.channels != channels:
            self.older = conv_bn(older.channels, channels, 1, eps=eps)
        raw = (older or newer).channels if self.older is None else channels
        self.layers = nn.ModuleDict()
        self.pools = nn.ModuleDict()
        self.steps = []
        for state, step in enumerate(cell.steps, start=2):
            left = self._edge(f"left{state}", step.left_op, step.left_input, raw, channels, stride, eps)
            right = self._edge(f"right{state}", step.right_op, step.right_input, raw, channels, stride, eps)
            self.steps.append((left, right))
        # Outputs that are inputs of another size or width are brought to that of the steps.
        self.matches = nn.ModuleDict()
        for state in cell.outputs:
            in_channels = raw if state == 1 else channels
            if state < 2 and stride == 2:
                self.matches[str(state)] = FactorizedReduction(in_channels, channels, eps)
            elif state == 1 and raw != channels:
                self.matches[str(state)] = conv_bn(raw, channels, 1, eps=eps)
        self.outputs = cell.outputs
        self.out_channels = len(cell.outputs) * channels

    def _edge(self, name: str, op: str, state: int, raw: int, channels: int, stride: int, eps: float) -> Edge:
        """Make the layers of an operation, and say how to run it."""
        stride = stride if state < 2 else 1
        made = layers(op, raw if state == 1 else channels, channels, stride, eps)
        if made is not None:
            self.layers[name] = made
        start = op if op in POOLS else "" if made is None else "relu"
        if op in POOLS:
            self.pools[f"{op}{stride}"] = pool(op, stride)
        return Edge(name, state, start, stride, op != "identity")

    def forward(self, older: Tensor, older_relu: Tensor, newer_relu: Tensor) -> Tensor:
        """The cell's output, from the last output but one, its ReLU, and the ReLU of the last output."""
        states = [self.newer(newer_relu), older if self.older is None else self.older(older_relu)]
        started = {(1, "relu"): older_relu} if self.older is None else {}
        for left, right in self.steps:
            states.append(self._run(left, states, started) + self._run(right, states, started))
        for state, match in self.matches.items():
            states[int(state)] = match(states[int(state)])
        return torch.cat([states[state] for state in self.outputs], dim=1)

    def _run(self, edge: Edge, states: list[Tensor], started: dict[tuple[int, str], Tensor]) -> Tensor:
        """The output of one operation."""
        x = states[edge.state]
        if edge.start:
            key = (edge.state, edge.start)
            if key not in started:
                started[key] = torch.relu(x) if edge.start == "relu" else self.pools[f"{edge.start}{edge.stride}"](x)
            x = started[key]
        if edge.name in self.layers:
            x = self.layers[edge.name](x)
        if edge.drops and self.training and (keep := 1.0 - self.progress * self.drop_path) < 1.0:
            x = x * (x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(keep) / keep)
        return x


def pool(name: str, stride: int) -> nn.Module:
    """A pool by its name, such as "avg3"; averages leave out the padding."""
    kernel = int(name[-1])
    if name.startswith("avg"):
        return nn.AvgPool2d(kernel, stride, kernel // 2, count_include_pad=False)
    return nn.MaxPool2d(kernel, stride, kernel // 2)
