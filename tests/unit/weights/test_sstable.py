"""Tables that are damaged or hostile are BadInput."""

import struct
from pathlib import Path

import pytest
import tf_writer
from tf_writer import varint

from sprat.errors import BadInput
from sprat.weights.parse import sstable


def _table_file(
    path: Path, *, blocks: list[bytes], handles: list[tuple[int, int]], footer: bytes | None = None
) -> Path:
    """A table of some sealed blocks, whose index lists some handles."""
    body = b"".join(blocks)
    index = tf_writer.sealed(
        tf_writer.block([(bytes([65 + i]), varint(o) + varint(s)) for i, (o, s) in enumerate(handles)])
    )
    pointers = varint(0) + varint(0) + varint(len(body)) + varint(len(index) - 5)
    end = pointers.ljust(40, b"\0") if footer is None else footer
    path.write_bytes(body + index + end + struct.pack("<Q", tf_writer.MAGIC))
    return path


def test_blocks_in_a_loop_are_read_once(tmp_path: Path) -> None:
    content = tf_writer.block([(b"", b"x" * 100)])
    path = _table_file(tmp_path / "t", blocks=[tf_writer.sealed(content)], handles=[(0, len(content))] * 3)
    with pytest.raises(BadInput, match="begins within the block before"):
        list(sstable.entries(path))


@pytest.mark.parametrize("handle", [(0, 2**40), (2**63, 5), (0, 2**64 - 1), (10**6, 1)])
def test_blocks_beyond_the_file(tmp_path: Path, handle: tuple[int, int]) -> None:
    path = _table_file(tmp_path / "t", blocks=[tf_writer.sealed(tf_writer.block([]))], handles=[handle])
    with pytest.raises(BadInput, match="its place ends at"):
        list(sstable.entries(path))


def test_an_index_that_is_the_footer_or_itself(tmp_path: Path) -> None:
    content = tf_writer.block([])
    footer = (varint(0) + varint(0) + varint(2**20) + varint(40)).ljust(40, b"\0")
    path = _table_file(tmp_path / "t", blocks=[tf_writer.sealed(content)], handles=[], footer=footer)
    with pytest.raises(BadInput, match="its place ends at"):
        list(sstable.entries(path))
    path = _table_file(tmp_path / "t", blocks=[], handles=[(0, 8)])
    with pytest.raises(BadInput, match="its place ends at"):
        list(sstable.entries(path))
    path = _table_file(tmp_path / "t", blocks=[], handles=[], footer=b"\xff" * 40)
    with pytest.raises(BadInput, match="over 10 bytes"):
        list(sstable.entries(path))


def _entry(shared: int, key: bytes, value: bytes = b"", length: int | None = None) -> bytes:
    return varint(shared) + varint(len(key)) + varint(len(value) if length is None else length) + key + value


def _restarts(*offsets: int, count: int | None = None) -> bytes:
    return struct.pack(f"<{len(offsets) + 1}I", *offsets, len(offsets) if count is None else count)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "lists 0 whole keys"),
        (_restarts(0, count=0), "lists 0 whole keys"),
        (_restarts(0, count=2**32 - 1), "4,294,967,295 whole keys"),
        (_entry(0, b"a") + _restarts(2), "points beside its entries"),
        (_entry(0, b"a") + _restarts(0, 10**6), "points beside its entries"),
        (_entry(0, b"a") + _entry(1, b"b") + _restarts(0, 4), "should be whole"),
        (_entry(1, b"a") + _restarts(0), "does not fit"),
        (_entry(0, b"a", length=2**60) + _restarts(0), "does not fit"),
        (_entry(0, b"k" * 5000) + _restarts(0), "does not fit"),
        (_entry(0, b"b") + _entry(0, b"a") + _restarts(0), "is not after"),
        (_entry(0, b"b") + _entry(0, b"b") + _restarts(0), "is not after"),
        (b"\xff" * 20 + _restarts(0), "over 10 bytes"),
    ],
)
def test_damaged_blocks(tmp_path: Path, content: bytes, says: str) -> None:
    path = _table_file(tmp_path / "t", blocks=[tf_writer.sealed(content)], handles=[(0, len(content))])
    with pytest.raises(BadInput, match=says):
        list(sstable.entries(path))


def test_blocks_of_an_unknown_kind_or_a_snappy_bomb(tmp_path: Path) -> None:
    path = _table_file(tmp_path / "t", blocks=[tf_writer.sealed(b"12345678", 7)], handles=[(0, 8)])
    with pytest.raises(BadInput, match="not known"):
        list(sstable.entries(path))
    bomb = varint(2**31) + b"\x00x" + bytes([2 | 63 << 2, 1, 0]) * 10
    path = _table_file(tmp_path / "t", blocks=[tf_writer.sealed(bomb, 1)], handles=[(0, len(bomb))])
    with pytest.raises(BadInput, match="declares 2,147,483,648 bytes"):
        list(sstable.entries(path))


def test_too_many_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sstable, "MAX_ENTRIES", 20)
    path = tmp_path / "t"
    path.write_bytes(tf_writer.table({b"%03d" % i: b"" for i in range(21)}))
    with pytest.raises(BadInput, match="over 20 entries"):
        list(sstable.entries(path))
