"""Tensors that tests write and read, and whether they came back."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensors = Mapping[str, NDArray[Any]]
Write = Callable[..., Path]


def sample_tensors(seed: int = 0) -> Tensors:
    """A tensor of each type and rank that matters; "parted" is there to be stored in pieces."""
    rng = np.random.default_rng(seed)
    return {
        "net/conv/weights": rng.normal(size=(3, 3, 4, 5)).astype(np.float32),
        "net/conv/biases": rng.normal(size=5).astype(np.float64),
        "global_step": np.array(-1234567890123, np.int64),
        "counts": np.array([[-1, 2, 0], [2**31 - 1, -(2**31), 7]], np.int32),
        "half": rng.normal(size=(2, 9)).astype(np.float16),
        "empty": np.zeros((0, 3), np.float32),
        "réseau/層/\N{GRINNING FACE}": np.arange(3, dtype=np.float32),
        "scalar": np.float32(0.5).reshape(()),
        "parted": rng.normal(size=(11, 2, 3)).astype(np.float32),
    }


def same(found: Tensors, tensors: Tensors) -> bool:
    """Whether what was read is what was written, floats as float32."""
    if set(found) != set(tensors):
        return False
    for name, array in tensors.items():
        wanted = array.astype(np.float32) if array.dtype.kind == "f" else array
        if found[name].dtype != wanted.dtype or not np.array_equal(found[name], wanted):
            return False
    return True
