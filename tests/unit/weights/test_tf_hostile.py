"""TensorFlow's checkpoints that are damaged or hostile: BadInput, in little time and memory."""

import random
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_writer
from tf_cases import Write, same, sample_tensors
from tf_writer import nested, number, shape_proto, varint, write_tar, write_v1, write_v2

from sprat.errors import BadInput
from sprat.weights.formats.tf_checkpoint import read
from sprat.weights.parse.crc32c import crc32c, masked


@pytest.mark.parametrize("write", [write_v1, write_v2])
def test_truncated_files(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "m.ckpt", {"w": np.arange(40, dtype=np.float32)})
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for path, content in files.items():
        for length in range(len(content)):
            path.write_bytes(content[:length])
            with pytest.raises(BadInput):
                read(tmp_path / "m.ckpt")
        path.unlink()
        with pytest.raises(BadInput):
            read(tmp_path / "m.ckpt")
        path.write_bytes(content)
    read(tmp_path / "m.ckpt")


# Hostile contents of version 2


def _bundle(path: Path, entries: dict[bytes, bytes], *, header: bytes | None = None, data: bytes = bytes(16)) -> Path:
    table = {b"": number(1, 1) if header is None else header, **entries}
    path.with_name(path.name + ".index").write_bytes(tf_writer.table(table))
    path.with_name(path.name + ".data-00000-of-00001").write_bytes(data)
    return path


def _bundle_entry(
    shape: tuple[int, ...] = (4,), *, offset: int = 0, size: int = 16, shard: int = 0, kind: int = 1
) -> bytes:
    checksum = varint(6 << 3 | 5) + struct.pack("<I", masked(crc32c(bytes(size if 0 < size < 100 else 0))))
    place = number(3, shard) + number(4, offset) + number(5, size)
    return number(1, kind) + nested(2, shape_proto(shape)) + place + checksum


