"""Writes TensorFlow checkpoints of both versions byte by byte, from the format's specification, for tests.

Source: leveldb, doc/table_format.md; tensorflow/core: protobuf/tensor_bundle.proto, util/saved_tensor_slice.proto,
framework/tensor.proto and types.proto, lib/strings/ordered_code.cc. TensorFlow 2.21 reads what it writes.
"""

import io
import struct
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprat.weights.parse.crc32c import crc32c, masked

MAGIC = 0xDB4775248B80FB57
KINDS = {"float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int8": 6, "int64": 9, "bool": 10, "float16": 19}
BFLOAT16, STRING = 14, 7
Tensors = Mapping[str, NDArray[Any]]


# Protocol buffers


def varint(value: int) -> bytes:
    value &= 2**64 - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value) if value else b""


def nested(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def shape_proto(shape: Iterable[int]) -> bytes:
    return b"".join(nested(2, number(1, side)) for side in shape)


def slice_proto(place: Iterable[tuple[int, int]]) -> bytes:
    return b"".join(
        nested(1, b"" if length == -1 else number(1, start) + varint(2 << 3) + varint(length))
        for start, length in place
    )


# Tables


def block(entries: list[tuple[bytes, bytes]], *, restart: int = 16) -> bytes:
    out, restarts, before = bytearray(), [], b""
    for place, (key, value) in enumerate(entries):
        shared = 0
        if place % restart == 0:
            restarts.append(len(out))
        else:
            while shared < min(len(key), len(before)) and key[shared] == before[shared]:
                shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    restarts = restarts or [0]
    return bytes(out) + b"".join(struct.pack("<I", offset) for offset in [*restarts, len(restarts)])


def sealed(content: bytes, kind: int = 0) -> bytes:
    checked = content + bytes([kind])
    return checked + struct.pack("<I", masked(crc32c(checked)))


def snappy(data: bytes) -> bytes:
    """Literals and copies of all kinds: each run of 8 bytes that was there before becomes a copy."""
    out, seen, position, literal = bytearray(varint(len(data))), {}, 0, 0

    def flush(end: int) -> None:
        for start in range(literal, end, 70):
            piece = data[start : min(end, start + 70)]
            out.extend([(len(piece) - 1) << 2] if len(piece) <= 60 else [60 << 2, len(piece) - 1])
            out.extend(piece)

    while position < len(data):
        run = data[position : position + 8]
        before = seen.setdefault(run, position)
        if before == position or len(run) < 8:
            position += 1
            continue
        flush(position)
        length, offset = 8, position - before
        while length < 64 and position + length < len(data) and data[before + length] == data[position + length]:
            length += 1
        if length <= 11 and offset < 2048:
            out.extend([1 | (length - 4) << 2 | offset >> 8 << 5, offset & 255])
        elif offset < 65536 and position % 2:
            out.extend(bytes([2 | (length - 1) << 2]) + struct.pack("<H", offset))
        else:
            out.extend(bytes([3 | (length - 1) << 2]) + struct.pack("<I", offset))
        position += length
        literal = position
    flush(len(data))
    return bytes(out)


def table(entries: Mapping[bytes, bytes], *, block_size: int = 4096, compress: bool = False) -> bytes:
    """The bytes of a table."""
    out, index, waiting = bytearray(), [], []

    def put(content: bytes) -> bytes:
        handle = varint(len(out))
        stored = snappy(content) if compress else content
        out.extend(sealed(stored, int(compress)))
        return handle + varint(len(stored))

    for key, value in sorted(entries.items()):
        waiting.append((key, value))
        if sum(len(k) + len(v) for k, v in waiting) >= block_size:
            index.append((waiting[-1][0], put(block(waiting))))
            waiting = []
    if waiting:
        index.append((waiting[-1][0], put(block(waiting))))
    meta = put(block([]))
    handles = meta + put(block(index, restart=1))
    return bytes(out) + handles.ljust(40, b"\0") + struct.pack("<Q", MAGIC)


# Checkpoints


def key_of(name: str, place: Iterable[tuple[int, int]]) -> bytes:
    place = list(place)
    key = b"\0" + name.encode().replace(b"\0", b"\0\xff") + b"\0\1"
    key += bytes([1, len(place)]) if place else b"\0"
    for value in (number for pair in place for number in pair):
        bits = f"{value & 2**64 - 1:064b}"
        sign = bits[0]
        own = bits.lstrip(sign)  # the digits that count
        size = next(size for size in range(1, 11) if len(own) <= 7 * size - 1)
        code = ("10"[int(sign)] * size) + own.rjust(7 * size, sign)
        key += int(code, 2).to_bytes(size, "big")
    return key


def pieces_of(array: NDArray[Any], count: int) -> list[tuple[list[tuple[int, int]], NDArray[Any]]]:
    """(place, values) of so many pieces along the first dimension; one piece is everything."""
    if count == 1:
        return [([(0, -1)] * array.ndim, array)]
    parts = np.array_split(array, count)
    starts = np.cumsum([0, *(len(part) for part in parts)])
    rest = [(0, -1)] * (array.ndim - 1)
    return [([(int(start), len(part)), *rest], part) for start, part in zip(starts, parts, strict=False)]


def write_v2(
    prefix: Path,
    tensors: Tensors,
    shards: int = 1,
    *,
    pieces: Mapping[str, int] | None = None,
    kinds: Mapping[str, int] | None = None,
    compress: bool = False,
) -> Path:
    """Write PREFIX.index and PREFIX.data-*, the tensors dealt out to the shards in turn; the prefix.

    Args:
        prefix: of the files, "model.ckpt".
        tensors: by name.
        shards: number of data files.
        pieces: tensors that are stored in so many pieces.
        kinds: the DataType of tensors that are not of the type of their array (bfloat16 in a uint16 one).
        compress: whether the index is compressed with Snappy.
    """
    data = [bytearray() for _ in range(shards)]
    entries = {b"": number(1, shards) + nested(3, number(1, 1))}
    turn = 0
    for name, array in tensors.items():
        kind = (kinds or {}).get(name, KINDS.get(array.dtype.name, 0))
        parts = pieces_of(array, (pieces or {}).get(name, 1))
        head = number(1, kind) + nested(2, shape_proto(array.shape))
        if len(parts) > 1:
            entries[name.encode()] = head + b"".join(nested(7, slice_proto(place)) for place, _ in parts)
        for place, part in parts:
            content = np.ascontiguousarray(part).tobytes()
            shard = turn % shards
            turn += 1
            entries[name.encode() if len(parts) == 1 else key_of(name, place)] = (
                number(1, kind)
                + nested(2, shape_proto(part.shape))
                + number(3, shard)
                + number(4, len(data[shard]))
                + number(5, len(content))
                + varint(6 << 3 | 5)
                + struct.pack("<I", masked(crc32c(content)))
            )
            data[shard] += content
    prefix.with_name(prefix.name + ".index").write_bytes(table(entries, compress=compress))
    for shard, content in enumerate(data):
        prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{shards:05d}").write_bytes(content)
    return prefix


def tensor_proto(array: NDArray[Any], kind: int, *, content: bool = False) -> bytes:
    """The numbers of a tensor: packed in the field of its type, or as bytes."""
    if content:
        return nested(4, array.tobytes())
    if kind in (1, 2):
        return nested({1: 5, 2: 6}[kind], array.tobytes()) if array.size else b""
    whole = array.view(np.uint16) if kind in (BFLOAT16, 19) else array
    field = {9: 10, 10: 11, BFLOAT16: 13, 19: 13}.get(kind, 7)
    return nested(field, b"".join(varint(int(value)) for value in whole.ravel())) if array.size else b""


def write_v1(
    path: Path,
    tensors: Tensors,
    *,
    pieces: Mapping[str, int] | None = None,
    kinds: Mapping[str, int] | None = None,
    compress: bool = False,
    content: bool = False,
) -> Path:
    """Write one file of version 1; the path. The arguments are those of write_v2; content: numbers as plain bytes."""
    entries, listed = {}, b""
    for name, array in tensors.items():
        kind = (kinds or {}).get(name, KINDS.get(array.dtype.name, 0))
        places = b""
        for place, part in pieces_of(array, (pieces or {}).get(name, 1)):
            numbers = tensor_proto(np.ascontiguousarray(part), kind, content=content)
            saved = nested(1, name.encode()) + nested(2, slice_proto(place)) + nested(3, numbers)
            entries[key_of(name, place)] = nested(2, saved)
            places += nested(4, slice_proto(place))
        listed += nested(1, nested(1, name.encode()) + nested(2, shape_proto(array.shape)) + number(3, kind) + places)
    entries[b""] = nested(1, listed + nested(2, number(1, 1)))
    path.write_bytes(table(entries, compress=compress))
    return path


def write_tar(path: Path, files: Iterable[Path], *, root: str = "./") -> Path:
    """Write a gzipped tar archive of some files; the path."""
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for file in files:
            content = file.read_bytes()
            info = tarfile.TarInfo(root + file.name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path
