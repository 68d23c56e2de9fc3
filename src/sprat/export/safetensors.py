"""The .safetensors file: a network's weights as they are, with sprat's manifest in its metadata.

Imported and trained networks are kept so: any tool that knows safetensors reads the tensors, and sprat needs nothing
else to predict, to train on or to compress.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from sprat.artifact import Manifest, state_sha256
from sprat.artifact.manifest import read_json, write_json
from sprat.atomic import write_atomic
from sprat.errors import BadArtifact

KEY = "sprat"  # of the file's metadata: the hash of the weights, a line break, the manifest
MAX_HEADER = 100_000_000  # bytes, the library's own limit


def first_bytes(path: Path) -> bytes:
    """The first 16 bytes of a file; none where there is none to read."""
    try:
        with Path(path).open("rb") as stream:
            return stream.read(16)
    except OSError:
        return b""


def is_safetensors(first: bytes) -> bool:
    """Whether a file that begins so is a safetensors file: the length of a JSON header, then the header."""
    return len(first) > 9 and int.from_bytes(first[:8], "little") < MAX_HEADER and first[8:9] == b"{"


def has_manifest(path: Path) -> bool:
    """Whether a safetensors file was written by sprat."""
    try:
        with safetensors.safe_open(str(path), framework="numpy") as file:
            return KEY in (file.metadata() or {})
    except (OSError, ValueError, safetensors.SafetensorError):
        return False


def to_safetensors(state: Mapping[str, NDArray[Any]], manifest: Manifest, path: Path) -> Manifest:
    """Write weights and manifest in one step; the manifest as it was written, with the hash of the weights.

    Args:
        state: name to array, as `state_of` gives it.
        manifest: its state_sha256 is computed, whatever it holds.
        path: replaced if it exists.
    """
    filled = replace(manifest, state_sha256=state_sha256(dict(sorted(state.items()))))
    plain = {name: np.ascontiguousarray(array) for name, array in state.items()}
    note = f"{filled.state_sha256}\n{write_json(filled).decode()}"  # one entry: the library writes several in any order
    write_atomic(Path(path), safetensors.numpy.save(plain, {KEY: note}))
    return filled


def read_safetensors(path: Path) -> tuple[Manifest, dict[str, NDArray[Any]]]:
    """Manifest and weights of a file that `to_safetensors` wrote.

    Raises:
        BadArtifact: there is no such file, it is damaged, or was written by another tool.
    """
    manifest = read_safetensors_manifest(path)
    try:
        with safetensors.safe_open(str(path), framework="numpy") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, ValueError, TypeError, safetensors.SafetensorError) as error:
        raise BadArtifact(f"{path} cannot be read ({error}); it is damaged") from None
    if state_sha256(dict(sorted(state.items()))) != manifest.state_sha256:
        raise BadArtifact(f"{path} holds other weights than it says; it was changed or damaged after it was written")
    return manifest, state


def read_safetensors_manifest(path: Path) -> Manifest:
    """What such a file says of itself; the weights are not read.

    Raises:
        BadArtifact: as `read_safetensors`.
    """
    try:
        with safetensors.safe_open(str(path), framework="numpy") as file:
            notes = file.metadata() or {}
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise BadArtifact(f"{path} cannot be read ({error}); it is damaged, or there is no such file") from None
    if KEY not in notes:
        raise BadArtifact(f"{path} holds weights of another tool; bring them in with `sprat import {path}`")
    try:
        digest, _, text = notes[KEY].partition("\n")
        return read_json(text.encode(), digest)
    except BadArtifact as error:
        raise BadArtifact(f"{path}: {error}") from None


def describe_safetensors(path: Path) -> list[dict[str, Any]]:
    """One dict a tensor, as `artifact.describe` gives them; every number is stored as it is, so the code is "raw".

    Raises:
        BadArtifact: as `read_safetensors`.
    """
    _, state = read_safetensors(path)
    return [
        {
            "name": name,
            "shape": list(array.shape),
            "dtype": array.dtype.name,
            "code": "raw",
            "params": array.size,
            "nonzero": int(np.count_nonzero(array)),
            "levels": int(np.unique(array).size),
            "bytes": array.nbytes,
        }
        for name, array in state.items()
    ]
