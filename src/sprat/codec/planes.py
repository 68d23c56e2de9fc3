"""Byte planes: any values, bit for bit. All bytes of one significance are a plane, and each plane is coded by itself.

Floats are rotated left by one bit first, so that the whole exponent is the top plane and the sign goes where noise is.
A plane is one repeated byte, plain bytes, or bytes coded under adaptive frequencies.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from sprat.codec.element import Array, bits_of, unsigned
from sprat.codec.rangecoder import Coder, Decoder, Encoder, frequencies
from sprat.codec.wire import Reader
from sprat.errors import BadArtifact

_PLAIN, _REPEATED, _CODED = 0, 1, 2
_INCREMENT = 16

Bytes = npt.NDArray[np.uint8]


def write_planes(array: Array) -> bytes:
    """Kind of each plane, then the plain and repeated bytes, then one stream for all coded planes."""
    planes = split(array)
    kinds = bytearray()
    plain = bytearray()
    encoder = Encoder()
    for plane in planes:
        if plane.min() == plane.max():
            kinds.append(_REPEATED)
            plain.append(int(plane[0]))
            continue
        trial = Encoder()
        _code_bytes(trial, plane.size, plane)
        if len(trial.finish()) < plane.size:
            kinds.append(_CODED)
            _code_bytes(encoder, plane.size, plane)
        else:
            kinds.append(_PLAIN)
            plain += plane.tobytes()
    return bytes(kinds) + bytes(plain) + encoder.finish()


def read_planes(reader: Reader, count: int, dtype: np.dtype[Any]) -> Array:
    """The `count` values that `write_planes` wrote; takes all that is left."""
    kinds = reader.take(dtype.itemsize)
    if max(kinds) > _CODED:
        raise BadArtifact(f"a byte plane of kind {max(kinds)}: the file is damaged or from a newer sprat")
    planes = np.empty((dtype.itemsize, count), np.uint8)
    for plane, kind in zip(planes, kinds, strict=True):
        if kind == _REPEATED:
            plane[:] = reader.byte()
        elif kind == _PLAIN:
            plane[:] = np.frombuffer(reader.take(count), np.uint8)
    decoder = Decoder(reader.rest())
    for plane, kind in zip(planes, kinds, strict=True):
        if kind == _CODED:
            plane[:] = _code_bytes(decoder, count, None)
    return join(planes, dtype)


def split(array: Array) -> Bytes:
    """The planes of an array, most significant first: (itemsize, count)."""
    bits = bits_of(array).ravel()
    if array.dtype.kind == "f":
        top = bits.dtype.type(8 * bits.dtype.itemsize - 1)
        bits = (bits << bits.dtype.type(1)) | (bits >> top)
    return np.ascontiguousarray(bits.view(np.uint8).reshape(-1, bits.dtype.itemsize).T[::-1])


def join(planes: Bytes, dtype: np.dtype[Any]) -> Array:
    """The array that `split` took apart."""
    bits = np.ascontiguousarray(planes[::-1].T).view(unsigned(dtype)).ravel()
    if dtype.kind == "f":
        top = bits.dtype.type(8 * bits.dtype.itemsize - 1)
        bits = (bits >> bits.dtype.type(1)) | (bits << top)
    return bits.view(dtype)


def entropy_bound(array: Array) -> float:
    """Bytes below which `write_planes` does not go: the order-0 entropy of the planes."""
    total = 0.0
    for plane in split(array):
        counts = np.bincount(plane)
        counts = counts[counts > 0]
        total -= float((counts * np.log2(counts / plane.size)).sum()) / 8
    return total


def _blocks(count: int) -> Iterator[tuple[int, int]]:
    """Start and end of blocks; frequencies are renewed between them. A sixteenth of what came before, at least 64."""
    start = 0
    while start < count:
        end = min(count, start + max(64, start // 16))
        yield start, end
        start = end


def _code_bytes(coder: Coder, count: int, plane: Bytes | None) -> Bytes:
    counts = np.ones((1, 256), np.int64)
    result = np.empty(count, np.uint8)
    for start, end in _blocks(count):
        known = None if plane is None else plane[start:end].astype(np.int64)
        symbols = coder.code_alike(frequencies(counts)[0], end - start, known)
        counts[0] += _INCREMENT * np.bincount(symbols, minlength=256)
        result[start:end] = symbols
    return result
