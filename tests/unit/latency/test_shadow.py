"""The kernels of small networks, as the rules of ONNX Runtime's optimiser have them."""

import math

import torch
from torch import Tensor, nn

from sprat.cost.trace import trace
from sprat.image import ImageSpec
from sprat.latency import COLUMNS, Kind, Row, conv_kind, kernels, slice_extra, under_pressure


def rows_of(net: nn.Module, image: ImageSpec = ImageSpec(3, 16, 16), block: int = 16) -> tuple[Row, ...]:
    return kernels(trace(net, image), block)


def kinds(rows: tuple[Row, ...]) -> list[Kind]:
    return [Kind(row[0]) for row in rows]


def head(channels: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]


TAIL = [Kind.FROM_BLOCKS, Kind.REDUCE, Kind.RESHAPE, Kind.LINEAR, Kind.SOFTMAX]


def test_norm_and_activation_cost_nothing_behind_a_convolution():
    plain = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), *head(32))
    full = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU6(), *head(32))
    assert rows_of(plain) == rows_of(full)
    assert kinds(rows_of(full)) == [Kind.INPUT, Kind.STEM, *TAIL]


def test_rows_are_whole_numbers_that_hash():
    rows = rows_of(nn.Sequential(nn.Conv2d(3, 20, (3, 5), 2, (1, 2)), *head(20)))
    assert len(set(rows)) == len(rows)
    assert all(len(row) == len(COLUMNS) and all(type(value) is int for value in row) for row in rows)
    assert rows[1][:10] == (Kind.STEM, 3, 32, 3, 5, 2, 1, 8, 8, 0)  # 20 channels fill two blocks of 16
    assert (Kind.LINEAR, 20, 10, 1, 1, 1, 1, 1, 1, 0) in [row[:10] for row in rows]


def test_unaligned_channels_leave_the_blocked_layout():
    assert conv_kind(30, 60, (1, 1), 1, 1, 16) is Kind.GEMM
    assert conv_kind(32, 60, (1, 1), 1, 1, 16) is Kind.POINTWISE
    assert conv_kind(30, 30, (3, 3), 1, 30, 16) is Kind.DEPTHWISE_NCHW
    assert conv_kind(60, 60, (3, 3), 1, 60, 16) is Kind.DEPTHWISE
    assert conv_kind(60, 240, (1, 1), 1, 3, 16) is Kind.GEMM
    assert conv_kind(64, 64, (3, 3), 1, 4, 16) is Kind.DIRECT
    assert conv_kind(30, 60, (1, 1), 2, 1, 16) is Kind.IM2COL
    assert conv_kind(32, 64, (3, 3), 1, 1, 1) is Kind.IM2COL


def test_without_a_blocked_layout_nothing_is_reordered():
    net = nn.Sequential(nn.Conv2d(3, 32, 3), nn.Conv2d(32, 32, 1), nn.MaxPool2d(2), *head(32))
    assert kinds(rows_of(net, block=1)) == [
        Kind.INPUT,
        Kind.IM2COL,
        Kind.GEMM,
        Kind.MAX_POOL_NCHW,
        *TAIL[1:],
    ]


class Residual(nn.Module):
    """relu(x + conv(x)), twice as a user might write it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        return torch.relu(x + self.body(x)).mean((2, 3))


def test_a_sum_joins_the_convolution_before_it():
    rows = rows_of(Residual(32))
    assert kinds(rows) == [Kind.INPUT, Kind.STEM, Kind.DIRECT, Kind.FROM_BLOCKS, Kind.REDUCE, Kind.SOFTMAX]
    assert rows[2][9] == 1
    narrow = rows_of(Residual(18))  # 18 channels: the second convolution is not blocked
    assert kinds(narrow)[:4] == [Kind.INPUT, Kind.STEM, Kind.FROM_BLOCKS, Kind.IM2COL]
    assert narrow[3][9] == 1


class Branches(nn.Module):
    """The same activation taken twice, and a concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, padding=1)
        self.left, self.right = nn.Conv2d(32, 32, 1), nn.Conv2d(32, 32, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = torch.cat([self.left(torch.relu(x)), self.right(torch.relu(x))], dim=1)
        return y.mean((2, 3))


def test_what_is_computed_twice_runs_once():
    assert kinds(rows_of(Branches())) == [
        Kind.INPUT,
        Kind.STEM,
        Kind.POINTWISE,
        Kind.POINTWISE,
        Kind.CONCAT,
        Kind.FROM_BLOCKS,
        Kind.REDUCE,
        Kind.SOFTMAX,
    ]


class Shuffle(nn.Module):
    """A channel shuffle between two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.last = nn.Conv2d(3, 32, 1), nn.Conv2d(32, 32, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        n, c, h, w = x.shape
        x = x.reshape(n, 4, c // 4, h, w).transpose(1, 2).reshape(n, c, h, w)
        return self.last(x).mean((2, 3))


def test_a_shuffle_is_one_gather():
    rows = rows_of(Shuffle())
    assert kinds(rows)[2:6] == [Kind.FROM_BLOCKS, Kind.GATHER, Kind.TO_BLOCKS, Kind.POINTWISE]
    assert (Kind.GATHER, 32, 32, 1, 1, 1, 1, 16, 16, 0) in [row[:10] for row in rows]


def test_pressure_is_the_memory_of_the_whole_network_in_half_octaves():
    conv = (int(Kind.POINTWISE), 64, 128, 1, 1, 1, 1, 8, 8, 0)
    pool = (int(Kind.MAX_POOL), 128, 128, 3, 3, 2, 1, 4, 4, 0)
    size = 4 * (64 * 128 + (64 + 128) * 64)
    assert under_pressure([conv, pool]) == ((*conv, round(2 * math.log2(size))), (*pool, round(2 * math.log2(size))))
    assert under_pressure([conv] * 100)[0][-1] == round(2 * math.log2(4 * (100 * 64 * 128 + (64 + 128) * 64)))
    assert under_pressure([]) == ()


class Corner(nn.Module):
    """Cuts one row and one column, then every other pixel, and pads channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 18, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)[:, :, 1:, 1:]
        return nn.functional.pad(x[:, :, ::3, ::3], (0, 0, 0, 0, 0, 5)).mean((2, 3))


def test_slices_say_how_they_read_and_new_channels_are_not_folded():
    rows = rows_of(Corner())
    slices = [(*row[2:3], *row[7:10]) for row in rows if row[0] == Kind.SLICE]
    assert slices == [(18, 15, 16, 0), (18, 15, 15, 1), (18, 5, 15, 0), (18, 5, 5, 2)]
    assert [row[2] for row in rows if row[0] == Kind.PAD] == [23]
    assert slice_extra((1, 8), (1, 4)) == 0
