"""Tar archives, plain or gzipped, unpacked into a temporary folder with nothing trusted.

Source: POSIX.1-2017, pax (ustar and pax headers); the GNU tar manual, "Basic Tar Format" (long names, large sizes).
Only plain files are unpacked, below the folder; links, devices, sparse files and names that lead elsewhere are refused,
and so is an archive that unpacks to far more than weights can be packed into.
"""

import gzip
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from sprat.errors import BadInput
from sprat.weights.foreign import MAX_BYTES

MAX_FILES = 1000
_MAX_ENTRIES = 10_000  # headers of any kind
_FREE_BYTES, _MAX_RATIO = 64 * 2**20, 64  # an archive may unpack to so many bytes, or so many times its own
_MAX_NAME = 2**16  # bytes of a header that holds a long name or pax records
_MAX_PARTS, _MAX_PART = 16, 255
_BLOCK = 512
_CHUNK = 2**20
_ZEROS = bytes(_BLOCK)
_PLAIN, _FOLDER, _PAX, _PAX_GLOBAL, _LONG_NAME = b"0\x007", b"5", b"x", b"g", b"L"
_KINDS = {
    b"1": "a link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
    b"K": "a link",
    b"S": "a sparse file",
}


@dataclass(frozen=True, slots=True)
class _Header:
    """One entry of an archive."""

    name: str
    kind: bytes
    size: int


def is_archive(path: Path) -> bool:
    """Whether a path is a gzipped file or a tar archive, from its first bytes; never raises."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            head = stream.read(_BLOCK)
    except (OSError, ValueError):
        return False
    return head[:3] == b"\x1f\x8b\x08" or head[257:262] == b"ustar"


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """A temporary folder with the files of an archive, which is removed in the end.

    Raises:
        BadInput: the archive is damaged, truncated or hostile, or the disk is full; the message says where and why.
    """
    with tempfile.TemporaryDirectory(prefix="sprat-archive-") as folder:
        try:
            with path.open("rb") as packed:
                gzipped = packed.read(2) == b"\x1f\x8b"
                size = packed.seek(0, 2)
                packed.seek(0)
                stream: BinaryIO | gzip.GzipFile = gzip.GzipFile(fileobj=packed) if gzipped else packed
                _unpack(stream, Path(folder), path, min(MAX_BYTES, max(_FREE_BYTES, _MAX_RATIO * size)))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise BadInput(f"{path} is a damaged gzip file ({error}); fetch it again") from None
        except OSError as error:
            raise BadInput(f"{path} cannot be unpacked: {error.strerror or error}") from None
        yield Path(folder)


def _unpack(stream: BinaryIO | gzip.GzipFile, folder: Path, path: Path, max_bytes: int) -> None:
    """Write the files of an archive below a folder."""
    left = max_bytes
    num_files = 0
    long_name = ""
    for number in range(_MAX_ENTRIES):
        block = stream.read(_BLOCK)
        if block == _ZEROS:
            _drain(stream, path, left)
            return
        header = _header(block, path, first=number == 0)
        what = f"{header.name[:200]!r} in {path}"
        if header.size > left:
            raise BadInput(f"{what} has {header.size:,} bytes, over what such an archive may unpack to; it is hostile")
        left -= header.size + _BLOCK
        if header.kind in (_PAX, _LONG_NAME, _PAX_GLOBAL):
            if header.size > _MAX_NAME:
                raise BadInput(f"{what} has a header of {header.size:,} bytes, over {_MAX_NAME:,}; it is hostile")
            content = _exactly(stream, header.size + -header.size % _BLOCK, what)[: header.size]
            if header.kind == _LONG_NAME:
                long_name = _text(content.rstrip(b"\0"), path)
            elif header.kind == _PAX:
                long_name = _pax_name(content, what) or long_name
            continue
        name, long_name = long_name or header.name, ""
        if header.kind == _FOLDER or (header.kind == b"\0" and name.endswith("/")):
            continue  # no bytes follow, whatever its size
        if header.kind not in (bytes([kind]) for kind in _PLAIN):
            kind = _KINDS.get(header.kind, f"an entry of the kind {header.kind!r}")
            raise BadInput(f"{what} is {kind}; only plain files are unpacked: unpack it yourself if you trust it")
        num_files += 1
        if num_files > MAX_FILES:
            raise BadInput(f"{path} holds over {MAX_FILES} files; no checkpoint has so many")
        _write(stream, _target(name, folder, path), header.size, what)
    raise BadInput(f"{path} has over {_MAX_ENTRIES:,} entries; no checkpoint has so many")


def _header(block: bytes, path: Path, *, first: bool) -> _Header:
    """The entry that a header block of 512 bytes describes."""
    if len(block) < _BLOCK and not first:
        raise BadInput(f"{path} ends without the mark of the end of an archive; it is truncated, fetch it again")
    checksum = _number(block[148:156])
    if len(block) < _BLOCK or checksum != sum(block[:148]) + sum(block[156:]) + 8 * ord(" "):
        where = "is no tar archive; unpack it if it is a compressed file" if first else "is damaged; fetch it again"
        raise BadInput(f"{path} {where}")
    name = _text(block[:100].split(b"\0")[0], path)
    if block[257:263] == b"ustar\0" and block[345]:
        name = _text(block[345:500].split(b"\0")[0], path) + "/" + name
    size = _number(block[124:136])
    if size is None:
        raise BadInput(f"{path} holds {name[:200]!r} without a size; it is damaged")
    return _Header(name, block[156:157], size)


def _number(field: bytes) -> int | None:
    """A number in octal, or in binary where its first bit is set (GNU, for large ones); None where it is neither."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else None


