"""Sorted string tables: keys and values in order, in blocks with a checksum each, as in TensorFlow's checkpoints.

Source: leveldb, doc/table_format.md; a block ends with its kind (1 byte) and the masked CRC-32C of block and kind. Keys
share a prefix with the key before; every few entries one is whole, and a block ends with the list of those.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from sprat.errors import BadInput
from sprat.weights.parse.crc32c import crc32c, masked
from sprat.weights.parse.snappy import uncompressed
from sprat.weights.parse.wire import varint

MAX_ENTRIES = 400_000
MAX_KEY = 4096  # bytes
MAX_BLOCK = 2**31  # bytes; a message of a protocol buffer is no longer
_MAGIC = 0xDB4775248B80FB57.to_bytes(8, "little")
_FOOTER = 48  # bytes: two block handles, padding, magic
_TRAILER = 5  # bytes after a block: its kind and its checksum
_PLAIN, _SNAPPY = 0, 1


def is_table(path: Path) -> bool:
    """Whether a path is a file that ends as a table does; never raises."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - 8))
            return size >= _FOOTER and stream.read(8) == _MAGIC
    except (OSError, ValueError):
        return False


def entries(path: Path) -> Iterator[tuple[bytes, memoryview]]:
    """(key, value) of each entry of a table, in the order of the keys, one block in memory at a time.

    Raises:
        BadInput: the file is no table, or damaged: a checksum is wrong, blocks overlap, keys are out of order.
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        if size < _FOOTER:
            raise BadInput(f"{path} has {size} bytes, a checkpoint's table has {_FOOTER} at least; it is truncated")
        stream.seek(size - _FOOTER)
        footer = memoryview(stream.read(_FOOTER))
        if footer[-8:] != _MAGIC:
            raise BadInput(f"{path} does not end as a checkpoint's table does; it is truncated or of another format")
        _, _, position = _handle(footer[:-8], 0)
        start, length, _ = _handle(footer[:-8], position)
        index = _block(stream, start, length, size - _FOOTER, path)
        before, number = b"", 0
        done = 0  # where the blocks read so far end: no block is read twice
        for _, value in _block_entries(index, path):
            offset, length, _ = _handle(value, 0)
            if offset < done:
                raise BadInput(f"{path}: its block at {offset:,} begins within the block before; it is damaged")
            done = offset + length + _TRAILER
            for key, content in _block_entries(_block(stream, offset, length, start, path), path):
                if number and key <= before:
                    raise BadInput(f"{path}: its key {key[:80]!r} is not after {before[:80]!r}; it is damaged")
                before, number = key, number + 1
                if number > MAX_ENTRIES:
                    raise BadInput(f"{path} has over {MAX_ENTRIES:,} entries; no network here has so many tensors")
                yield key, content


def _handle(data: memoryview, position: int) -> tuple[int, int, int]:
    """(offset, size, position after it) of a pointer to a block."""
    offset, position = varint(data, position)
    size, position = varint(data, position)
    return offset, size, position


def _block(stream: BinaryIO, offset: int, size: int, end: int, path: Path) -> memoryview:
    """The content of the block at an offset, its checksum verified, which must lie before `end`."""
    what = f"{path}: its block at {offset:,}"
    if offset + size + _TRAILER > end or size > MAX_BLOCK:
        raise BadInput(f"{what} says it has {size:,} bytes, its place ends at {end:,}; the file is damaged")
    stream.seek(offset)
    data = memoryview(stream.read(size + _TRAILER))
    if len(data) != size + _TRAILER:
        raise BadInput(f"{what} is cut short; the file changed while it was read")
    if masked(crc32c(data[: size + 1])) != int.from_bytes(data[size + 1 :], "little"):
        raise BadInput(f"{what} does not have the checksum it was written with; fetch the file again")
    if data[size] == _PLAIN:
        return data[:size]
    if data[size] == _SNAPPY:
        return memoryview(uncompressed(data[:size], what, max_bytes=MAX_BLOCK))
    raise BadInput(f"{what} is compressed in a way ({data[size]}) that is not known; the file is damaged")


def _block_entries(data: memoryview, path: Path) -> Iterator[tuple[bytes, memoryview]]:
    """(key, value) of each entry of a block."""
    whole, end = _whole_keys(data, path)
    position, key = 0, b""
    while position < end:
        shared, at = varint(data, position)
        own, at = varint(data, at)
        length, at = varint(data, at)
        if shared > len(key) or shared + own > MAX_KEY or at + own + length > end:
            raise BadInput(f"{path}: an entry of {own:,} and {length:,} bytes does not fit its block; it is damaged")
        if position in whole and shared:
            raise BadInput(f"{path}: a key that should be whole shares {shared} bytes with another; it is damaged")
        whole.discard(position)
        key = key[:shared] + bytes(data[at : at + own])
        yield key, data[at + own : at + own + length]
        position = at + own + length
    if whole - {0}:
        raise BadInput(f"{path}: the list of whole keys of a block points beside its entries; it is damaged")


def _whole_keys(data: memoryview, path: Path) -> tuple[set[int], int]:
    """(positions of the entries with a whole key, end of the entries), from the list at the end of a block."""
    count = int.from_bytes(data[-4:], "little")
    end = len(data) - 4 - 4 * count
    if len(data) < 8 or count == 0 or end < 0:
        raise BadInput(f"{path}: a block of {len(data):,} bytes lists {count:,} whole keys; it is damaged")
    if count > MAX_ENTRIES:
        raise BadInput(f"{path}: a block has over {MAX_ENTRIES:,} whole keys; no network here has so many tensors")
    return set(np.frombuffer(data[end:-4], "<u4").tolist()), end
