"""CRC-32C of bytes, in numpy, some 500 MB a second: the checksum of TensorFlow's files.

Source: RFC 3720, section 12.1 (the polynomial 0x11EDC6F41, start and end complemented); the mask is that of leveldb's
tables. A checksum is a remainder of polynomials over GF(2) and the remainder of a sum is the sum of the remainders, so
data is folded: rows of many words are added up, each time multiplied by the power of x that a row's length stands for,
then the two halves of the last row, until one word is left. Bits are reflected: the highest bit of a word is x**0.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL = 0x82F63B78
_ALL = 0xFFFFFFFF
_X8 = 1 << (31 - 8)
_ROW = 2**14  # words; the row and its temporaries stay in the cache
_MASK_DELTA = 0xA282EAD8

_Words = NDArray[Any]  # of "<u4"


def crc32c(data: bytes | bytearray | memoryview | NDArray[np.uint8]) -> int:
    """The CRC-32C of bytes."""
    octets = data if isinstance(data, np.ndarray) else np.frombuffer(data, np.uint8)
    started = _times(_ALL, _power(octets.size))
    return started ^ _remainder(octets) ^ _ALL


def masked(checksum: int) -> int:
    """The checksum as leveldb's tables store it: rotated by 15 bits to the right, plus a constant."""
    return ((checksum >> 15 | checksum << 17) + _MASK_DELTA) & _ALL


def _remainder(octets: NDArray[np.uint8]) -> int:
    """The checksum without the complements: zeros in front of the data do not change it."""
    row = min(_ROW, 1 << max(0, -(-octets.size // 4) - 1).bit_length())  # words, a power of two
    first = octets.size % (4 * row)
    padded = np.zeros(4 * row, np.uint8)
    padded[4 * row - first :] = octets[:first]
    words: _Words = padded.view("<u4")
    for following in octets[first:].reshape(-1, 4 * row):
        words = _shifted(words, row) ^ following.view("<u4")
    while row > 1:
        row //= 2
        words = _shifted(words[:row], row) ^ words[row:]
    return int(_shifted(words, 1)[0])


def _shifted(words: _Words, by: int) -> _Words:
    """Each word times the polynomial that stands for `by` words that follow it."""
    table = _tables(by)
    octet = words.view(np.uint8).reshape(-1, 4)
    shifted: _Words = table[0].take(octet[:, 0])
    for place in (1, 2, 3):
        shifted ^= table[place].take(octet[:, place])
    return shifted


@lru_cache(maxsize=64)
def _tables(words: int) -> _Words:
    """(4, 256): the product of each value of each byte of a word with the power of x that `words` words stand for."""
    power = _power(4 * words)
    table = np.zeros((4, 256), "<u4")
    for place in range(4):
        for bit in range(8):
            product = np.uint32(_times(1 << (8 * place + bit), power))
            table[place, 1 << bit : 2 << bit] = table[place, : 1 << bit] ^ product
    table.flags.writeable = False
    return table


@lru_cache(maxsize=256)
def _power(octets: int) -> int:
    """x to the power of the number of bits in so many bytes."""
    power, square = 1 << 31, _X8
    while octets:
        if octets & 1:
            power = _times(power, square)
        square = _times(square, square)
        octets >>= 1
    return power


def _times(a: int, b: int) -> int:
    """The product of two polynomials, modulo that of the checksum."""
    product = 0
    while a:
        if a & 0x80000000:
            product ^= b
        a = (a << 1) & _ALL
        b = b >> 1 ^ (_POLYNOMIAL if b & 1 else 0)
    return product
