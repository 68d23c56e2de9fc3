"""Flatbuffers, read without trust: tables of numbered fields, vectors and strings, every place checked.

Source: flatbuffers.dev, "FlatBuffers binary format". A table begins with a signed distance back to its vtable, which
has its own size, the table's size, and for each field the distance from the table's start, 0 where it is absent. What
has no fixed size (string, vector, table) is stored elsewhere, its field being an unsigned distance forward. All numbers
are little-endian. Several tables may share a vtable or a vector, so a small file may describe a large one: a Flatbuffer
counts what is read and refuses more than a few times its length.
"""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprat.errors import BadInput

MAX_BYTES = 2**31  # of a file: distances have 32 bits
READ_AGAIN = 8  # how many times over the file's length is read, at most
ALLOWANCE = 2**16  # bytes read in any case
MAX_TABLES = 100_000  # of one vector

_FORMATS = {kind: struct.Struct("<" + kind) for kind in "bBhHiIqQfd"}
Scalar = int | float


class Flatbuffer:
    """The bytes of a file, and how many more of them may be read.

    Args:
        data: the whole file.
        what: its name, for messages.

    Raises:
        BadInput: it is larger than any flatbuffer.
    """

    def __init__(self, data: bytes | memoryview, what: str) -> None:
        if len(data) > MAX_BYTES:
            raise BadInput(f"{what} has {len(data):,} bytes; a flatbuffer has at most {MAX_BYTES:,}")
        self.data = memoryview(data)
        self.what = what
        self.left = READ_AGAIN * len(data) + ALLOWANCE

    def root(self) -> "Table":
        """The table the file begins with."""
        return self.table(self.far(0))

    def number(self, kind: str, position: int) -> Scalar:
        """The number at a position, of a kind of `struct` ("H" for an unsigned one of 2 bytes)."""
        form = _FORMATS[kind]
        self._inside(position, form.size)
        value: Scalar = form.unpack_from(self.data, position)[0]
        return value

    def far(self, position: int) -> int:
        """The position that the unsigned distance at `position` leads to."""
        return position + int(self.number("I", position))

    def table(self, position: int) -> "Table":
        """The table at a position."""
        vtable = position - int(self.number("i", position))
        size = int(self.number("H", vtable))
        if size < 4 or size % 2:
            raise BadInput(f"{self.what} has a vtable of {size} bytes at byte {vtable:,}; the file is damaged")
        self._inside(vtable, size)
        return Table(self, position, vtable, (size - 4) // 2)

    def vector(self, position: int, item_bytes: int) -> tuple[int, int]:
        """(start, number of items) of the vector at a position."""
        count = int(self.number("I", position))
        self._inside(position + 4, count * item_bytes)
        return position + 4, count

    def piece(self, start: int, size_bytes: int) -> memoryview:
        """That many bytes from a position, not copied."""
        self._inside(start, size_bytes)
        self.spend(size_bytes)
        return self.data[start : start + size_bytes]

    def spend(self, size_bytes: int) -> None:
        """Count bytes that were read, or made of what was read.

        Raises:
            BadInput: they are more than any file of this length needs.
        """
        self.left -= size_bytes
        if self.left < 0:
            raise BadInput(f"{self.what} refers to the same bytes over and over; it is damaged")

    def _inside(self, position: int, size_bytes: int) -> None:
        if position < 0 or position + size_bytes > len(self.data):
            raise BadInput(
                f"{self.what} points to {size_bytes:,} bytes at byte {position:,}, but has {len(self.data):,}; "
                "it is truncated or damaged"
            )
        self.spend(1)


@dataclass(frozen=True, slots=True)
class Table:
    """One table; its fields are numbered in the order of the schema, from 0, a union counting as two.

    Args:
        file: it lies in.
        position: of the table.
        vtable: position of its vtable.
        num_fields: that the vtable knows; later ones are absent.
    """

    file: Flatbuffer
    position: int
    vtable: int
    num_fields: int

    def place(self, field: int) -> int:
        """Where a field lies; 0 where it is absent."""
        if field >= self.num_fields:
            return 0
        distance = int(self.file.number("H", self.vtable + 4 + 2 * field))
        return self.position + distance if distance else 0

    def integer(self, field: int, kind: str, default: int = 0) -> int:
        """A whole number, of a kind of `struct`; the default of the schema where it is absent."""
        place = self.place(field)
        return int(self.file.number(kind, place)) if place else default

    def table(self, field: int) -> "Table | None":
        """The table a field refers to; None where it is absent."""
        place = self.place(field)
        return self.file.table(self.file.far(place)) if place else None

    def tables(self, field: int) -> "list[Table]":
        """The tables of a vector, at most MAX_TABLES."""
        place = self.place(field)
        if not place:
            return []
        start, count = self.file.vector(self.file.far(place), 4)
        if count > MAX_TABLES:
            raise BadInput(f"{self.file.what} lists {count:,} tables; at most {MAX_TABLES:,} are read")
        return [self.file.table(self.file.far(start + 4 * index)) for index in range(count)]

    def numbers(self, field: int, dtype: str, most: int = MAX_BYTES) -> NDArray[Any]:
        """The numbers of a vector, not copied; none where it is absent.

        Args:
            field: of the vector.
            dtype: of numpy, as "<i4".
            most: how many there may be.
        """
        found: NDArray[Any] = np.frombuffer(self.raw(field, np.dtype(dtype).itemsize), dtype)
        if len(found) > most:
            raise BadInput(f"{self.file.what} lists {len(found):,} numbers where at most {most:,} make sense; damaged")
        return found

    def raw(self, field: int, item_bytes: int = 1) -> memoryview:
        """The bytes of a vector, not copied; none where it is absent."""
        place = self.place(field)
        if not place:
            return memoryview(b"")
        start, count = self.file.vector(self.file.far(place), item_bytes)
        return self.file.piece(start, count * item_bytes)

    def string(self, field: int) -> str:
        """A string; empty where it is absent.

        Raises:
            BadInput: it is no UTF-8.
        """
        try:
            return bytes(self.raw(field)).decode()
        except UnicodeDecodeError:
            raise BadInput(f"{self.file.what} holds a name that is not UTF-8; it is damaged") from None
