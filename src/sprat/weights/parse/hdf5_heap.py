"""Strings of varying length in the attributes of an HDF5 file, read without the library.

Source: "HDF5 File Format Specification", version 3.0, sections III.E (global heap), IV.A.1.a (object headers of version
1) and IV.A.2.m (attribute messages). The library (1.14) asks for as much memory as such a string says it has, up to 4
GiB, before it looks whether it is there, and never returns from a heap whose objects are 0 bytes long.
"""

import struct
from collections.abc import Iterator
from mmap import mmap
from typing import Any

from sprat.errors import BadInput

_HEADER = struct.Struct("<BxHII4x")  # version, messages, references, bytes of the first block
_MESSAGE = struct.Struct("<HHB3x")  # type, bytes, flags
_BLOCK = struct.Struct("<QQ")  # address and bytes of a further block of messages
_ATTRIBUTE = struct.Struct("<BBHHH")  # version, flags, bytes of name, type and shape
_ELEMENT = struct.Struct("<IQI")  # bytes of the string, address of its heap, number in it
_HEAP = struct.Struct("<4sB3xQ")  # mark, version, bytes with this header
_OBJECT = struct.Struct("<HH4xQ")  # number (0: the free rest), references, bytes
_CONTINUES, _IS_ATTRIBUTE, _SHARED = 16, 12, 2

File = bytes | mmap


def varying_strings(data: File, header: int, name: str, count: int) -> list[bytes]:
    """The strings of an attribute.

    Args:
        data: the file.
        header: address of the object's header.
        name: of the attribute.
        count: of strings, which the shape of the attribute says.

    Raises:
        BadInput: it is not where it should be, or the file does not hold it.
    """
    for kind, flags, start, end in _messages(data, header):
        if kind != _IS_ATTRIBUTE or flags & _SHARED:
            continue
        version, _, *sizes = _unpacked(_ATTRIBUTE, data, start)
        at = start + _ATTRIBUTE.size + (version == 3)
        found = bytes(data[at : min(end, at + sizes[0])]).rstrip(b"\0")
        if found != name.encode():
            continue
        at += sum(-(-size // 8) * 8 if version == 1 else size for size in sizes)
        if at + count * _ELEMENT.size > end:
            raise BadInput(f"the attribute {name} has {end - at:,} bytes, {count:,} strings take more; it is damaged")
        elements = (_ELEMENT.unpack_from(data, at + index * _ELEMENT.size) for index in range(count))
        return [_string(data, length, heap, number) for length, heap, number in elements]
    raise BadInput(f"the attribute {name} is not where Keras puts it; save the network anew with Keras")


def _messages(data: File, header: int) -> Iterator[tuple[int, int, int, int]]:
    """(type, flags, start, end) of each message of an object's header, at most as many as it says."""
    version, left, _, size = _unpacked(_HEADER, data, header)
    if version != 1:
        raise BadInput("the file is of a newer form of HDF5 (libver) than Keras writes; save the network with Keras")
    blocks = [(header + _HEADER.size, size)]
    while blocks and left:
        at, size = blocks.pop()
        block_end = at + size
        while at + _MESSAGE.size <= block_end and left:
            kind, length, flags = _unpacked(_MESSAGE, data, at)
            at += _MESSAGE.size
            left -= 1
            if at + length > min(block_end, len(data)):
                raise BadInput(f"the header at byte {header:,} has a message larger than itself; the file is damaged")
            if kind == _CONTINUES:
                where, long = _unpacked(_BLOCK, data, at)
                blocks.append((where, long))
            yield kind, flags, at, at + length
            at += length


def _string(data: File, length: int, heap: int, number: int) -> bytes:
    """The bytes of one string: the first `length` of an object of a heap."""
    if length == 0:
        return b""
    mark, version, size = _unpacked(_HEAP, data, heap)
    end, at = heap + size, heap + _HEAP.size
    if mark != b"GCOL" or version != 1 or end > len(data):
        raise BadInput(f"there is no heap of strings at byte {heap:,}; the file is damaged")
    while at + _OBJECT.size <= end:
        found, _, stored = _unpacked(_OBJECT, data, at)
        at += _OBJECT.size
        if found == number and length <= stored <= end - at:
            return bytes(data[at : at + length])
        at += -(-stored // 8) * 8
        if found == 0:
            break  # the rest is free
    raise BadInput(f"the heap at byte {heap:,} has no string {number} of {length:,} bytes; the file is damaged")


def _unpacked(form: struct.Struct, data: File, at: int) -> tuple[Any, ...]:
    """Numbers at an address, which must lie in the file."""
    if at + form.size > len(data):
        raise BadInput(f"byte {at:,} is spoken of, the file has {len(data):,}; it is truncated or damaged")
    return form.unpack_from(data, at)
