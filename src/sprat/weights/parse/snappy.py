"""Snappy's compressed blocks, undone: literals and copies of what was undone before, no entropy coding.

Source: google/snappy, format_description.txt. Early releases of TensorFlow compress the index of a checkpoint so.
"""

from sprat.errors import BadInput
from sprat.weights.parse.wire import varint

_MAX_RATIO = 22  # a copy of 3 bytes stands for 64 at most


def uncompressed(data: memoryview, what: str, *, max_bytes: int) -> bytearray:
    """The bytes that a Snappy block stands for.

    Args:
        data: the block, with its length in front.
        what: for messages, "the block at 0 of model.ckpt.index".
        max_bytes: the most that will be undone.

    Raises:
        BadInput: the block is damaged, or declares more than max_bytes or than Snappy can reach from so few bytes.
    """
    size, position = varint(data, 0)
    if size > min(max_bytes, _MAX_RATIO * len(data)):
        raise BadInput(f"{what} declares {size:,} bytes, more than {len(data):,} compressed ones hold; it is damaged")
    undone = bytearray()
    while position < len(data):
        tag = data[position]
        if tag & 3 == 0:
            position = _literal(data, position, undone, what)
        else:
            position = _copy(data, position, undone, what)
        if len(undone) > size:
            raise BadInput(f"{what} holds more than the {size:,} bytes it declares; it is damaged")
    if len(undone) != size:
        raise BadInput(f"{what} holds {len(undone):,} of the {size:,} bytes it declares; it is damaged")
    return undone


def _literal(data: memoryview, position: int, undone: bytearray, what: str) -> int:
    """Appends the bytes that stand as they are at `position`; the position after them."""
    length = data[position] >> 2
    start = position + 1
    if length >= 60:  # the length follows in 1 to 4 bytes
        start += length - 59
        length = int.from_bytes(data[position + 1 : start], "little")
    end = start + length + 1
    if end > len(data):
        raise BadInput(f"{what} ends within a literal of {length + 1:,} bytes; it is truncated")
    undone += data[start:end]
    return end


def _copy(data: memoryview, position: int, undone: bytearray, what: str) -> int:
    """Appends what the copy at `position` refers back to; the position after the copy."""
    tag = data[position]
    end = position + (0, 2, 3, 5)[tag & 3]
    if end > len(data):
        raise BadInput(f"{what} ends within a copy; it is truncated")
    offset = int.from_bytes(data[position + 1 : end], "little")
    length = (tag >> 2) + 1
    if tag & 3 == 1:
        offset |= (tag >> 5) << 8
        length = (tag >> 2 & 7) + 4
    if not 0 < offset <= len(undone):
        raise BadInput(f"{what} copies from {offset:,} bytes back, {len(undone):,} are there; it is damaged")
    start = len(undone) - offset
    if offset >= length:
        undone += undone[start : start + length]
    else:  # a copy may reach into itself: the last `offset` bytes, again and again
        undone += (undone[start:] * (length // offset + 1))[:length]
    return end
