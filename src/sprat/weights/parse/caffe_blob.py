"""Blobs of Caffe's models: numbers with a shape, in memory only as the arrays they become.

Source: BVLC/caffe, src/caffe/proto/caffe.proto, BlobProto: packed floats (5) or doubles (8) and a shape (7), before
2015 num, channels, height, width (1 to 4). NVIDIA's fork adds raw numbers (12) and their type (10), after
opencv/opencv, modules/dnn/src/caffe/opencv-caffe.proto.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sprat.errors import BadInput
from sprat.weights.foreign import MAX_DIMENSIONS, as_float, check_shape
from sprat.weights.parse.wire import FIXED32, FIXED64, LENGTH, fields, message, signed, varint

MAX_FIELDS = 4_000_000  # of a whole file; a network of the zoo has a few thousand
MAX_SIDE = 2**31  # of a dimension, as Caffe's own integers
RAW_TYPES = {0: "<f8", 1: "<f4", 2: "<f2"}  # NVIDIA's Type: DOUBLE, FLOAT, FLOAT16; INT and UINT are no weights


class Fields:
    """The fields of messages, counted over the whole file, so that no file takes long however small its fields."""

    def __init__(self) -> None:
        self._left = MAX_FIELDS

    def of(self, data: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
        """As `wire.fields`.

        Raises:
            BadInput: also where the file has more than MAX_FIELDS by now.
        """
        for found in fields(data):
            self._left -= 1
            if self._left < 0:
                raise BadInput(f"it has over {MAX_FIELDS:,} fields, many more than a network needs; it is damaged")
            yield found


@dataclass(frozen=True, slots=True)
class Blob:
    """The numbers of a BlobProto, where they lie in the file.

    Args:
        numbers: their bytes.
        dtype: numpy's name of their type.
        shape: which they fill exactly.
    """

    numbers: memoryview
    dtype: str
    shape: tuple[int, ...]

    def array(self) -> NDArray[np.float32]:
        """A copy as float32; of shape (0,) where there are no numbers."""
        if 0 in self.shape:
            return np.zeros(0, np.float32)
        with np.errstate(all="ignore"):  # doubles that are no floats become infinite, which the import refuses
            return as_float(np.frombuffer(self.numbers, self.dtype).reshape(self.shape))


def read_blob(data: memoryview, what: str, count: Fields) -> Blob:
    """A BlobProto; gradients are passed over.

    Args:
        data: the message.
        what: it is, for messages: "weights of layer 'conv1'".
        count: of the fields of the file.

    Raises:
        BadInput: it is damaged, or its shape is not that of its numbers.
    """
    shape: list[int] = []
    legacy = [0, 0, 0, 0]
    is_legacy, raw_type = False, 0
    numbers: dict[int, memoryview | bytearray] = {}
    loose = {5: FIXED32, 8: FIXED64, 12: LENGTH}  # data, double_data, raw_data: how one is written, if not packed
    for number, kind, value in count.of(data):
        if number in loose:
            if kind not in (LENGTH, loose[number]):
                raise BadInput(f"{what} has numbers of the wire type {kind}; it is damaged")
            numbers[number] = _joined(numbers.get(number), message(value, what))
        elif 1 <= number <= 4:
            legacy[number - 1], is_legacy = signed(value, f"a dimension of {what}"), True
        elif number == 7:
            shape.extend(_dimensions(message(value, f"the shape of {what}"), what, count))
        elif number == 10:
            raw_type = signed(value, f"the type of {what}")
    given = {number: part for number, part in numbers.items() if len(part) > 0}
    if len(given) > 1:
        raise BadInput(f"{what} has numbers of {len(given)} types; one was expected")
    if 12 in given and raw_type not in RAW_TYPES:
        raise BadInput(f"{what} is of NVIDIA's type {raw_type}; doubles, floats and halves (0, 1, 2) are read")
    dtype = {5: "<f4", 8: "<f8", 12: RAW_TYPES.get(raw_type, "<f4")}[next(iter(given), 5)]
    # As Blob::FromProto: the old fields count where there are any.
    sides = tuple(legacy if is_legacy else shape)
    if any(abs(side) > MAX_SIDE for side in sides):
        raise BadInput(f"{what} declares the shape {sides[:MAX_DIMENSIONS]}, which is not usable; it is damaged")
    held = next(iter(given.values()), b"")
    check_shape(sides, what, size_bytes=len(held), item_bytes=np.dtype(dtype).itemsize)
    return Blob(memoryview(held), dtype, sides)


def _joined(before: memoryview | bytearray | None, more: memoryview) -> memoryview | bytearray:
    """Numbers and more numbers; only where there are several fields of them, in memory of their own."""
    if before is None:
        return more
    joined = before if isinstance(before, bytearray) else bytearray(before)
    joined += more
    return joined


def _dimensions(data: memoryview, what: str, count: Fields) -> Iterator[int]:
    """The sides in a BlobShape, packed or not, one more than are usable at most."""
    sides = 0
    for number, _, value in count.of(data):
        if number != 1:
            continue
        position, packed = 0, value if isinstance(value, memoryview) else memoryview(b"")
        found = [value] if isinstance(value, int) else []
        while position < len(packed) and len(found) <= MAX_DIMENSIONS:
            side, position = varint(packed, position)
            found.append(side)
        for side in found:
            sides += 1
            if sides > MAX_DIMENSIONS:
                raise BadInput(f"{what} has over {MAX_DIMENSIONS} dimensions; it is damaged")
            yield signed(side, what)
