"""Shadow: which kernels ONNX Runtime runs for a traced network, known without exporting it.

A shadow of its graph optimiser: batch norm folds into the convolution before it, so do activations and residual sums;
convolutions run in a blocked layout (NCHWc) where the channel counts allow it, with reorders where a blocked map meets
an operator that cannot read it. tests/unit/bench compares this with what the runtime reports of exported networks.
"""

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sprat.latency.kernel import Kind, Row, blocked, conv_kind, slice_extra, under_pressure
from sprat.latency.step import steps_of

if TYPE_CHECKING:
    from sprat.cost.trace import Op, Shape, Trace

_FUSED = frozenset({"relu", "relu6", "hardtanh", "clamp", "leaky_relu", "sigmoid", "tanh", "clamp_min", "hardsigmoid"})
_FUNCTIONS = {
    **dict.fromkeys(("sigmoid", "tanh", "gelu", "silu", "erf"), Kind.TRANSCENDENTAL),
    **dict.fromkeys(("exp", "log", "mish", "softplus", "elu", "selu", "celu", "pow", "log1p"), Kind.POWER),
}
_AFFINE = frozenset({"add", "sub", "mul", "div"})
_PARTS = frozenset({"slice", "select", "narrow", "split", "split_with_sizes", "chunk", "unbind", "unsafe_split"})
_POOLS = {
    "max_pool2d_with_indices": (Kind.MAX_POOL, Kind.MAX_POOL_NCHW),
    "max_pool2d": (Kind.MAX_POOL, Kind.MAX_POOL_NCHW),
    "avg_pool2d": (Kind.AVG_POOL, Kind.AVG_POOL_NCHW),
}


@dataclass
class _Map:
    """One value that flows through the network: its shape and layout, who made it and who still needs it."""

    shape: "Shape"
    uses: int = 0
    is_blocked: bool = False
    maker: int | None = None  # the convolution that wrote it and can still take an activation
    can_add: bool = False  # and a residual sum
    added: int | None = None  # the sum between `maker` and this, which goes if an activation follows
    copies: set[bool] = field(default_factory=set)  # layouts in which it exists beside its own
    reshaped: bool = False  # has another shape that nobody has read yet


def kernels(trace: "Trace", block: int = 16) -> tuple[Row, ...]:
    """The rows that the exported network runs, in order of execution, repeated ones too.

    Args:
        trace: what `sprat.cost.trace.trace` gave.
        block: channels in a block of the runtime's layout on the machine in question; 1 where it has none.
    """
    return under_pressure([row for row in _Shadow(trace, block).rows if row is not None])


