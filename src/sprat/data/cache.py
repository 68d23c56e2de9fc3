"""cache: arrays that are computed once and then mapped from a file."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def cached(path: Path | None, shape: tuple[int, ...], fill: Callable[[NDArray[np.uint8]], None]) -> NDArray[np.uint8]:
    """The uint8 array of that shape that `fill` writes into; with a path, mapped from that .npy file once it is made.

    The file appears under its name only when complete. Changes to the mapped array stay in memory.
    """
    if path is None or 0 in shape:
        array = np.zeros(shape, np.uint8)
        fill(array)
        return array
    found = _open(path, shape)
    if found is not None:
        return found
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        mapped = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        fill(mapped)
        mapped.flush()
        del mapped
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    made = _open(path, shape)
    assert made is not None, f"{path} is not what was just written"
    return made


def _open(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    try:
        array = np.load(path, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return array if array.shape == shape and array.dtype == np.uint8 else None
