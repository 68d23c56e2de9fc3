"""Synthetic: random networks as ONNX files, made of the blocks that convolutional families are made of.

Calibration measures these and not the zoo's own networks: they are written in milliseconds, cover widths and sizes that
no family has, and leave every network of the zoo for an honest check.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from sprat.bench.drawing import Graph, Map

SIDES = (32, 32, 48, 64, 64, 80, 96, 96, 112, 128, 128, 160, 192, 224, 224, 256)
ALIGNMENTS = (16, 16, 16, 8, 8, 4, 4, 2, 1)  # what channels are multiples of
MAX_WEIGHTS = 16_000_000


def synthetic(path: Path, seed: int, max_macs: float = 6e8) -> tuple[int, int]:
    """(height, width) of the random network of a seed, now written to `path`; equal seeds give equal networks.

    Args:
        path: file to write.
        seed: of everything that is drawn.
        max_macs: multiply-adds, log-uniform from a 500th of this.
    """
    rng = np.random.default_rng(seed)
    side = int(rng.choice(SIDES))
    target = float(max_macs * 500 ** -rng.random())
    scale = 1.0
    for _ in range(12):  # channels shrink or grow until the macs are about right
        graph = _network(np.random.default_rng(seed), side, scale)
        ratio = target / graph.macs
        if 0.6 < ratio < 1.7 and graph.num_weights < MAX_WEIGHTS:
            break
        scale *= float(np.clip(ratio**0.5, 0.4, 2.5)) if graph.num_weights < MAX_WEIGHTS else 0.7
    graph.save(path)
    return side, side


def _conv(
    g: Graph,
    x: Map,
    out_channels: int,
    kernel: int | tuple[int, int],
    stride: int = 1,
    groups: int = 1,
    relu: bool = True,
) -> Map:
    name, channels, height, width = x
    kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
    weight = g.weight((out_channels, channels // groups, kh, kw), channels // groups * kh * kw)
    bias = g.weight((out_channels,), 10**6)
    y = g.add(
        "Conv",
        [name, weight, bias],
        kernel_shape=[kh, kw],
        strides=[stride, stride],
        pads=[kh // 2, kw // 2, kh // 2, kw // 2],
        group=groups,
    )
    height, width = -(-height // stride), -(-width // stride)
    g.macs += out_channels * height * width * channels // groups * kh * kw
    return (g.add("Relu", [y]) if relu else y, out_channels, height, width)


def _pool(g: Graph, x: Map, operator: str, kernel: int, stride: int) -> Map:
    name, channels, height, width = x
    pads = [kernel // 2] * 4 if kernel % 2 else [0] * 4
    y = g.add(operator, [name], kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads)
    height, width = (-(-side // stride) if kernel % 2 else side // stride for side in (height, width))
    return (y, channels, height, width)


def _concat(g: Graph, maps: list[Map]) -> Map:
    return (g.add("Concat", [m[0] for m in maps], axis=1), sum(m[1] for m in maps), *maps[0][2:])


def _norm_relu(g: Graph, x: Map) -> Map:
    ones = np.ones(x[1], np.float32)
    shift = np.full(x[1], 0.01, np.float32)
    y = g.add("BatchNormalization", [x[0], *(g.constant(v) for v in (ones, shift, shift, ones))])
    return (g.add("Relu", [y]), *x[1:])


def _residual(g: Graph, x: Map, y: Map, relu: bool) -> Map:
    if x[1:] != y[1:]:
        x = _conv(g, x, y[1], 1, -(-x[2] // y[2]), relu=False)
    total = g.add("Add", [x[0], y[0]])
    return (g.add("Relu", [total]) if relu else total, *y[1:])


def _separable(g: Graph, x: Map, out: int, stride: int) -> Map:
    kernel = int(g.rng.choice([3, 3, 3, 5, 7]))
    y = _conv(g, x, x[1], kernel, stride, x[1], relu=bool(g.rng.random() < 0.7))
    return _conv(g, y, out, 1)


def _separable_residual(g: Graph, x: Map, out: int, stride: int) -> Map:
    y = _conv(g, _conv(g, x, x[1], 3, 1, x[1], relu=False), out, 1)
    y = _conv(g, _conv(g, y, out, 3, 1, out, relu=False), out, 1, relu=False)
    if stride == 2:
        y = _pool(g, y, "MaxPool", 3, 2)
    return _residual(g, x, y, relu=False)


def _fire(g: Graph, x: Map, out: int, stride: int) -> Map:
    if stride == 2:
        x = _pool(g, x, "MaxPool", 3, 2)
    s = _conv(g, x, max(1, out // int(g.rng.choice([4, 8]))), 1)
    y = _concat(g, [_conv(g, s, out - out // 2, 1), _conv(g, s, max(1, out // 2), 3)])
    return _residual(g, x, y, relu=False) if y[1] == x[1] and g.rng.random() < 0.5 else y


def _shuffle(g: Graph, x: Map, out: int, stride: int) -> Map:
    groups = int(g.rng.choice([n for n in (1, 2, 3, 4, 8) if x[1] % n == 0]))
    unit = 4 * groups
    out = max(unit, out // unit * unit)
    y = _conv(g, x, out // 4, 1, 1, groups)
    order = np.arange(out // 4).reshape(groups, -1).T.ravel()
    if groups > 1:
        y = (g.add("Gather", [y[0], g.constant(order)], axis=1), *y[1:])
    y = _conv(g, _conv(g, y, out // 4, 3, stride, out // 4, relu=False), out, 1, 1, groups, relu=False)
    if stride == 2:
        return _concat(g, [_pool(g, x, "AveragePool", 3, 2), (g.add("Relu", [y[0]]), *y[1:])])
    return _residual(g, x, y, relu=True)


def _bottleneck(g: Graph, x: Map, out: int, stride: int) -> Map:
    mid = max(2, out // int(g.rng.choice([2, 4])))
    groups = int(g.rng.choice([n for n in (1, 1, 8, 32) if mid % n == 0]))
    y = _conv(g, _conv(g, x, mid, 1), mid, 3, stride, groups)
    return _residual(g, x, _conv(g, y, out, 1, relu=False), relu=True)


def _basic(g: Graph, x: Map, out: int, stride: int) -> Map:
    y = _conv(g, _conv(g, x, out, 3, stride), out, 3, relu=False)
    if out > x[1] and g.rng.random() < 0.5:  # the shortcut without weights: every other pixel, channels of zeros
        if stride == 2:
            for axis in (2, 3):
                cut = [g.constant(np.array([value], np.int64)) for value in (0, 2**31, axis, 2)]
                x = (g.add("Slice", [x[0], *cut]), *x[1:])
            x = (x[0], x[1], *y[2:])
        pads = g.constant(np.array([0, 0, 0, 0, 0, out - x[1], 0, 0], np.int64))
        x = (g.add("Pad", [x[0], pads]), *y[1:])
    return _residual(g, x, y, relu=True)


def _dense(g: Graph, x: Map, out: int, stride: int) -> Map:
    growth = int(g.rng.choice([8, 12, 16, 24, 32]))
    for _ in range(int(g.rng.integers(2, 5))):
        y = _norm_relu(g, x)
        y = _conv(g, y, 4 * growth, 1) if g.rng.random() < 0.6 else y
        x = _concat(g, [x, _conv(g, y, growth, 3, relu=False)])
    x = _conv(g, _norm_relu(g, x), out, 1, relu=False)
    return _pool(g, x, "AveragePool", 2, 2) if stride == 2 and x[2] > 1 else x


def _inception(g: Graph, x: Map, out: int, stride: int) -> Map:
    part, long = max(1, out // 4), int(g.rng.choice([3, 7]))
    first = _conv(g, _conv(g, x, part, 1), part, int(g.rng.choice([3, 5])), stride)
    second = _conv(g, _conv(g, _conv(g, x, part, 1), part, (1, long), 1), part, (long, 1), stride)
    kind = str(g.rng.choice(["MaxPool", "AveragePool"]))
    pooled = _pool(g, x, kind, 3, stride)
    return _concat(g, [first, second, _conv(g, pooled, part, 1), _conv(g, x, max(1, out - 3 * part), 1, stride)])


def _plain(g: Graph, x: Map, out: int, stride: int) -> Map:
    y = _conv(g, x, out, int(g.rng.choice([1, 3, 3, 5])), 1 if stride == 2 else stride)
    if stride == 2:
        return (
            _pool(g, y, str(g.rng.choice(["MaxPool", "AveragePool"])), int(g.rng.choice([2, 3])), 2) if y[2] > 1 else y
        )
    return y


def _cell(g: Graph, x: Map, out: int, stride: int) -> Map:
    """As in searched cells: activation first, pools beside separable convolutions, sums, slices."""
    y = _conv(g, (g.add("Relu", [x[0]]), *x[1:]), out, 1, stride, relu=False)
    z = _conv(g, _conv(g, (g.add("Relu", [y[0]]), *y[1:]), out, 5, 1, out, relu=False), out, 1, relu=False)
    total = (g.add("Add", [_pool(g, y, "AveragePool", 3, 1)[0], z[0]]), *y[1:])
    pooled = _pool(g, y, "MaxPool", 3, 1)
    if g.rng.random() < 0.3:
        gate = g.add(str(g.rng.choice(["Sigmoid", "Sigmoid", "Elu"])), [pooled[0]])
        pooled = (g.add("Mul", [pooled[0], gate]), *pooled[1:])
    if g.rng.random() < 0.3 and y[2] > 2:
        low, high, rows, pixels = (g.constant(np.array(v, np.int64)) for v in ([1], [2**31], [2], [3]))
        cut = g.add("Slice", [g.add("Slice", [y[0], low, high, rows]), low, high, pixels])
        pads = g.constant(np.array([0, 0, 0, 0, 0, 0, 1, 1], np.int64))
        pooled = _conv(g, (g.add("Pad", [cut, pads]), *y[1:]), out, 1, relu=False)
    return _concat(g, [total, pooled, y])


_BLOCKS: tuple[Callable[[Graph, Map, int, int], Map], ...] = (
    _separable,
    _separable,
    _separable_residual,
    _fire,
    _shuffle,
    _shuffle,
    _bottleneck,
    _basic,
    _dense,
    _inception,
    _plain,
    _cell,
)


def _network(rng: np.random.Generator, side: int, scale: float) -> Graph:
    """Stem, two to five stages of one or two kinds of block, and a classifier."""
    g = Graph(rng, side)
    aligned = int(rng.choice(ALIGNMENTS))
    base = float(rng.choice([16, 24, 32, 48, 64]) * scale)

    def channels(wanted: float) -> int:
        return max(aligned, 4, round(wanted / aligned) * aligned)

    deep = bool(side >= 96 or rng.random() < 0.3)
    x: Map = _conv(g, ("pixels", 3, side, side), channels(base), int(rng.choice([3, 3, 5, 7])), 2 if deep else 1)
    kinds = rng.choice(len(_BLOCKS), 2)
    for stage in range(int(rng.integers(2, 6))):
        stride = 2 if x[2] >= 8 and (stage or deep) else 1
        width = channels(base * float(rng.choice([1, 1.5, 2])) * 1.7**stage)
        for depth in range(int(rng.integers(1, 5))):
            block = _BLOCKS[int(kinds[int(rng.integers(2))])]
            x = block(g, x, width, stride if depth == 0 else 1)
    if rng.random() < 0.25 and x[1] * x[2] * x[3] < 20_000:
        x = (g.add("Flatten", [x[0]]), x[1] * x[2] * x[3], 1, 1)
        hidden = int(rng.choice([128, 256, 512, 1024, 2048]))
        name = g.add("Gemm", [x[0], g.weight((x[1], hidden), x[1]), g.weight((hidden,), 10**6)])
        features, size = g.add("Relu", [name]), hidden
    else:
        pooled = g.add("ReduceMean", [x[0], g.constant(np.array([2, 3], np.int64))], keepdims=0)
        features, size = pooled, x[1]
    classes = int(rng.choice([2, 10, 10, 100, 1000]))
    g.macs += size * classes
    g.add("Gemm", [features, g.weight((size, classes), size), g.weight((classes,), 10**6)])
    return g
