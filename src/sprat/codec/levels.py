"""Levels: a matrix of level numbers, entropy coded under an adaptive model that only uses integers.

A level number k counts from the level nearest to zero (k = 0), negative below it. Large and small weights keep company:
a row (output channel), a column (input channel and kernel position) and a kernel each have their own scale. So the
matrix is walked in steps along its diagonals: all elements of a step lie in different rows and columns, what came
before them in their row, column and kernel is known, and a whole step is coded at once. The product of the three
relative scales picks one of 16 classes, each with adaptive frequencies. docs/reference/format.md has every operation.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from sprat.codec.rangecoder import Coder, Floats, frequencies
from sprat.codec.wire import Ints
from sprat.errors import BadArtifact

NUM_CLASSES = 16
MAX_LEVELS = 4096
MAX_SIDE = 2**20  # of the matrix

_EXACT = 8  # level numbers below this in magnitude have a bucket of their own
_OWN, _NEIGHBOUR = 8, 4  # what one symbol adds to the counts of its class and of the two classes beside it


def log16(values: Ints) -> Ints:
    """16 * log2(values), rounded down and linear within an octave: 16 * e + the four bits behind the leading one.

    Read from the bits of a float64, which holds integers below 2**53 exactly.
    """
    return (values.astype(np.float64).view(np.int64) >> 48) - (1023 << 4)


def grouping(rows: int, columns: int) -> tuple[int, int]:
    """How many rows and columns advance together: 1 and 1 unless one side is more than eight times the other."""
    return max(1, rows // (8 * columns)), max(1, columns // (8 * rows))


def steps(rows: int, columns: int) -> Iterator[tuple[Ints, Ints]]:
    """Row and column numbers of the elements of each step, rows ascending, then columns ascending."""
    by_rows, by_columns = grouping(rows, columns)
    tall, wide = -(-rows // by_rows), -(-columns // by_columns)
    within = np.arange(by_columns)
    for step in range(tall + wide - 1):
        first, last = max(0, step - wide + 1), min(tall - 1, step)
        row = np.arange(first * by_rows, min(rows, (last + 1) * by_rows))
        if by_rows == by_columns == 1:
            yield row, step - row
            continue
        column = ((step - row // by_rows) * by_columns)[:, None] + within
        inside = column < columns
        yield np.broadcast_to(row[:, None], column.shape)[inside], column[inside]


class Buckets:
    """How a level number splits into a symbol and fine bits: magnitudes under 8 alone, then two buckets an octave."""

    def __init__(self, num_levels: int, zero: int) -> None:
        numbers = np.arange(num_levels) - zero
        magnitude = np.abs(numbers)
        octave = np.where(magnitude >= _EXACT, log16(np.maximum(magnitude, 1)) // 16 - 3, 0)
        large = magnitude >= _EXACT
        bucket = np.where(large, _EXACT + 2 * octave + ((magnitude >> (octave + 2)) & 1), magnitude)
        signed = np.where(numbers < 0, -bucket, bucket)
        bits = np.where(large, octave + 2, 0)
        self.symbol = signed - signed[0]
        self.num_symbols = int(self.symbol[-1]) + 1
        self.fine = magnitude & ((1 << bits) - 1)
        ids = np.arange(self.num_symbols) + int(signed[0])
        size = np.abs(ids)
        octave = np.maximum(size - _EXACT, 0) // 2
        self.bits = np.where(size >= _EXACT, octave + 2, 0)  # fine bits of each symbol
        self.base = np.where(size >= _EXACT, (2 + (size & 1)) << (octave + 2), size)
        self.sign = np.where(ids < 0, -1, 1)
        self.node = np.cumsum(1 << self.bits) - (1 << self.bits)  # first counter of each symbol's tree of fine bits
        self.num_nodes = int(self.node[-1] + (1 << self.bits[-1]))


class Model:
    """The adaptive state: running sums of magnitudes by row, column, input channel and kernel; counts by class."""

    def __init__(self, shape: tuple[int, ...], buckets: Buckets) -> None:
        rows, columns, kernel = matrix(shape)
        self._by_rows, self._by_columns = grouping(rows, columns)
        self._kernel = kernel
        self._use_kernel = 1 < kernel < columns and self._by_columns == 1
        self._row = np.zeros(rows, np.int64)
        self._column = np.zeros(columns, np.int64)
        self._input = np.zeros(columns // kernel, np.int64)
        self._input_seen = np.zeros(columns // kernel, np.int64)
        self._in_kernel = np.zeros(rows, np.int64)
        self._sum, self._seen = 1, 2
        counted = np.arange(max(rows, columns) + 1)
        self._log8, self._log16, self._log2 = log16(counted + 8), log16(counted + 16), log16(counted + 2)
        self._counts = np.ones((NUM_CLASSES, buckets.num_symbols), np.int64) << buckets.bits
        self.nodes = np.ones((buckets.num_nodes, 2), np.int64)

    def classes(self, row: Ints, column: Ints) -> Ints:
        """The class of each element: its expected magnitude over the mean one, three classes an octave."""
        mean = max(1, (self._sum << 8) // self._seen)
        log_mean = int(log16(np.array([mean]))[0])
        seen_in_row = column if self._by_columns == 1 else column // self._by_columns * self._by_columns
        seen_in_column = row if self._by_rows == 1 else row // self._by_rows * self._by_rows
        channel = column // self._kernel
        of_input = ((self._input[channel] << 8) + 8 * mean) // (self._input_seen[channel] + 8)
        scale = log16((self._row[row] << 8) + 8 * mean) - self._log8[seen_in_row]
        scale += log16((self._column[column] << 8) + 16 * of_input) - self._log16[seen_in_column]
        scale -= 2 * log_mean
        if self._use_kernel:
            place = column % self._kernel
            self._in_kernel[row[place == 0]] = 0
            scale += log16((self._in_kernel[row] << 8) + 2 * mean) - self._log2[place] - log_mean
        return ((3 * scale >> 4) + NUM_CLASSES // 2).clip(0, NUM_CLASSES - 1)

    def tables(self) -> Floats:
        """The frequencies of the symbols in each class."""
        return frequencies(self._counts)

    def update(self, row: Ints, column: Ints, classes: Ints, symbols: Ints, magnitude: Ints) -> None:
        """Take in one coded step."""
        num_symbols = self._counts.shape[1]
        new = np.bincount(classes * num_symbols + symbols, minlength=self._counts.size).reshape(self._counts.shape)
        self._counts += _OWN * new
        self._counts[1:] += _NEIGHBOUR * new[:-1]
        self._counts[:-1] += _NEIGHBOUR * new[1:]
        np.add.at(self._row, row, magnitude)
        np.add.at(self._column, column, magnitude)
        channel = column // self._kernel
        np.add.at(self._input, channel, magnitude)
        np.add.at(self._input_seen, channel, 1)
        if self._use_kernel:
            self._in_kernel[row] += magnitude
        self._sum += int(magnitude.sum())
        self._seen += magnitude.size


def matrix(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Rows, columns and kernel size of a shape: (O, I, ...) is O rows of I * kernel columns; 0-d is 1 by 1."""
    rows = shape[0] if shape else 1
    kernel = int(np.prod(shape[2:], dtype=np.int64))
    return rows, kernel * (shape[1] if len(shape) > 1 else 1), kernel


