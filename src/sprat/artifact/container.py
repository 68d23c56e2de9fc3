"""Container: manifest, names and tensor payloads as one string of bytes, with sums that show any damage."""

import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from sprat import codec
from sprat.artifact.manifest import Manifest, read_json, write_json
from sprat.codec import DEFAULT_LIMITS, Limits, Reader, varint
from sprat.codec.element import Array
from sprat.errors import BadArtifact, BadInput, SpratError

MAGIC = b"\x89SPRAT\n"
VERSION = 1

State = dict[str, Array]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Contents:
    """A file taken apart, its tensors not yet decoded: manifest, (name, payload) in file order, bytes of the rest."""

    manifest: Manifest
    payloads: tuple[tuple[str, bytes], ...]
    container_bytes: int


def state_sha256(state: Mapping[str, Array]) -> str:
    """SHA-256 (hex) of a state: of each tensor, in order, a line `name NUL type NUL sides NUL` and its bytes.

    The type is numpy's name ("float32"), the sides are decimal and separated by commas, the values little-endian in
    row-major order.
    """
    digest = hashlib.sha256()
    for name, array in state.items():
        sides = ",".join(str(side) for side in array.shape)
        digest.update(f"{name}\0{array.dtype.name}\0{sides}\0".encode())
        digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def pack(manifest: Manifest, state: Mapping[str, Array]) -> bytes:
    """The whole file as bytes. The manifest's state_sha256 is not looked at but computed.

    Raises:
        BadInput: a name or a tensor cannot be stored; it says which.
    """
    for name in state:
        if not name or "\n" in name or not _is_text(name):
            raise BadInput(f"a tensor cannot be called {name!r}; a name is not empty and has no line breaks")
    header = write_json(manifest)
    names = "\n".join(state).encode()
    start = MAGIC + bytes([VERSION]) + varint(len(state)) + bytes.fromhex(state_sha256(state))
    for text in (header, names):
        packed = _deflate(text)
        start += varint(len(text)) + varint(len(packed)) + packed
    parts = [start, zlib.crc32(start).to_bytes(4, "little")]
    for name, array in state.items():
        try:
            payload = codec.encode(array)
        except BadInput as error:
            raise BadInput(f"{name}: {error}") from None
        parts += [varint(len(payload)), payload]
    return b"".join(parts)


def open_contents(content: bytes, limits: Limits = DEFAULT_LIMITS) -> Contents:
    """The parts of a file, its header checked.

    Raises:
        BadArtifact: damaged, of a newer format, or over the limits.
    """
    reader = Reader(content)
    manifest, names = _read_header(content, reader, limits)
    payloads = []
    for name in names:
        payloads.append((name, reader.take(reader.varint(len(content)))))
    if reader.left:
        raise BadArtifact(f"{reader.left} bytes too many at the end: the file is damaged")
    return Contents(manifest, tuple(payloads), len(content) - sum(len(payload) for _, payload in payloads))


def unpack(content: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[Manifest, State]:
    """Manifest and tensors of a whole file; the decoded tensors have the hash that the file names.

    Raises:
        BadArtifact: damaged, of a newer format, or over the limits.
    """
    contents = open_contents(content, limits)
    sizes = [_about(name, codec.peek, payload, limits).size for name, payload in contents.payloads]
    if sum(sizes) > limits.max_elements:
        raise BadArtifact(f"{sum(sizes):,} elements where {limits.max_elements:,} are allowed: damaged or too large")
    state = {name: _about(name, codec.decode, payload, limits) for name, payload in contents.payloads}
    found = state_sha256(state)
    if found != contents.manifest.state_sha256:
        raise BadArtifact(
            f"the decoded weights have sha256 {found[:16]}..., the file says {contents.manifest.state_sha256[:16]}...: "
            "it is damaged"
        )
    return contents.manifest, state


def read_manifest_bytes(content: bytes, limits: Limits = DEFAULT_LIMITS) -> Manifest:
    """The manifest of a file of which at least the header is here."""
    return _read_header(content, Reader(content), limits)[0]


def largest_file(limits: Limits) -> int:
    """Bytes above which a file cannot be valid under these limits."""
    return 9 * limits.max_elements + 64 * limits.max_tensors + 4 * limits.max_header_bytes + 4096


def _read_header(content: bytes, reader: Reader, limits: Limits) -> tuple[Manifest, list[str]]:
    if content[: len(MAGIC)] != MAGIC:
        raise BadArtifact("it does not begin like a .sprat file: give the file that `sprat fit` wrote")
    reader.take(len(MAGIC))
    version = reader.byte()
    if version != VERSION:
        raise BadArtifact(f"format version {version}; this sprat reads {VERSION}: take a newer sprat")
    num_tensors = reader.varint(limits.max_tensors)
    sha256 = reader.take(32).hex()
    texts = [_inflate(reader, limits) for _ in range(2)]
    wanted = zlib.crc32(content[: reader.at])
    if int.from_bytes(reader.take(4), "little") != wanted:
        raise BadArtifact("the header's checksum is wrong: the file is damaged; copy it again")
    try:
        names = texts[1].decode().split("\n") if texts[1] else []
    except UnicodeDecodeError:
        raise BadArtifact("the tensor names are not UTF-8: the file is damaged") from None
    if len(names) != num_tensors or len(set(names)) != num_tensors or "" in names:
        raise BadArtifact(f"{num_tensors} tensors with {len(names)} names, or one twice: the file is damaged")
    return read_json(texts[0], sha256), names


def _deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


def _inflate(reader: Reader, limits: Limits) -> bytes:
    """A text of the header; never more than it says and the limits allow, whatever its deflate stream would give."""
    length = reader.varint(limits.max_header_bytes)
    packed = reader.take(reader.varint(limits.max_header_bytes + 1024))
    unpacker = zlib.decompressobj(-15)
    try:
        content = unpacker.decompress(packed, length + 1)
    except zlib.error as error:
        raise BadArtifact(f"the header does not inflate ({error}): the file is damaged") from None
    if len(content) != length or not unpacker.eof or unpacker.unused_data:
        raise BadArtifact(f"the header inflates to {len(content)} bytes, not {length}: the file is damaged")
    return content


def _about(name: str, read: Callable[[bytes, Limits], T], payload: bytes, limits: Limits) -> T:
    """`read(payload, limits)`, an error saying which tensor it is about."""
    try:
        return read(payload, limits)
    except SpratError as error:
        raise BadArtifact(f"tensor {name}: {error}") from None


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
