"""The wire format of protocol buffers: messages as numbered fields, without a schema.

Source: protobuf.dev, "Encoding". TensorFlow's checkpoints and Caffe's models are such messages.
"""

from collections.abc import Iterator

from sprat.errors import BadInput

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_MAX_VARINT = 10  # bytes


def varint(data: memoryview, start: int) -> tuple[int, int]:
    """(value, position after it) of the unsigned number at `start`, below 2**64.

    Raises:
        BadInput: the data ends within the number, or it is longer than any number.
    """
    value = 0
    for index in range(_MAX_VARINT):
        if start + index >= len(data):
            raise BadInput("the data ends within a number; the file is truncated")
        byte = data[start + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value & (2**64 - 1), start + index + 1
    raise BadInput("a number is over 10 bytes long; the file is damaged")


def fields(data: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """(field number, wire type, value) of each field of a message, in order.

    The value is an int for VARINT, and the bytes, not copied, for FIXED64, FIXED32 and LENGTH.

    Raises:
        BadInput: a field is cut short or of a wire type that does not exist.
    """
    position = 0
    while position < len(data):
        key, position = varint(data, position)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, position = varint(data, position)
            yield number, kind, value
            continue
        if kind == LENGTH:
            size, position = varint(data, position)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise BadInput(f"field {number} has the wire type {kind}, which does not exist; the file is damaged")
        if size > len(data) - position or number == 0:
            raise BadInput(f"field {number} says it has {size:,} bytes, {len(data) - position:,} are left; damaged")
        yield number, kind, data[position : position + size]
        position += size


def text(value: int | memoryview, what: str) -> str:
    """The string of a LENGTH field.

    Raises:
        BadInput: it is no UTF-8, or the field is of another kind.
    """
    try:
        return bytes(message(value, what)).decode()
    except UnicodeDecodeError:
        raise BadInput(f"{what} is not UTF-8; the file is damaged") from None


def message(value: int | memoryview, what: str) -> memoryview:
    """The bytes of a LENGTH field.

    Raises:
        BadInput: the field is of another kind.
    """
    if isinstance(value, int):
        raise BadInput(f"{what} is a number where bytes were expected; the file is damaged")
    return value


def signed(value: int | memoryview, what: str) -> int:
    """The int64 of a VARINT field.

    Raises:
        BadInput: the field is of another kind.
    """
    if not isinstance(value, int):
        raise BadInput(f"{what} is bytes where a number was expected; the file is damaged")
    return value - 2**64 if value >= 2**63 else value
