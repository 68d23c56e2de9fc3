import numpy as np
import pytest

from sprat.codec.wire import Reader, read_rice, unzigzag, varint, write_rice, zigzag
from sprat.errors import BadArtifact


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**31, 2**62])
def test_varint_round_trip(value: int) -> None:
    reader = Reader(varint(value))
    assert reader.varint(2**62) == value
    assert reader.left == 0


def test_varint_bounds() -> None:
    with pytest.raises(BadArtifact, match="at most 99"):
        Reader(varint(100)).varint(99)
    with pytest.raises(BadArtifact, match="nine bytes"):
        Reader(b"\x80" * 20).varint(2**62)
    with pytest.raises(BadArtifact, match="1 bytes is wanted where 0"):
        Reader(b"\x80").varint(2**62)


def test_zigzag() -> None:
    assert [zigzag(value) for value in (0, -1, 1, -2, 2)] == [0, 1, 2, 3, 4]
    assert all(unzigzag(zigzag(value)) == value for value in range(-300, 300))


@pytest.mark.parametrize("scale", [0, 1, 7, 1000, 2**40])
@pytest.mark.parametrize("count", [0, 1, 2, 77])
def test_rice_round_trip(scale: int, count: int) -> None:
    values = np.random.default_rng(count).integers(0, scale + 1, count)
    reader = Reader(write_rice(values) + b"rest")
    assert np.array_equal(read_rice(reader, count), values)
    assert reader.rest() == b"rest"


def test_rice_refuses_what_cannot_be() -> None:
    for content in (b"\x3f", b"\x00\x00", b"\x05\xff", b"\x00" + b"\x00" * 40):
        with pytest.raises(BadArtifact):
            read_rice(Reader(content), 8)


def test_reading_past_the_end_is_an_error() -> None:
    with pytest.raises(BadArtifact, match="5 bytes is wanted where 3"):
        Reader(b"abc").take(5)