def _pax_name(content: bytes, what: str) -> str:
    """The `path` of pax records, "LENGTH KEY=VALUE" and a newline each; empty where they have none."""
    name = ""
    position = 0
    while position < len(content):
        length, _, _ = content[position : position + 8].partition(b" ")
        end = position + int(length) if length.isdigit() else position
        key, equals, value = content[position + len(length) + 1 : end - 1].partition(b"=")
        if end > len(content) or not equals or content[end - 1 : end] != b"\n":
            raise BadInput(f"{what} has a header that cannot be read; the archive is damaged")
        if key == b"path":
            name = _text(value, Path(what))
        elif key == b"size" or key.startswith(b"GNU.sparse"):
            raise BadInput(f"{what} is a sparse or a huge file, which is not unpacked; unpack it yourself")
        position = end
    return name


def _text(name: bytes, path: Path) -> str:
    """A name as text."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise BadInput(f"{path} holds a file whose name, {name[:80]!r}, is not UTF-8; unpack it yourself") from None


def _target(name: str, folder: Path, path: Path) -> Path:
    """Where a file of an archive goes: below the folder."""
    parts = [part for part in PurePosixPath(name).parts if part != "."]
    outside = name.startswith("/") or ".." in parts or not name.isprintable() or set(name) & set('\\:*?"<>|')
    if outside or not 0 < len(parts) <= _MAX_PARTS or any(len(part.encode()) > _MAX_PART for part in parts):
        raise BadInput(
            f"{path} holds a file named {name[:200]!r}, which may lead out of its folder; it is not unpacked"
        )
    return folder.joinpath(*parts)


def _write(stream: BinaryIO | gzip.GzipFile, target: Path, size: int, what: str) -> None:
    """Copy a file out of an archive."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        out = target.open("xb")
    except (FileExistsError, NotADirectoryError):
        raise BadInput(f"{what} is there twice; the archive is damaged or hostile") from None
    with out:
        left = size
        while left:
            data = stream.read(min(left, _CHUNK))
            if not data:
                raise BadInput(f"{what} is cut short by {left:,} bytes; the archive is truncated, fetch it again")
            out.write(data)
            left -= len(data)
    _exactly(stream, -size % _BLOCK, what)


def _exactly(stream: BinaryIO | gzip.GzipFile, size: int, what: str) -> bytes:
    """So many bytes of an archive."""
    data = stream.read(size)
    if len(data) < size:
        raise BadInput(f"{what} is cut short; the archive is truncated, fetch it again")
    return data


def _drain(stream: BinaryIO | gzip.GzipFile, path: Path, max_bytes: int) -> None:
    """Read on to the end, where gzip's checksum is verified."""
    while data := stream.read(_CHUNK):
        max_bytes -= len(data)
        if max_bytes < 0:
            raise BadInput(f"{path} goes on after the end of its archive; it is damaged or hostile")
