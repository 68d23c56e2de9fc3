"""Kernel: one piece of work that ONNX Runtime does for a network, as a row of whole numbers.

A row is small, hashable and free of torch, so that thousands of networks' rows lie in a cache and are priced in one
numpy call.
"""

import math
from collections.abc import Sequence
from enum import IntEnum

Row = tuple[int, ...]

# The columns of a row. Height and width are of what the kernel writes. `extra` counts maps added on the way (a fused
# residual sum) or concatenated; of a slice it is 0 for whole rows, 1 for parts of rows, 2 for every other pixel.
# `pressure` is of the whole network: what its weights and its largest maps take in memory, in half octaves of bytes.
COLUMNS = (
    "kind",
    "in_channels",
    "out_channels",
    "kernel_h",
    "kernel_w",
    "stride",
    "groups",
    "height",
    "width",
    "extra",
    "pressure",
)


class Kind(IntEnum):
    """Which code of ONNX Runtime runs. NCHWc is its blocked layout: channels in blocks of 16 (8 without AVX-512)."""

    POINTWISE = 0  # 1x1 convolution, NCHWc
    DEPTHWISE = 1  # NCHWc
    DIRECT = 2  # convolution, NCHWc, grouped ones too
    STEM = 3  # convolution from fewer channels than a block: reads NCHW, writes NCHWc
    GEMM = 4  # 1x1 convolution of stride 1, NCHW: a matrix product a group
    IM2COL = 5  # any other convolution, NCHW
    DEPTHWISE_NCHW = 6
    LINEAR = 7  # matrix product: in_channels x out_channels, `height` rows
    TO_BLOCKS = 8  # reorder NCHW to NCHWc
    FROM_BLOCKS = 9
    MAX_POOL = 10  # NCHWc
    MAX_POOL_NCHW = 11
    AVG_POOL = 12
    AVG_POOL_NCHW = 13
    CONCAT = 14
    SUM = 15  # two maps in, one out: add, multiply
    UNARY = 16  # relu, clip and their like, not fused into a convolution
    TRANSCENDENTAL = 17  # sigmoid, tanh, gelu: vectorised
    BATCH_NORM = 18  # NCHW; in NCHWc it is a depthwise 1x1
    GATHER = 19  # channel shuffle
    SLICE = 20
    PAD = 21
    REDUCE = 22  # global average and other reductions
    RESHAPE = 23
    SOFTMAX = 24
    INPUT = 25  # uint8 (H, W, C) to a normalised float32 (C, H, W)
    POWER = 26  # elu, softplus, pow, exp: a number at a time


CONVOLUTIONS = frozenset(
    {Kind.POINTWISE, Kind.DEPTHWISE, Kind.DIRECT, Kind.STEM, Kind.GEMM, Kind.IM2COL, Kind.DEPTHWISE_NCHW}
)


def under_pressure(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The rows of one network, each with the network's pressure as its last column.

    Weights that fit in the cache beside everything else are read several times faster than those that do not.
    """
    weights, largest = 0, 0
    for kind, in_channels, out_channels, kernel_h, kernel_w, stride, groups, height, width, _ in rows:
        if kind in CONVOLUTIONS or kind == Kind.LINEAR:
            weights += in_channels // groups * out_channels * kernel_h * kernel_w
        largest = max(largest, (in_channels * stride**2 + out_channels) * height * width)
    pressure = round(2 * math.log2(4 * (weights + largest))) if rows else 0
    return tuple((*row, pressure) for row in rows)


def slice_extra(before: Sequence[int], after: Sequence[int]) -> int:
    """How a slice reads, from the shapes (N, C, H, W): 0 whole rows, 1 parts of rows, 2 every other pixel."""
    if len(before) != 4 or len(after) != 4 or before[3] == after[3]:
        return 0
    return 2 if before[3] > after[3] + 1 and before[3] // after[3] > 1 else 1


def blocked(channels: int, block: int) -> int:
    """`channels` rounded up to whole blocks."""
    return -(-channels // block) * block


def conv_kind(
    in_channels: int, out_channels: int, kernel: tuple[int, int], stride: int, groups: int, block: int
) -> Kind:
    """Which convolution runs, by the rules of ONNX Runtime's nchwc_transformer.cc; `block` 1: there is no NCHWc."""
    depthwise = groups > 1 and groups == in_channels == out_channels
    per_group = in_channels // groups
    if block > 1:
        if groups > 1:
            whole = per_group % block == 0 and out_channels // groups % block == 0
            if out_channels % 4 == 0 and (depthwise or whole):
                return Kind.DEPTHWISE if depthwise else Kind.DIRECT
        elif in_channels < block:
            return Kind.STEM
        elif in_channels % 4 == 0:
            return Kind.POINTWISE if kernel == (1, 1) else Kind.DIRECT
    if depthwise:
        return Kind.DEPTHWISE_NCHW
    return Kind.GEMM if kernel == (1, 1) and stride == 1 else Kind.IM2COL
