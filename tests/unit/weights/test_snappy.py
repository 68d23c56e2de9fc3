"""Snappy: blocks of all kinds of elements, and damaged ones."""

import random

import pytest
import tf_writer
from tf_writer import varint

from sprat.errors import BadInput
from sprat.weights.parse.snappy import uncompressed


def _undone(data: bytes, max_bytes: int = 2**20) -> bytes:
    return bytes(uncompressed(memoryview(data), "the block", max_bytes=max_bytes))


def test_snappy_undoes_literals_and_copies_of_all_kinds() -> None:
    assert _undone(b"\x08" + b"\x08xab" + b"\x01\x02" + b"\x00z") == b"xab" + b"abab" + b"z"
    assert _undone(b"\x07" + b"\x08xab" + bytes([2 | 3 << 2]) + b"\x02\x00") == b"xab" + b"abab"
    assert _undone(b"\x40" + b"\x00x" + bytes([3 | 62 << 2]) + b"\x01\x00\x00\x00") == b"x" * 64
    for extra in range(1, 5):  # a literal whose length takes 1 to 4 bytes
        literal = bytes([(59 + extra) << 2]) + (99).to_bytes(extra, "little") + b"l" * 100
        assert _undone(b"\x64" + literal) == b"l" * 100
    data = random.Random(5).randbytes(3000) * 3 + bytes(5000)
    assert _undone(tf_writer.snappy(data)) == data


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (varint(2**32 - 1) + b"\x00x", "declares 4,294,967,295"),
        (varint(2**63) + b"\x00x", "declares"),
        (b"\x05\x00x", "holds 1 of the 5"),
        (b"\x01\x08xab", "more than the 1"),
        (b"\x08\x08xa", "within a literal"),
        (b"\x08\xfc\xff\xff\xff", "within a literal"),
        (b"\x08\x00x\x01", "within a copy"),
        (b"\x08\x00x\x03\x01", "within a copy"),
        (b"\x08\x00x\x01\x00", "0 bytes back"),
        (b"\x08\x00x\x01\x02", "2 bytes back"),
        (b"", "ends within a number"),
    ],
)
def test_damaged_snappy(data: bytes, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        _undone(data)
