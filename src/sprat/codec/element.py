"""Element types: their numbers in a payload, and their bit patterns as unsigned integers in the order of the values."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# The position in this tuple is the number in the file; all are little-endian. New types go to the end.
TYPES = tuple(np.dtype(name) for name in ("<f4", "<f2", "<i8", "<i4", "u1", "?", "<f8", "<i2", "i1"))


def unsigned(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The unsigned integer type of the same width."""
    return np.dtype(f"<u{dtype.itemsize}")


def bits_of(array: Array) -> Array:
    """The bit patterns of an array, as unsigned integers of the same width."""
    return array.view(unsigned(array.dtype))


def ordinals_of(array: Array) -> Array:
    """Unsigned integers that sort as the values do; every bit pattern (both zeros, each NaN) has its own.

    Floats: all bits inverted when the sign is set, else the sign bit set. Signed integers: sign bit inverted.
    """
    bits = bits_of(array)
    sign = bits.dtype.type(1 << (8 * bits.dtype.itemsize - 1))
    if array.dtype.kind == "f":
        return np.where(bits & sign, ~bits, bits | sign)
    return bits ^ sign if array.dtype.kind == "i" else bits


def from_ordinals(ordinals: Array, dtype: np.dtype[Any]) -> Array:
    """The array whose `ordinals_of` these are."""
    sign = ordinals.dtype.type(1 << (8 * dtype.itemsize - 1))
    if dtype.kind == "f":
        bits = np.where(ordinals & sign, ordinals ^ sign, ~ordinals)
    else:
        bits = ordinals ^ sign if dtype.kind == "i" else ordinals
    return bits.view(dtype)


def zero_ordinal(dtype: np.dtype[Any]) -> int:
    """The ordinal of zero (of +0.0)."""
    return 1 << (8 * dtype.itemsize - 1) if dtype.kind in "fi" else 0