class _Shadow:
    """Walks the operators once, as the optimiser walks the graph."""

    def __init__(self, trace: "Trace", block: int) -> None:
        self.block = block
        self.rows: list[Row | None] = []
        steps, self._uses, self._windowed = steps_of(trace)
        self._maps: dict[int, _Map] = {}
        if steps and len(steps[0].op.in_shapes[0]) == 4:
            _, channels, height, width = steps[0].op.in_shapes[0]
            self._emit(Kind.INPUT, channels, channels, height=height, width=width)
        for step in steps:
            self._outputs = step.writes
            self._step(
                step.op, [self._at(value, shape) for value, shape in zip(step.reads, step.op.in_shapes, strict=True)]
            )
        if steps:
            shape = steps[-1].op.out_shapes[0]
            self._read(self._at(steps[-1].writes[0], shape), False)
            self._emit(Kind.SOFTMAX, shape[-1], shape[-1])

    def _step(self, op: "Op", inputs: list[_Map]) -> None:
        name = op.operator.removeprefix("aten.").rstrip("_")
        if op.group == "view":
            self._view(op, name, inputs[0])
        elif op.group == "multiply" and op.window:
            self._conv(op, inputs[0])
        elif op.group == "multiply":
            self._linear(op, inputs)
        elif op.group == "normalisation":
            self._norm(op, inputs[0])
        elif op.group == "activation":
            self._activation(op, name, inputs[0])
        elif name in _POOLS:
            self._pool(op, name, inputs[0])
        elif name == "cat" or name == "concat":
            self._concat(op, inputs)
        elif op.group == "arithmetic":
            self._arithmetic(op, name, inputs)
        else:
            self._other(op, name, inputs)

    def _emit(
        self,
        kind: Kind,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, int] = (1, 1),
        stride: int = 1,
        groups: int = 1,
        height: int = 1,
        width: int = 1,
        extra: int = 0,
    ) -> int:
        self.rows.append((int(kind), in_channels, out_channels, *kernel, stride, groups, height, width, extra))
        return len(self.rows) - 1

    def _at(self, value: int, shape: "Shape") -> _Map:
        return self._maps.setdefault(value, _Map(shape, self._uses[value]))

    def _write(self, made: _Map, part: int = 0) -> None:
        value = self._outputs[part]
        made.uses = self._uses[value]
        self._maps[value] = made

    def _read(self, value: _Map, is_blocked: bool) -> None:
        """Emit the reorder or reshape without which the next kernel cannot read the map."""
        if value.reshaped:
            value.reshaped = False
            self._emit(Kind.RESHAPE, 1, 1)
        if value.is_blocked == is_blocked or is_blocked in value.copies:
            return
        value.copies.add(is_blocked)
        _, channels, height, width = value.shape
        whole = blocked(channels, self.block)
        if is_blocked:
            self._emit(Kind.TO_BLOCKS, channels, whole, height=height, width=width)
        else:
            self._emit(Kind.FROM_BLOCKS, whole, channels, height=height, width=width)

    def _view(self, op: "Op", name: str, value: _Map) -> None:
        shape = op.out_shapes[0]
        if name in _PARTS:
            if math.prod(shape) == math.prod(value.shape):
                return
            self._read(value, False)
            for index, part in enumerate(op.out_shapes):
                channels, height, width = _chw(part)
                reads = slice_extra(value.shape, part)
                self._emit(Kind.SLICE, _chw(value.shape)[0], channels, height=height, width=width, extra=reads)
                self._write(_Map(part), index)
            return
        if shape == value.shape:
            return
        if value.is_blocked:
            self._read(value, False)
            value = _Map(value.shape)
        made = replace(value, shape=value.shape if len(shape) == 5 else shape)
        made.reshaped = len(shape) == 2 and len(value.shape) > 2
        self._write(made)

    def _conv(self, op: "Op", x: _Map) -> None:
        kernel_h, kernel_w, stride, groups = op.window
        _, in_channels, *_ = op.in_shapes[0]
        _, out_channels, height, width = op.out_shapes[0]
        kernel = (kernel_h, kernel_w)
        if op.kind == "transposed conv":
            kind = Kind.IM2COL
        else:
            kind = conv_kind(in_channels, out_channels, kernel, stride, groups, self.block)
        in_blocks = kind in (Kind.POINTWISE, Kind.DEPTHWISE, Kind.DIRECT)
        self._read(x, in_blocks)
        if in_blocks or kind is Kind.STEM:
            out_channels = blocked(out_channels, self.block)
            in_channels = in_channels if kind is Kind.STEM else blocked(in_channels, self.block)
            groups = out_channels if kind is Kind.DEPTHWISE else groups
        maker = self._emit(kind, in_channels, out_channels, kernel, stride, groups, height, width)
        is_blocked = in_blocks or kind is Kind.STEM
        self._write(_Map(op.out_shapes[0], is_blocked=is_blocked, maker=maker, can_add=True))

    def _linear(self, op: "Op", inputs: list[_Map]) -> None:
        for value in inputs:
            self._read(value, False)
        out_channels = op.out_shapes[0][-1]
        rows = max(1, op.out_numel // max(1, out_channels))
        maker = self._emit(Kind.LINEAR, max(1, op.macs // max(1, op.out_numel)), out_channels, height=rows)
        self._write(_Map(op.out_shapes[0], maker=maker))

    def _norm(self, op: "Op", x: _Map) -> None:
        shape = op.out_shapes[0]
        channels, height, width = _chw(shape)
        if x.maker is not None and x.can_add and x.uses == 1:  # folded into the convolution
            self._write(_Map(shape, is_blocked=x.is_blocked, maker=x.maker, can_add=True))
        elif x.is_blocked:
            whole = blocked(channels, self.block)
            maker = self._emit(Kind.DEPTHWISE, whole, whole, groups=whole, height=height, width=width)
            self._write(_Map(shape, is_blocked=True, maker=maker, can_add=True))
        else:
            self._read(x, False)
            self._emit(Kind.BATCH_NORM, channels, channels, height=height, width=width)
            self._write(_Map(shape))

    def _activation(self, op: "Op", name: str, x: _Map) -> None:
        shape = op.out_shapes[0]
        if x.maker is not None and x.uses == 1 and name in _FUSED:
            if x.added is not None:  # convolution, sum and activation in one
                self.rows[x.added] = None
                self._add_to(x.maker)
            self._write(_Map(shape, is_blocked=x.is_blocked))
            return
        channels, height, width = _chw(shape)
        stays = x.is_blocked and name in ("relu", "sigmoid", "tanh")
        self._read(x, stays)
        kind = _FUNCTIONS.get(name, Kind.UNARY)
        channels = blocked(channels, self.block) if stays else channels
        self._emit(kind, channels, channels, height=height, width=width)
        if name in ("silu", "mish", "hardswish"):  # x * f(x)
            self._emit(Kind.SUM, channels, channels, height=height, width=width, extra=2)
        self._write(_Map(shape, is_blocked=stays))

    def _pool(self, op: "Op", name: str, x: _Map) -> None:
        kernel_h, kernel_w, stride, _ = op.window
        channels, height, width = _chw(op.out_shapes[0])
        in_blocks = self.block > 1 and channels % self.block == 0
        self._read(x, in_blocks)
        kind = _POOLS[name][0 if in_blocks else 1]
        self._emit(kind, channels, channels, (kernel_h, kernel_w), stride, height=height, width=width)
        self._write(_Map(op.out_shapes[0], is_blocked=in_blocks))

    def _concat(self, op: "Op", inputs: list[_Map]) -> None:
        if len(inputs) == 1:
            self._write(replace(inputs[0]))
            return
        shape = op.out_shapes[0]
        stays = all(x.is_blocked and x.shape[1] % self.block == 0 for x in inputs)
        for value in inputs:
            self._read(value, stays)
        channels, height, width = _chw(shape)
        self._emit(Kind.CONCAT, channels, channels, height=height, width=width, extra=len(inputs))
        self._write(_Map(shape, is_blocked=stays))

    def _arithmetic(self, op: "Op", name: str, inputs: list[_Map]) -> None:
        shape = op.out_shapes[0]
        channels, height, width = _chw(shape)
        binary = len(inputs) > 1
        x = inputs[0]
        if not binary and x.can_add and x.uses == 1 and name in _AFFINE:  # with a constant: folded as a norm is
            self._write(replace(x))
            return
        same = all(x.shape == shape for x in inputs)
        stays = binary and same and all(x.is_blocked for x in inputs) and name in ("add", "mul")
        free = [x for x in inputs if x.can_add and x.uses == 1 and x.is_blocked == stays]
        maker = free[0].maker if free and binary and same and name == "add" else None
        if maker is not None and stays:
            self._add_to(maker)
            self._write(_Map(shape, is_blocked=True, maker=maker))
            return
        for value in inputs:
            self._read(value, stays)
        two = binary or name in _AFFINE
        kind = _FUNCTIONS.get(name, Kind.SUM if two else Kind.UNARY)
        channels = blocked(channels, self.block) if stays else channels
        added = self._emit(kind, channels, channels, height=height, width=width, extra=2 if kind is Kind.SUM else 0)
        self._write(_Map(shape, is_blocked=stays, maker=maker, added=added))

    def _add_to(self, maker: int) -> None:
        row = self.rows[maker]
        assert row is not None
        self.rows[maker] = (*row[:-1], 1)

    def _folds(self, op: "Op") -> bool:
        """Whether a padding becomes part of the convolution or pool that reads it: no other does, nor new channels."""
        value, (before, after) = self._outputs[0], (op.in_shapes[0], op.out_shapes[0])
        return value in self._windowed and self._uses[value] == 1 and len(after) == 4 and before[1] == after[1]

    def _other(self, op: "Op", name: str, inputs: list[_Map]) -> None:
        shape = op.out_shapes[0]
        if name == "constant_pad_nd" and self._folds(op):
            self._write(replace(inputs[0], maker=None, can_add=False))
            return
        for value in inputs:
            value.reshaped = False
            self._read(value, False)
        channels, height, width = _chw(shape)
        if op.group == "copy":
            kind = Kind.PAD if name == "constant_pad_nd" else Kind.GATHER
        elif op.group in ("reduction", "pooling"):
            kind = Kind.REDUCE
            channels, height, width = _chw(op.in_shapes[0])
        else:
            kind = Kind.SUM
        self._emit(kind, channels, channels, height=height, width=width)
        self._write(_Map(shape if len(shape) != 5 else inputs[0].shape))


def _chw(shape: "Shape") -> tuple[int, int, int]:
    """(channels, height, width) of a map, or of anything else as if it were one."""
    if len(shape) == 4:
        return shape[1], shape[2], shape[3]
    if len(shape) == 5:
        return shape[1] * shape[2], shape[3], shape[4]
    return max(1, math.prod(shape)), 1, 1
