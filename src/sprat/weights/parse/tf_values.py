"""What both versions of TensorFlow's checkpoints share: types, shapes, and tensors that are stored in slices.

Source: tensorflow/core/framework: types.proto, tensor_shape.proto, tensor_slice.proto, versions.proto;
tensorflow/core/lib/strings/ordered_code.cc for the keys of slices.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprat.errors import BadInput
from sprat.weights.foreign import MAX_BYTES, MAX_DIMENSIONS
from sprat.weights.parse.wire import fields, message, signed

EVERYTHING = -1  # the length of a slice that takes a whole dimension
_BFLOAT16 = 14
STORED = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8", _BFLOAT16: "<u2", 19: "<f2"}  # DataType: how its numbers are stored
_OTHERS = {4: "uint8", 5: "int16", 6: "int8", 7: "string", 8: "complex64", 10: "bool", 18: "complex128", 21: "variant"}
_VERSION = 1  # of either kind of checkpoint, the newest there is

Slice = tuple[tuple[int, int], ...]  # (start, length) in each dimension


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a tensor and where it lies in it."""

    place: Slice
    values: NDArray[Any]


def type_name(kind: int) -> str:
    """The name of a type that is not read, for people."""
    return _OTHERS.get(kind, f"type {kind}")


def as_read(stored: NDArray[Any], kind: int, what: str) -> NDArray[Any]:
    """Stored numbers as float32, or as the int32 or int64 they are, in the same memory where nothing changes.

    Raises:
        BadInput: a float64 is beyond float32.
    """
    if kind == _BFLOAT16:
        return (stored.astype(np.uint32) << 16).view(np.float32)
    if stored.dtype.kind != "f":
        return stored.astype(stored.dtype.newbyteorder("="), copy=False)
    try:
        with np.errstate(over="raise", invalid="ignore", under="ignore"):
            return stored.astype(np.float32, copy=False)
    except FloatingPointError:
        raise BadInput(f"{what} has numbers beyond float32; no weights are so large, the file is damaged") from None


def shape_of(data: memoryview, what: str) -> tuple[int, ...]:
    """The sides a TensorShapeProto declares, plausible but not yet compared with any data.

    Raises:
        BadInput: an unknown rank, a negative or absurd side, or too many.
    """
    sides: list[int] = []
    for number, _, value in fields(data):
        if number == 2:
            side = 0
            for inner, _, size in fields(message(value, what)):
                side = signed(size, what) if inner == 1 else side
            sides.append(side)
        elif number == 3 and value:
            raise BadInput(f"{what} has a shape of unknown rank; the file is damaged")
        if len(sides) > MAX_DIMENSIONS:
            raise BadInput(f"{what} has over {MAX_DIMENSIONS} dimensions; the file is damaged")
    if any(side < 0 for side in sides) or math.prod(max(side, 1) for side in sides) > MAX_BYTES:
        raise BadInput(f"{what} declares the shape {tuple(sides)}, which is not usable; the file is damaged")
    return tuple(sides)


def slice_of(data: memoryview, what: str) -> Slice:
    """The place a TensorSliceProto declares.

    Raises:
        BadInput: a negative start, an empty piece, or too many dimensions.
    """
    place: list[tuple[int, int]] = []
    for number, _, value in fields(data):
        if number != 1:
            continue
        start, length = 0, EVERYTHING
        for inner, _, size in fields(message(value, what)):
            start = signed(size, what) if inner == 1 else start
            length = signed(size, what) if inner == 2 else length
        if (start, length) != (0, EVERYTHING) and (start < 0 or length <= 0):
            raise BadInput(f"{what} has a piece of {length} at {start}, which cannot be; the file is damaged")
        place.append((start, length))
        if len(place) > MAX_DIMENSIONS:
            raise BadInput(f"{what} has a piece of over {MAX_DIMENSIONS} dimensions; the file is damaged")
    return tuple(place)


def shape_within(place: Slice, shape: tuple[int, ...], what: str) -> tuple[int, ...]:
    """The shape of a piece of a tensor.

    Raises:
        BadInput: the piece has another number of dimensions, or reaches beyond the tensor.
    """
    if len(place) != len(shape):
        raise BadInput(f"{what} has {len(shape)} dimensions, a piece of it {len(place)}; the file is damaged")
    inner = tuple(side if length == EVERYTHING else length for (_, length), side in zip(place, shape, strict=True))
    if any(start + length > side for (start, _), length, side in zip(place, inner, shape, strict=True)):
        raise BadInput(f"{what} has the shape {shape}, a piece of it, {place}, lies outside; the file is damaged")
    return inner


def assemble(parts: Sequence[Part], shape: tuple[int, ...], what: str) -> NDArray[Any]:
    """The tensor of a shape from all its pieces, which cover it once.

    Raises:
        BadInput: a part of the tensor is in no piece, or in two.
    """
    if sum(part.values.size for part in parts) != math.prod(shape) or not parts:
        held = sum(part.values.size for part in parts)
        raise BadInput(f"{what} has the shape {shape}, its {len(parts)} pieces hold {held:,} numbers; damaged")
    if len(parts) == 1:
        return parts[0].values.reshape(shape)
    whole = np.empty(shape, parts[0].values.dtype)
    filled = np.zeros(shape, np.bool_)
    for part in parts:
        inner = shape_within(part.place, shape, what)
        index = tuple(slice(start, start + side) for (start, _), side in zip(part.place, inner, strict=True))
        if filled[index].any():
            raise BadInput(f"{what} has two pieces for the same numbers, one at {part.place}; the file is damaged")
        filled[index] = True
        whole[index] = part.values
    return whole


def slice_key(name: str, place: Slice) -> bytes:
    """The key under which a piece of a tensor is stored: 0, name, rank, start and length in each dimension."""
    escaped = name.encode().replace(b"\0", b"\0\xff")  # 0xff, which is escaped too, is never part of UTF-8
    key = b"\0" + escaped + b"\0\1" + _number(len(place))
    return key + b"".join(_signed_number(number) for pair in place for number in pair)


def _number(value: int) -> bytes:
    """A number whose codes sort as numbers do: how many bytes, then the bytes, the highest first."""
    size = (value.bit_length() + 7) // 8
    return bytes([size]) + value.to_bytes(size, "big")


def _signed_number(value: int) -> bytes:
    """The same for a signed number: n bytes begin with n bits that are the opposite of the sign, then its own bits."""
    bits = (value if value >= 0 else ~value).bit_length() + 1
    size = -(-bits // 7)
    header = ((1 << size) - 1) << (7 * size)  # in `size` bytes, as 8 * size - size bits are left
    positive = (value if value >= 0 else ~value) | header
    full = (1 << 8 * size) - 1
    return (positive if value >= 0 else positive ^ full).to_bytes(size, "big")


def check_version(data: memoryview, what: str) -> None:
    """Refuse a VersionDef that asks for a newer reader.

    Raises:
        BadInput: it does.
    """
    for number, _, value in fields(data):
        if number == 2 and signed(value, what) > _VERSION:
            raise BadInput(f"{what} asks for a reader of version {value}, {_VERSION} is the newest known; save it anew")
