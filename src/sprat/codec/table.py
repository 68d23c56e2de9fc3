"""Value table: the distinct values of a tensor, in ascending order, in few bytes."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sprat.codec.element import Array, from_ordinals, ordinals_of, unsigned, zero_ordinal
from sprat.codec.grid import HALF, SINGLE, find_grid, on_grid, read_step, step_type, write_step
from sprat.codec.levels import MAX_LEVELS
from sprat.codec.wire import Ints, Reader, read_rice, unzigzag, varint, write_rice, zigzag
from sprat.errors import BadArtifact

_FULL, _HALF, _GRID, _GRID_HALF = range(4)


@dataclass(frozen=True, eq=False)
class Table:
    """Distinct values in ascending order, and the index of the one nearest to zero."""

    values: Array
    zero: int


def write_table(ordinals: Array, dtype: np.dtype[Any]) -> tuple[bytes, Table, Ints] | None:
    """Bytes of a table of these distinct ascending ordinals, the table, the index of each; None where there is none.

    Values on a grid need no more than its step and range (then the table may hold multiples that do not occur). Others
    are written as ascending ordinals, as float16 where all are: the first one whole, then gaps in Rice code.
    """
    values = from_ordinals(ordinals, dtype)
    kind = _FULL
    if dtype == SINGLE:
        grid = find_grid(values)
        if grid is not None:
            step, multiples = grid
            low, count = int(multiples[0]), int(multiples[-1] - multiples[0]) + 1
            if count <= min(MAX_LEVELS, ordinals.size * 3 // 2 + 8):
                zero = min(max(0, -low), count - 1)
                head = bytes([_GRID_HALF if step_type(step) == HALF else _GRID]) + varint(count - 2) + varint(zero)
                content = head + write_step(step) + varint(zigzag(low))
                return content, Table(on_grid(low + np.arange(count), step), zero), multiples - low
        with np.errstate(over="ignore", invalid="ignore"):
            narrow = values.astype(HALF)
        if np.array_equal(ordinals_of(narrow.astype(SINGLE)), ordinals):
            kind, ordinals = _HALF, ordinals_of(narrow)
    if ordinals.size > MAX_LEVELS or int(ordinals[-1]) - int(ordinals[0]) >= 2**62:
        return None
    stored = HALF if kind == _HALF else dtype
    zero = min(int(np.searchsorted(ordinals, ordinals.dtype.type(zero_ordinal(stored)))), ordinals.size - 1)
    head = (
        bytes([kind]) + varint(ordinals.size - 2) + varint(zero) + int(ordinals[0]).to_bytes(stored.itemsize, "little")
    )
    gaps = np.diff(ordinals).astype(np.int64) - 1
    return head + write_rice(gaps), Table(values, zero), np.arange(ordinals.size)


def read_table(reader: Reader, dtype: np.dtype[Any]) -> Table:
    """The table that `write_table` wrote for values of this type."""
    kind = reader.byte()
    if kind > _GRID_HALF or (kind != _FULL and dtype != SINGLE):
        raise BadArtifact(f"value table of kind {kind} for {dtype}: the file is damaged or from a newer sprat")
    count = reader.varint(MAX_LEVELS - 2) + 2
    zero = reader.varint(count - 1)
    if kind in (_GRID, _GRID_HALF):
        step = read_step(reader, HALF if kind == _GRID_HALF else SINGLE)
        values: Array = on_grid(unzigzag(reader.varint(2**25)) + np.arange(count), step)
    else:
        stored = HALF if kind == _HALF else dtype
        first = int.from_bytes(reader.take(stored.itemsize), "little")
        gaps = read_rice(reader, count - 1)
        if int(gaps.max()) >= 2 ** (8 * stored.itemsize) or first + int(gaps.astype(object).sum()) + count > 2 ** (
            8 * stored.itemsize
        ):
            raise BadArtifact(f"a value table that leaves the range of {stored}: the file is damaged")
        steps = np.concatenate([np.array([first], np.uint64), gaps.astype(np.uint64) + np.uint64(1)])
        values = from_ordinals(np.cumsum(steps, dtype=np.uint64).astype(unsigned(stored)), stored)
        if kind == _HALF:
            values = values.astype(SINGLE)
    return Table(values, zero)
