"""Foreign: what a reader found in a file of another framework, and the registry of readers.

A reader is one file in `sprat.weights.formats`. It tells its format by content, reads it without the framework that
wrote it, and trusts nothing: every size is checked against the file before memory is asked for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sprat.errors import BadInput
from sprat.registry import Registry

MAX_BYTES = 4 * 2**30  # of all tensors of a file, as float32
MAX_TENSORS = 100_000
MAX_DIMENSIONS = 8
HEAD = 64  # bytes of a file a reader is shown to recognise it


@dataclass(frozen=True, slots=True)
class Foreign:
    """The tensors of a file, as it names and lays them out; quantised ones as the floats they stand for.

    Args:
        format: name of the reader.
        tensors: name to array, float32 unless the file says otherwise, in the order of the file.
        notes: what else the file says of itself, as JSON values (layer types, input shape, quantisation).
    """

    format: str
    tensors: Mapping[str, NDArray[Any]]
    notes: Mapping[str, Any] = field(default_factory=dict)


class Read(Protocol):
    """Reads a file of one format."""

    def __call__(self, path: Path) -> Foreign:
        """The tensors of the file.

        Raises:
            BadInput: the file is damaged, hostile or of a kind that is not read; the message says where and why.
        """
        ...


@dataclass(frozen=True, slots=True)
class Reader:
    """One foreign format.

    Args:
        name: of the format.
        understands: for people, a line.
        recognises: whether a path is of this format, from the path and its first HEAD bytes (none for a folder or a
            prefix of several files). Content decides, not the ending.
        read: the tensors of a file.
    """

    name: str
    understands: str
    recognises: Callable[[Path, bytes], bool]
    read: Read


READERS: Registry[Reader] = Registry("weight format", "sprat.weights.formats")


def reader(name: str, *, understands: str, recognises: Callable[[Path, bytes], bool]) -> Callable[[Read], Read]:
    """Register the decorated function as the reader of a format; the arguments are those of Reader."""

    def register(read: Read) -> Read:
        READERS.add(name, Reader(name, understands, recognises, read))
        return read

    return register


def read_foreign(path: Path) -> Foreign:
    """The tensors of a file of any known format, which is told by its content.

    Raises:
        BadInput: there is no such file, its format is not known, or it is damaged.
    """
    head = first_bytes(path)
    for name in READERS:
        found = READERS.get(name)
        if found.recognises(path, head):
            foreign = found.read(path)
            check_size(foreign, path)
            return foreign
    if not path.exists():
        raise BadInput(f"no file {path}; give a file of trained weights, or a name from `sprat zoo --weights`")
    known = "; ".join(f"{READERS.get(name).understands}" for name in READERS)
    raise BadInput(f"{path} is in none of the known formats (it starts with {head[:8]!r}); known: {known}")


def first_bytes(path: Path) -> bytes:
    """The first HEAD bytes of a file; none where it is a folder, a prefix, or cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(HEAD)
    except OSError:
        return b""


def check_size(foreign: Foreign, path: Path) -> None:
    """Refuse more tensors or bytes than any network of the zoo has.

    Raises:
        BadInput: over MAX_TENSORS or MAX_BYTES.
    """
    size = sum(array.size * 4 for array in foreign.tensors.values())
    if len(foreign.tensors) > MAX_TENSORS or size > MAX_BYTES:
        raise BadInput(f"{path} holds {len(foreign.tensors):,} tensors of {size:,} bytes; no network here is so large")


def check_shape(shape: tuple[int, ...], what: str, *, size_bytes: int, item_bytes: int) -> int:
    """How many bytes a tensor of a declared shape takes, which must be what the file holds for it.

    Args:
        shape: as declared in the file; nothing of it is trusted.
        what: for the message, "tensor conv1/weights of net.caffemodel".
        size_bytes: that the file holds.
        item_bytes: of one number.

    Raises:
        BadInput: a negative or absurd dimension, or another size.
    """
    count = 1
    for side in shape:
        if not 0 <= side <= MAX_BYTES or len(shape) > MAX_DIMENSIONS:
            raise BadInput(
                f"{what} declares the shape {shape[:MAX_DIMENSIONS]}, which is not usable; the file is damaged"
            )
        count *= int(side)
        if count * item_bytes > MAX_BYTES:
            raise BadInput(f"{what} declares the shape {shape}, over {MAX_BYTES:,} bytes; the file is damaged")
    if count * item_bytes != size_bytes:
        raise BadInput(
            f"{what} declares the shape {shape}, {count * item_bytes:,} bytes, but the file holds {size_bytes:,}; "
            "it is damaged"
        )
    return count * item_bytes


def as_float(array: NDArray[Any]) -> NDArray[np.float32]:
    """The array as float32, in memory of its own."""
    return np.array(array, dtype=np.float32, order="C", copy=True)
