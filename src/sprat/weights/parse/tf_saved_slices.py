"""TensorFlow's checkpoints of version 1: one table, whose first entry lists the tensors and whose others hold them.

Source: tensorflow/core/util/saved_tensor_slice.proto and tensorflow/core/framework/tensor.proto. TF-Slim's releases of
2016 are such files.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprat.errors import BadInput
from sprat.weights.foreign import MAX_TENSORS, check_shape
from sprat.weights.parse.sstable import MAX_ENTRIES, entries
from sprat.weights.parse.tf_values import (
    STORED,
    Part,
    Slice,
    as_read,
    assemble,
    check_version,
    shape_of,
    shape_within,
    slice_key,
    slice_of,
    type_name,
)
from sprat.weights.parse.wire import fields, message, signed, text

_CONTENT = 4  # the field of a TensorProto that holds the bytes of any type
_FIELD = {1: 5, 2: 6, 3: 7, 9: 10, 14: 13, 19: 13}  # DataType: the field of a TensorProto that holds its numbers
_PLAIN = (1, 2)  # types whose numbers lie there as they are; those of the others are of a varying length
_CHUNK = 2**20  # bytes of numbers of a varying length that are read at once


@dataclass(frozen=True, slots=True)
class _Tensor:
    """What the list says of a tensor (a SavedSliceMeta), and the pieces found so far."""

    name: str
    kind: int
    shape: tuple[int, ...]
    places: tuple[Slice, ...]
    what: str
    parts: list[Part] = field(default_factory=list)


def read_saved_slices(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """(tensors by name, notes) of a checkpoint of version 1, every checksum verified.

    Raises:
        BadInput: the file is damaged; the message says where.
        OSError: it cannot be read.
    """
    tensors: list[_Tensor] | None = None
    wanted: dict[bytes, tuple[_Tensor, Slice]] = {}
    for key, value in entries(path):
        if tensors is None:
            tensors = _listed(value, path) if key == b"" else []
            if not tensors:
                raise BadInput(f"{path} lists no tensors as a checkpoint does; it is a table of something else")
            wanted = {slice_key(tensor.name, place): (tensor, place) for tensor in tensors for place in tensor.places}
            continue
        if key not in wanted:
            raise BadInput(f"{path} holds {key[:80]!r}, which it does not list; it is damaged")
        tensor, place = wanted.pop(key)
        if tensor.kind in STORED:
            tensor.parts.append(Part(place, _piece(value, tensor, place)))
    if tensors is None:
        raise BadInput(f"{path} is empty; it is a table of something else than a checkpoint")
    if wanted:
        raise BadInput(f"{next(iter(wanted.values()))[0].what} is listed but not there; the file is damaged")
    read = {
        tensor.name: assemble(tensor.parts, tensor.shape, tensor.what) for tensor in tensors if tensor.kind in STORED
    }
    notes: dict[str, Any] = {"version": 1, "shards": 1, "checksums": "verified"}
    skipped = {tensor.name: type_name(tensor.kind) for tensor in tensors if tensor.kind not in STORED}
    return read, notes | ({"skipped": skipped} if skipped else {})


def _listed(data: memoryview, path: Path) -> list[_Tensor]:
    """The tensors that the first entry, a SavedTensorSlices with a `meta`, lists."""
    tensors: dict[str, _Tensor] = {}
    num_places = 0
    for number, _, meta in fields(data):
        if number != 1:
            continue
        if isinstance(meta, int):  # the number of data files, as an index begins
            raise BadInput(
                f"{path} is the index of a checkpoint of version 2; name it PREFIX.index, beside its PREFIX.data-*"
            )
        for inner, _, value in fields(meta):
            if inner == 1:
                tensor = _tensor(message(value, str(path)), path)
                num_places += len(tensor.places)
                if tensor.name in tensors:
                    raise BadInput(f"{path} lists {tensor.what} twice; it is damaged")
                tensors[tensor.name] = tensor
                if len(tensors) > MAX_TENSORS or num_places > MAX_ENTRIES:
                    raise BadInput(f"{path} lists over {MAX_TENSORS:,} tensors; no network here has so many")
            elif inner == 2:
                check_version(message(value, str(path)), str(path))
    return list(tensors.values())


def _tensor(data: memoryview, path: Path) -> _Tensor:
    """The content of a SavedSliceMeta."""
    name, kind, shape = "", 0, memoryview(b"")
    places: list[Slice] = []
    for number, _, value in fields(data):
        if number == 1:
            name = text(value, f"the name of a tensor of {path}")
        elif number == 2:
            shape = message(value, str(path))
        elif number == 3:
            kind = signed(value, str(path))
        elif number == 4 and len(places) <= MAX_ENTRIES:
            places.append(slice_of(message(value, str(path)), str(path)))
    what = f"tensor {name[:200]!r} of {path.name}"
    if len(set(places)) < len(places):
        raise BadInput(f"{what} lists a piece twice; the file is damaged")
    return _Tensor(name, kind, shape_of(shape, what), tuple(places), what)


def _piece(data: memoryview, tensor: _Tensor, place: Slice) -> NDArray[Any]:
    """The numbers of a piece, from a SavedTensorSlices with a `data`."""
    what = tensor.what
    proto = memoryview(b"")
    for number, _, saved in fields(data):
        if number != 2:
            continue
        for inner, _, value in fields(message(saved, what)):
            if inner == 1 and text(value, what) != tensor.name:
                raise BadInput(f"{what} is held under the name of another; the file is damaged")
            if inner == 2 and slice_of(message(value, what), what) != place:
                raise BadInput(f"{what} is held as another piece than listed, {place}; the file is damaged")
            if inner == 3:
                proto = message(value, what)
    shape = shape_within(place, tensor.shape, what)
    stored = np.dtype(STORED[tensor.kind])
    numbers = _numbers(proto, tensor.kind, stored, what)
    check_shape(shape, what, size_bytes=numbers.nbytes, item_bytes=stored.itemsize)
    return as_read(numbers.reshape(shape), tensor.kind, what)


def _numbers(proto: memoryview, kind: int, stored: np.dtype[Any], what: str) -> NDArray[Any]:
    """The numbers a TensorProto holds, flat, in memory of their own."""
    held: tuple[int, memoryview] | None = None
    for number, _, value in fields(proto):
        if number in (_CONTENT, _FIELD[kind]):
            if held is not None:
                raise BadInput(f"{what} holds its numbers in several runs, which is not read; save it anew")
            held = number, message(value, what)
    if held is None:
        return np.zeros(0, stored)
    number, data = held
    if number != _CONTENT and kind not in _PLAIN:
        return _varints(data, stored, what)
    if len(data) % stored.itemsize:
        raise BadInput(f"{what} holds {len(data):,} bytes, no whole number of numbers; the file is damaged")
    return np.frombuffer(data, stored).copy()


def _varints(data: memoryview, stored: np.dtype[Any], what: str) -> NDArray[Any]:
    """Numbers of a varying length, 7 bits a byte, the last byte of each below 128; halves as the 16 bits they are."""
    octets = np.frombuffer(data, np.uint8)
    whole = np.dtype("<u2") if stored.kind == "f" else stored
    values = np.empty(int((octets < 0x80).sum()), whole)
    position = filled = 0
    while position < octets.size:
        chunk = octets[position : position + _CHUNK]
        ends = np.flatnonzero(chunk < 0x80)
        starts = np.concatenate(([0], ends[:-1] + 1))
        lengths = ends - starts + 1
        if not ends.size or lengths.max() > 10:
            raise BadInput(f"{what} holds a number of over 10 bytes; the file is damaged")
        found = np.zeros(ends.size, np.uint64)
        for place in range(int(lengths.max())):
            longer = lengths > place
            bits = chunk[starts[longer] + place].astype(np.uint64) & np.uint64(0x7F)
            found[longer] |= bits << np.uint64(7 * place)
        numbers = found.view(np.int64)
        limits = np.iinfo(whole)
        if numbers.min() < limits.min or numbers.max() > limits.max:
            raise BadInput(f"{what} holds numbers beyond {whole.name}; the file is damaged")
        values[filled : filled + ends.size] = numbers
        filled += ends.size
        position += int(ends[-1]) + 1
    return values.view(stored)
