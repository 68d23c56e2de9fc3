"""The main graph of a TensorFlow Lite file: its tensors, which are described first and read where they are needed.

Source: tensorflow/lite/schema/schema.fbs, version 3; the numbers of fields below are those of its tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprat.errors import BadInput
from sprat.weights.foreign import MAX_DIMENSIONS, check_shape
from sprat.weights.parse.dequantise import Quantisation, dequantised, quantisation
from sprat.weights.parse.flatbuffer import Flatbuffer, Table
from sprat.weights.parse.tflite_operators import read_operators

VERSION = 3
MAX_NAME = 65_536  # characters

# TensorType, and the numpy type of those that are read.
TYPES = (
    ("FLOAT32", "<f4"),
    ("FLOAT16", "<f2"),
    ("INT32", "<i4"),
    ("UINT8", "|u1"),
    ("INT64", "<i8"),
    ("STRING", ""),
    ("BOOL", ""),
    ("INT16", "<i2"),
    ("COMPLEX64", ""),
    ("INT8", "|i1"),
    ("FLOAT64", "<f8"),
    ("COMPLEX128", ""),
    ("UINT64", ""),
    ("RESOURCE", ""),
    ("VARIANT", ""),
    ("UINT32", ""),
    ("UINT16", ""),
    ("INT4", ""),
)


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor as the file describes it.

    Args:
        table: of it, for what is seldom needed.
        name: in the file.
        shape: as declared.
        type: "FLOAT32".
        dtype: of numpy; empty for types that are not read.
        buffer: table of the buffer its numbers lie in; None where it has none.
    """

    table: Table
    name: str
    shape: tuple[int, ...]
    type: str
    dtype: str
    buffer: Table | None

    @property
    def what(self) -> str:
        """For messages."""
        return f"tensor {self.name[:80]!r} of {self.table.file.what}"

    def size_bytes(self) -> int:
        """How many bytes the file says it holds; 0 for a tensor that is computed."""
        if self.buffer is None:
            return 0
        file, place = self.table.file, self.buffer.place(0)
        inside = int(file.number("I", file.far(place))) if place else 0
        return inside or self.buffer.integer(2, "Q")

    def facts(self) -> dict[str, Any]:
        """Name, shape and type, as JSON values."""
        self.table.file.spend(len(self.name))
        return {"name": self.name, "shape": list(self.shape), "type": self.type}

    def is_quantised(self) -> bool:
        """Whether it has a scale."""
        return self._scales() is not None

    def quantisation(self) -> Quantisation | None:
        """Its scale; None where it has none.

        Raises:
            BadInput: the scale is damaged, or of a kind that is not read.
        """
        found = self._scales()
        if found is None:
            return None
        if found.integer(4, "B"):
            raise BadInput(f"{self.what} is quantised in a way of its own, which is not read")
        scale, zero_point = found.numbers(2, "<f4"), found.numbers(3, "<i8")
        return quantisation(scale, zero_point, found.integer(6, "i"), self.shape, self.what)

    def values(self, how: Quantisation | None) -> NDArray[np.float32]:
        """Its numbers as float32, by that scale.

        Raises:
            BadInput: they are stored in a way that is not read, are not what the shape says, or have no scale.
        """
        if self.table.table(6) is not None:
            raise BadInput(f"{self.what} is sparse, which is not read; convert the network without sparsity")
        if not self.dtype:
            raise BadInput(f"{self.what} is of type {self.type}, which is not read; convert the network to 8 bits")
        data = self._bytes()
        check_shape(self.shape, self.what, size_bytes=len(data), item_bytes=np.dtype(self.dtype).itemsize)
        return dequantised(np.frombuffer(data, self.dtype).reshape(self.shape), how, self.what)

    def _bytes(self) -> memoryview:
        """Its bytes, inside its buffer or, for an offset above 1, elsewhere in the file."""
        assert self.buffer is not None
        offset = self.buffer.integer(1, "Q")
        return self.table.file.piece(offset, self.buffer.integer(2, "Q")) if offset > 1 else self.buffer.raw(0)

    def _scales(self) -> Table | None:
        found = self.table.table(4)
        return found if found is not None and len(found.numbers(2, "<f4")) else None


class Graph:
    """The main graph of a file.

    Args:
        file: bytes of it.

    Raises:
        BadInput: it is of another version, or damaged.
    """

    def __init__(self, file: Flatbuffer) -> None:
        model = file.root()
        if (version := model.integer(0, "I")) != VERSION:
            raise BadInput(f"{file.what} is of version {version} of TensorFlow Lite's schema; {VERSION} is read")
        graphs = model.tables(2)
        if not graphs:
            raise BadInput(f"{file.what} holds no graph")
        self.file = file
        self.description = model.string(3)[:MAX_NAME]
        buffers = model.tables(4)
        self.tensors = [_described(table, buffers) for table in graphs[0].tables(0)]
        self.inputs = self._numbered(graphs[0].numbers(1, "<i4", len(self.tensors)).tolist())
        self.outputs = self._numbered(graphs[0].numbers(2, "<i4", len(self.tensors)).tolist())
        self.operators = read_operators(model.tables(1), graphs[0].tables(3), len(self.tensors))

    def _numbered(self, indices: Sequence[int]) -> list[Tensor]:
        for index in indices:
            if not 0 <= index < len(self.tensors):
                raise BadInput(f"{self.file.what} refers to tensor {index} of {len(self.tensors)}; it is damaged")
        return [self.tensors[index] for index in indices]


def _described(table: Table, buffers: Sequence[Table]) -> Tensor:
    """A tensor without its numbers; BadInput where its type or buffer does not exist."""
    what = table.file.what
    name = table.string(3)
    if len(name) > MAX_NAME:
        raise BadInput(f"{what} has a tensor name of {len(name):,} characters; it is damaged")
    kind, buffer = table.integer(1, "b"), table.integer(2, "I")
    if not 0 <= kind < len(TYPES):
        raise BadInput(f"tensor {name[:80]!r} of {what} is of type {kind}, which is not known")
    if buffer and buffer >= len(buffers):
        raise BadInput(f"tensor {name[:80]!r} of {what} lies in buffer {buffer} of {len(buffers)}; it is damaged")
    shape = tuple(table.numbers(0, "<i4", MAX_DIMENSIONS).tolist())
    return Tensor(table, name, shape, *TYPES[kind], buffers[buffer] if buffer else None)
