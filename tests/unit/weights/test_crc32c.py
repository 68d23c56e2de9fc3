"""CRC-32C: the values of the RFC, and those of the plain loop."""

import random
import time

import numpy as np
import pytest

from sprat.weights.parse.crc32c import crc32c, masked


def _slow_crc32c(data: bytes) -> int:
    value = 0xFFFFFFFF
    for octet in data:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def test_crc32c_has_the_values_of_the_rfc() -> None:
    """RFC 3720, B.4: 32 bytes of zeros, of ones, rising, falling; and the usual check value."""
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(bytes(range(31, -1, -1))) == 0x113FDB5C
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"") == 0
    assert masked(0) == 0xA282EAD8
    assert masked(0x12345678) == ((0x12345678 >> 15 | 0x12345678 << 17) + 0xA282EAD8) % 2**32


@pytest.mark.parametrize("size", [*range(70), 65535, 65536, 65537, 150001])
def test_crc32c_is_that_of_the_plain_loop(size: int) -> None:
    data = random.Random(size).randbytes(size)
    assert crc32c(data) == _slow_crc32c(data)
    assert crc32c(memoryview(b"x" + data)[1:]) == crc32c(data)


def test_crc32c_takes_far_less_than_a_second_for_100_mb() -> None:
    data = np.zeros(20_000_000, np.uint8)
    start = time.perf_counter()
    crc32c(data)
    assert time.perf_counter() - start < 2  # some 0.02 s; a tenth of the limit on the slowest machine seen