def code_levels(
    coder: Coder, shape: tuple[int, ...], num_levels: int, zero: int, indices: npt.NDArray[np.int32] | None
) -> npt.NDArray[np.int32]:
    """The level indices (0 to num_levels - 1) of a tensor, written by an Encoder or read by a Decoder.

    Args:
        coder: an Encoder, or a Decoder.
        shape: of the tensor, no side empty.
        num_levels: 2 to MAX_LEVELS.
        zero: the index of level number 0.
        indices: what to write; None to read.

    Raises:
        BadArtifact: the coded symbols are not valid.
    """
    rows, columns, _ = matrix(shape)
    buckets = Buckets(num_levels, zero)
    model = Model(shape, buckets)
    result = np.empty((rows, columns), np.int32) if indices is None else indices.reshape(rows, columns)
    for row, column in steps(rows, columns):
        classes = model.classes(row, column)
        known = None if indices is None else result[row, column]
        symbols = coder.code(model.tables(), classes, None if known is None else buckets.symbol[known])
        magnitude = buckets.base[symbols]
        if buckets.num_nodes > buckets.num_symbols:
            magnitude = magnitude + _code_fine(coder, model, buckets, symbols, known)
        if known is None:
            level = zero + buckets.sign[symbols] * magnitude
            if int(level.min()) < 0 or int(level.max()) >= num_levels:
                raise BadArtifact(f"a level outside the {num_levels} of the table: the file is damaged")
            result[row, column] = level
        model.update(row, column, classes, symbols, magnitude)
    return result.reshape(shape)


def _code_fine(
    coder: Coder, model: Model, buckets: Buckets, symbols: Ints, known: npt.NDArray[np.int32] | None
) -> Ints:
    """The fine bits of a step's elements, most significant first; the bits above pick the counter of the next one."""
    bits = buckets.bits[symbols]
    fine = np.zeros(symbols.size, np.int64)
    most = int(bits.max())
    for place in range(most):
        left = np.flatnonzero(bits > place)
        nodes = buckets.node[symbols[left]] + (1 << place) - 1 + fine[left]
        shift = bits[left] - 1 - place
        wanted = None if known is None else (buckets.fine[known[left]] >> shift) & 1
        bit = coder.code(frequencies(model.nodes[nodes]), np.arange(nodes.size), wanted)
        np.add.at(model.nodes, (nodes, bit), 2)
        fine[left] = 2 * fine[left] + bit
    return fine
