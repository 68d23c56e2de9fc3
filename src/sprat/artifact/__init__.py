"""Artifact: the `.sprat` file, the deliverable. Enough by itself to predict; its length is the size, everywhere."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from sprat.artifact.container import (
    State,
    largest_file,
    open_contents,
    pack,
    read_manifest_bytes,
    state_sha256,
    unpack,
)
from sprat.artifact.manifest import FORMAT_VERSION, Manifest
from sprat.atomic import write_atomic
from sprat.codec import DEFAULT_LIMITS, Limits, peek
from sprat.codec.element import Array
from sprat.errors import BadArtifact

__all__ = [
    "FORMAT_VERSION",
    "Artifact",
    "Manifest",
    "State",
    "container_bytes",
    "describe",
    "load",
    "pack",
    "read_manifest",
    "save",
    "state_sha256",
    "unpack",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Artifact:
    """A file on disk: its length, its hash, and what it says of itself."""

    path: Path
    size_bytes: int
    sha256: str
    manifest: Manifest


def save(path: Path, manifest: Manifest, state: Mapping[str, Array]) -> Artifact:
    """Write a `.sprat` file in one step, after decoding what is about to be written and comparing every bit.

    Args:
        path: replaced if it exists.
        manifest: its state_sha256 is computed, whatever it holds.
        state: name to array, in the order in which they shall be stored.

    Raises:
        BadInput: a tensor or a manifest value cannot be stored.
    """
    content = pack(manifest, state)
    written, decoded = unpack(content)
    assert written.state_sha256 == state_sha256(state) == state_sha256(decoded), "the codec is not lossless"
    write_atomic(Path(path), content)
    return Artifact(Path(path), len(content), hashlib.sha256(content).hexdigest(), written)


def load(path: Path, limits: Limits = DEFAULT_LIMITS) -> tuple[Manifest, State]:
    """Manifest and tensors of a `.sprat` file, in the order in which they were saved.

    Raises:
        BadArtifact: there is no such file, or it is damaged, of a newer format, or over the limits.
    """
    return _about(path, unpack, _read(path, limits), limits)


def read_manifest(path: Path, limits: Limits = DEFAULT_LIMITS) -> Manifest:
    """The manifest of a `.sprat` file; the weights are not decoded.

    Raises:
        BadArtifact: as `load`.
    """
    return _about(path, read_manifest_bytes, _read(path, limits), limits)


def describe(path: Path, limits: Limits = DEFAULT_LIMITS) -> list[dict[str, Any]]:
    """One dict a tensor: name, shape, dtype, code, params, nonzero, levels, bytes (of its payload).

    Raises:
        BadArtifact: as `load`.
    """

    content = _read(path, limits)
    _, state = _about(path, unpack, content, limits)
    rows = []
    for name, payload in _about(path, open_contents, content, limits).payloads:
        array = state[name]
        rows.append(
            {
                "name": name,
                "shape": list(array.shape),
                "dtype": array.dtype.name,
                "code": peek(payload, limits).code,
                "params": array.size,
                "nonzero": int(np.count_nonzero(array)),
                "levels": int(np.unique(array).size),
                "bytes": len(payload),
            }
        )
    return rows


def container_bytes(path: Path, limits: Limits = DEFAULT_LIMITS) -> int:
    """Bytes of the file that are in no payload: magic, manifest, names, lengths, checksums.

    Raises:
        BadArtifact: as `load`.
    """
    return _about(path, open_contents, _read(path, limits), limits).container_bytes


def _read(path: Path, limits: Limits) -> bytes:
    try:
        size = Path(path).stat().st_size
        if size > largest_file(limits):
            raise BadArtifact(f"{path}: a file of {size:,} bytes holds more than the limits allow; it is not read")
        return Path(path).read_bytes()
    except OSError as error:
        raise BadArtifact(f"{path} cannot be read ({error.strerror or error}); give a .sprat file") from None


def _about(path: Path, read: Callable[[bytes, Limits], T], content: bytes, limits: Limits) -> T:
    """`read(content, limits)`, an error saying which file it is about."""
    try:
        return read(content, limits)
    except BadArtifact as error:
        raise BadArtifact(f"{path}: {error}") from None
