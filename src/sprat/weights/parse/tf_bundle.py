"""TensorFlow's checkpoints of version 2: an index, PREFIX.index, and the numbers, PREFIX.data-00000-of-00001 and so on.

Source: tensorflow/core/protobuf/tensor_bundle.proto. The index is a table of tensor names and where their bytes lie.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprat.errors import BadInput
from sprat.weights.foreign import MAX_TENSORS, check_shape
from sprat.weights.parse.crc32c import crc32c, masked
from sprat.weights.parse.sstable import entries
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
from sprat.weights.parse.wire import fields, message, signed

_MAX_SHARDS = 10_000


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where the bytes of a tensor lie, or the pieces it is stored in (a BundleEntryProto)."""

    kind: int = 0
    shape: tuple[int, ...] = ()
    shard: int = 0
    offset: int = 0
    size: int = 0
    checksum: int = 0
    places: tuple[Slice, ...] = ()


def read_bundle(prefix: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """(tensors by name, notes) of the checkpoint of version 2 with a prefix, every checksum verified.

    Raises:
        BadInput: a file is missing or damaged; the message says which and where.
        OSError: a file cannot be read.
    """
    index = prefix.with_name(prefix.name + ".index")
    table: dict[bytes, _Entry] = {}
    num_shards = 0
    for key, value in entries(index):
        if key == b"":
            num_shards = _header(value, index)
        elif num_shards == 0:
            raise BadInput(f"{index} has no header as a checkpoint has; it is a table of something else")
        else:
            table[key] = _entry(value, f"entry {key[:80]!r} of {index.name}")
    if num_shards == 0:
        raise BadInput(f"{index} is empty; it is a table of something else than a checkpoint")
    shards = _shards(prefix, num_shards, table)
    return _tensors(table, shards, index), {"version": 2, "shards": num_shards, "checksums": "verified"} | _skipped(
        table
    )


def _tensors(table: dict[bytes, _Entry], shards: dict[int, Path], index: Path) -> dict[str, NDArray[Any]]:
    """The tensors by name; those of types no weights have are left out."""
    tensors: dict[str, NDArray[Any]] = {}
    pieces = {key for key in table if key.startswith(b"\0")}
    for key, entry in table.items():
        if key in pieces or entry.kind not in STORED:
            continue
        if len(tensors) >= MAX_TENSORS:
            raise BadInput(f"{index} has over {MAX_TENSORS:,} tensors; no network here has so many")
        try:
            name = key.decode()
        except UnicodeDecodeError:
            raise BadInput(f"{index} has a tensor whose name, {key[:80]!r}, is not UTF-8; it is damaged") from None
        what = f"tensor {name[:200]!r} of {index.name.removesuffix('.index')}"
        if not entry.places:
            tensors[name] = _values(entry, shards[entry.shard], what)
            continue
        if len(set(entry.places)) < len(entry.places):
            raise BadInput(f"{what} lists a piece twice; the index is damaged")
        parts: list[Part] = []
        for place in entry.places:
            inner = shape_within(place, entry.shape, what)
            piece = table.get(slice_key(name, place))
            if piece is None or (piece.kind, piece.shape) != (entry.kind, inner) or piece.places:
                raise BadInput(f"{what} is stored in pieces, and that at {place} is missing or another; damaged")
            parts.append(Part(place, _values(piece, shards[piece.shard], what)))
        tensors[name] = assemble(parts, entry.shape, what)
    return tensors


def _values(entry: _Entry, path: Path, what: str) -> NDArray[Any]:
    """The numbers of an entry, from the file of its shard."""
    stored = np.dtype(STORED[entry.kind])
    check_shape(entry.shape, what, size_bytes=entry.size, item_bytes=stored.itemsize)
    octets = np.empty(entry.size, np.uint8)
    with path.open("rb") as stream:
        stream.seek(entry.offset)
        got = stream.readinto(octets.data)
    if got != entry.size:
        raise BadInput(f"{what} is cut short; {path} changed while it was read")
    if masked(crc32c(octets)) != entry.checksum:
        raise BadInput(f"{what} does not have the checksum it was written with; fetch {path.name} again")
    return as_read(octets.view(stored).reshape(entry.shape), entry.kind, what)


def _shards(prefix: Path, num_shards: int, table: dict[bytes, _Entry]) -> dict[int, Path]:
    """The files of the shards that are used; every entry lies within its own and overlaps no other."""
    used: dict[int, list[tuple[int, int]]] = {}
    for key, entry in table.items():
        if not 0 <= entry.shard < num_shards:
            raise BadInput(f"{key[:80]!r} is in shard {entry.shard} of {num_shards} of {prefix}; the index is damaged")
        if not entry.places:
            used.setdefault(entry.shard, []).append((entry.offset, entry.size))
    paths: dict[int, Path] = {}
    for shard, spans in used.items():
        path = prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{num_shards:05d}")
        if not path.is_file():
            raise BadInput(f"no file {path}; a checkpoint is the files {prefix.name}.index and {prefix.name}.data-*")
        held = path.stat().st_size
        end = 0
        for offset, size in sorted(spans):
            if size and (offset < end or size < 0 or offset + size > held):
                raise BadInput(
                    f"{prefix}.index places {size:,} bytes at {offset:,} of {path.name}, which has {held:,} and others "
                    f"up to {end:,}; a file is truncated or damaged, fetch it again"
                )
            end = max(end, offset + size)
        paths[shard] = path
    return paths


def _skipped(table: dict[bytes, _Entry]) -> dict[str, dict[str, str]]:
    """The note of tensors that are left out, with their types; none where there are none."""
    names = {
        key.decode(errors="replace"): type_name(entry.kind)
        for key, entry in table.items()
        if entry.kind not in STORED and not key.startswith(b"\0")
    }
    return {"skipped": names} if names else {}


def _header(data: memoryview, index: Path) -> int:
    """The number of shards a BundleHeaderProto declares."""
    num_shards = 0
    for number, _, value in fields(data):
        if number == 1:
            num_shards = signed(value, f"the header of {index}")
        elif number == 2 and value:
            raise BadInput(f"{index} is of a big-endian machine, which is not read; save it anew on a common one")
        elif number == 3:
            check_version(message(value, f"the header of {index}"), str(index))
    if not 0 < num_shards <= _MAX_SHARDS:
        raise BadInput(f"{index} declares {num_shards:,} data files, 1 to {_MAX_SHARDS:,} can be; it is damaged")
    return num_shards


def _entry(data: memoryview, what: str) -> _Entry:
    """The content of a BundleEntryProto."""
    numbers = dict.fromkeys((1, 3, 4, 5), 0)
    shape: tuple[int, ...] = ()
    checksum = 0
    places: list[Slice] = []
    for number, _, value in fields(data):
        if number in numbers:
            numbers[number] = signed(value, what)
        elif number == 2:
            shape = shape_of(message(value, what), what)
        elif number == 6:
            checksum = int.from_bytes(message(value, what), "little")
        elif number == 7:
            places.append(slice_of(message(value, what), what))
    if numbers[4] < 0 or numbers[5] < 0:
        raise BadInput(f"{what} has {numbers[5]} bytes at {numbers[4]}, which cannot be; the index is damaged")
    return _Entry(numbers[1], shape, numbers[3], numbers[4], numbers[5], checksum, tuple(places))