def test_a_good_bundle_made_by_hand(tmp_path: Path) -> None:
    found = read(_bundle(tmp_path / "m", {b"w": _bundle_entry()}))
    assert found.tensors["w"].tolist() == [0] * 4


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({b"w": _bundle_entry((4,), offset=8)}, "a file is truncated or damaged"),
        ({b"w": _bundle_entry((4,), offset=2**62)}, "a file is truncated or damaged"),
        ({b"w": _bundle_entry((4,), offset=-1)}, "cannot be"),
        ({b"w": _bundle_entry((4,), size=-16)}, "cannot be"),
        ({b"w": _bundle_entry((2**28,), size=2**30)}, "a file is truncated or damaged"),
        ({b"w": _bundle_entry((2**40,))}, "not usable"),
        ({b"w": _bundle_entry((0, 2**40, 2**40), size=0)}, "not usable"),
        ({b"w": _bundle_entry((-4,))}, "not usable"),
        ({b"w": _bundle_entry((1,) * 9)}, "over 8 dimensions"),
        ({b"w": _bundle_entry((3,))}, "12 bytes, but the file holds 16"),
        ({b"w": _bundle_entry(shard=1)}, "shard 1 of 1"),
        ({b"w": _bundle_entry(shard=-1)}, "shard -1 of 1"),
        ({b"v": _bundle_entry(), b"w": _bundle_entry()}, "and others up to 16"),
        ({b"w": _bundle_entry() + nested(6, b"")}, "checksum"),
        ({b"w": nested(2, number(3, 1))}, "unknown rank"),
        ({b"\xff": _bundle_entry()}, "not UTF-8"),
        ({b"w": b"\x0a\x01x"}, "bytes where a number"),
        ({b"w": b"\x10\x01"}, "number where bytes"),
        ({b"w": b"\x0f"}, "wire type"),
    ],
)
def test_hostile_bundles(tmp_path: Path, entries: dict[bytes, bytes], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        read(_bundle(tmp_path / "m", entries))


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (b"", "declares 0 data files"),
        (number(1, 10**9), "declares 1,000,000,000 data files"),
        (number(1, -1), "declares -1 data files"),
        (number(1, 2), r"no file .*m.data-00000-of-00002"),
        (number(1, 1) + number(2, 1), "big-endian"),
        (number(1, 1) + nested(3, number(2, 9)), "a reader of version 9"),
    ],
)
def test_hostile_headers(tmp_path: Path, header: bytes, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        read(_bundle(tmp_path / "m", {b"w": _bundle_entry()}, header=header))


def _pieces(*places: tuple[int, int]) -> bytes:
    return b"".join(nested(7, tf_writer.slice_proto([place])) for place in places)


@pytest.mark.parametrize(
    ("places", "says"),
    [
        ([(0, 2)], "1 pieces hold 2 numbers"),
        ([(0, 2), (0, 2)], "lists a piece twice"),
        ([(0, 2), (1, 2)], "two pieces for the same numbers"),
        ([(0, 2), (3, 2)], "lies outside"),
        ([(0, 2), (-1, 2)], "cannot be"),
        ([(0, 2), (2, 0)], "cannot be"),
        ([(0, 2), (2**62, 2**62)], "lies outside"),
    ],
)
def test_hostile_pieces(tmp_path: Path, places: list[tuple[int, int]], says: str) -> None:
    entries = {b"w": number(1, 1) + nested(2, shape_proto((4,))) + _pieces(*places)}
    for turn, (start, length) in enumerate(dict.fromkeys(places)):
        key = tf_writer.key_of("w", [(start, length)])
        entries[key] = _bundle_entry((2,), offset=8 * turn, size=8)
    with pytest.raises(BadInput, match=says):
        read(_bundle(tmp_path / "m", entries))
    del entries[tf_writer.key_of("w", [places[0]])]
    with pytest.raises(BadInput):
        read(_bundle(tmp_path / "m", entries))


# Hostile contents of version 1


def _listed(name: str = "w", shape: tuple[int, ...] = (2,), kind: int = 1, places: bytes | None = None) -> bytes:
    places = nested(4, tf_writer.slice_proto([(0, -1)] * len(shape))) if places is None else places
    return nested(1, nested(1, name.encode()) + nested(2, shape_proto(shape)) + number(3, kind) + places)


def _held(proto: bytes, name: str = "w", place: tuple[int, int] = (0, -1)) -> bytes:
    return nested(2, nested(1, name.encode()) + nested(2, tf_writer.slice_proto([place])) + nested(3, proto))


@pytest.mark.parametrize(
    ("listed", "held", "says"),
    [
        (_listed(shape=(2**20,)), _held(nested(5, bytes(8))), "4,194,304 bytes, but the file holds 8"),
        (_listed(shape=(2**50,)), _held(nested(5, bytes(8))), "not usable"),
        (_listed(shape=(0, 2**40)), _held(b""), "not usable"),
        (_listed(), _held(b""), "but the file holds 0"),
        (_listed(), _held(nested(5, bytes(7))), "no whole number of numbers"),
        (_listed(), _held(nested(5, bytes(4)) * 2), "several runs"),
        (_listed(), _held(b"\x2d" + bytes(4)), "but the file holds 4"),
        (_listed(kind=3), _held(nested(7, varint(2**40) * 2)), "beyond int32"),
        (_listed(kind=3), _held(nested(7, b"\xff" * 30)), "over 10 bytes"),
        (_listed(kind=3), _held(nested(7, b"\xff" * 11 + b"\x01")), "over 10 bytes"),
        (_listed(kind=19), _held(nested(13, varint(2**16) * 2)), "beyond uint16"),
        (_listed(kind=2), _held(nested(6, struct.pack("<2d", 1e300, 0))), "beyond float32"),
        (_listed(), _held(nested(5, bytes(8)), name="v"), "under the name of another"),
        (_listed(), _held(nested(5, bytes(8)), place=(0, 2)), "as another piece than listed"),
        (_listed() * 2, _held(nested(5, bytes(8))), "twice"),
        (_listed(places=b""), b"", "which it does not list"),
        (_listed(places=nested(4, tf_writer.slice_proto([(0, 1)]))), b"", "which it does not list"),
        (_listed() + _listed("v"), _held(nested(5, bytes(8))), "'v' of m is listed but not there"),
        (_listed() + nested(2, number(2, 5)), b"", "a reader of version 5"),
        (b"", b"", "lists no tensors"),
        (b"\x0a\x05xx", b"", "says it has 5 bytes"),
    ],
)
def test_hostile_saved_slices(tmp_path: Path, listed: bytes, held: bytes, says: str) -> None:
    path = tmp_path / "m"
    path.write_bytes(tf_writer.table({b"": nested(1, listed), tf_writer.key_of("w", [(0, -1)]): held}))
    with pytest.raises(BadInput, match=says):
        read(path)


def test_a_listed_tensor_without_pieces(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_bytes(tf_writer.table({b"": nested(1, _listed(places=b""))}))
    with pytest.raises(BadInput, match="its 0 pieces hold 0"):
        read(path)


# Every single mutation


def _mutate(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    place = rng.randrange(len(changed))
    match rng.randrange(4):
        case 0:
            changed[place] ^= 1 << rng.randrange(8)
        case 1:
            changed[place] = rng.choice((0, 0x7F, 0x80, 0xFF))
        case 2:
            del changed[place : place + rng.choice((1, 4, 50))]
        case _:
            changed[place:place] = rng.randbytes(rng.choice((1, 8)))
    return bytes(changed)


def _put(path: Path, content: bytes) -> None:
    with path.open("r+b") as stream:  # in place: some file systems wait for the disk where a file is emptied first
        stream.write(content)
        stream.truncate()


@pytest.mark.parametrize("kind", ["v1", "v2", "v1_compressed", "v2_compressed", "tar"])
def test_a_mutation_is_an_error_or_changes_nothing(tmp_path: Path, kind: str) -> None:
    """500 files of each kind, each with one change: checksums cover all that is read."""
    tensors = {name: array for name, array in sample_tensors().items() if array.size < 100}
    write = write_v2 if kind.startswith("v2") else write_v1
    given = write(tmp_path / "m.ckpt", tensors, pieces={"parted": 2}, compress=kind.endswith("compressed"))
    if kind == "tar":
        given = write_tar(tmp_path / "m.tar.gz", [given])
    files = [given] if kind == "tar" else sorted(tmp_path.iterdir())
    rng = random.Random(kind)
    refused = 0
    for _ in range(500):
        file = rng.choice(files)
        content = file.read_bytes()
        _put(file, _mutate(content, rng))
        try:
            assert same(read(given).tensors, tensors)
        except BadInput:
            refused += 1
        _put(file, content)
    assert refused > 400


@pytest.mark.parametrize("write", [write_v1, write_v2])
def test_a_mutation_under_good_checksums_is_refused_or_read(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changes of the messages themselves, sealed anew: any result or BadInput, in little memory."""
    tensors = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "h": np.ones(3, np.float16), "s": np.array(3)}
    rng = random.Random(7)
    table = tf_writer.table

    def mutated(entries: dict[bytes, bytes], **options: Any) -> bytes:
        key = rng.choice(sorted(entries))
        return table({**entries, key: _mutate(entries[key] or b"\0", rng)}, **options)

    monkeypatch.setattr(tf_writer, "table", mutated)
    tracemalloc.start()
    for place in range(300):
        prefix = write(tmp_path / f"m{place}.ckpt", tensors, pieces={"w": 2})
        try:
            found = read(prefix)
        except BadInput:
            continue
        assert all(array.size < 100 for array in found.tensors.values())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 2**20
