"""Archives: names of all forms are read; those that lead elsewhere, links and bombs are BadInput."""

import gzip
import io
import tarfile
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from tf_cases import same, sample_tensors
from tf_writer import write_tar, write_v1

from sprat.errors import BadInput
from sprat.weights.formats.tf_checkpoint import read
from sprat.weights.parse import archive


def _tar(path: Path, *entries: tarfile.TarInfo, content: bytes = b"", kind: int = tarfile.GNU_FORMAT) -> Path:
    with tarfile.open(path, "w:gz", format=kind) as packed:
        for entry in entries:
            entry.size = len(content) if entry.isreg() else 0
            packed.addfile(entry, io.BytesIO(content))
    return path


def _info(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "a/../../x", "a/..", "..", "a\\..\\x", "C:x", "a\nb", "/".join("a" * 40), "n" * 300, "."]
)
@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_that_lead_elsewhere(tmp_path: Path, name: str, kind: int) -> None:
    with pytest.raises(BadInput, match="may lead out of its folder"):
        read(_tar(tmp_path / "a.tar.gz", _info(name), kind=kind))


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (_info("x", tarfile.SYMTYPE, "/etc/passwd"), "is a symbolic link"),
        (_info("x", tarfile.LNKTYPE, "../y"), "is a link"),
        (_info("x", tarfile.CHRTYPE), "is a device"),
        (_info("x", tarfile.FIFOTYPE), "is a pipe"),
        (_info("x", b"Z"), "of the kind b'Z'"),
        (_info("x", tarfile.GNUTYPE_SPARSE), "is a sparse file"),
    ],
)
def test_archives_hold_plain_files_only(tmp_path: Path, entry: tarfile.TarInfo, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        read(_tar(tmp_path / "a.tar.gz", entry))


def test_long_and_pax_names_are_read(tmp_path: Path) -> None:
    single = write_v1(tmp_path / "m", sample_tensors()).read_bytes()
    for kind in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT):
        name = "réseau-" + "n" * 80 + "/" + "m" * 70 + ".ckpt"
        path = _tar(tmp_path / "a.tgz", _info("folder", tarfile.DIRTYPE), _info(name), content=single, kind=kind)
        assert same(read(path).tensors, sample_tensors())
        assert read(path).notes["member"] == name


def test_a_file_that_is_there_twice_or_both_file_and_folder(tmp_path: Path) -> None:
    for names in (("x", "x"), ("x", "x/y"), ("x/y", "x")):
        with pytest.raises(BadInput, match="there twice"):
            read(_tar(tmp_path / "a.tar.gz", *map(_info, names)))


def test_gzip_bombs_are_refused_before_they_fill_anything(tmp_path: Path) -> None:
    zeros = gzip.compress(bytes(80 * 2**20), 6)
    bomb = tmp_path / "bomb.tar.gz"
    info = _info("model.ckpt")
    for size in (2**50, 80 * 2**20):  # what the header says; the honest one is over what so small an archive may hold
        info.size = size
        bomb.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT)) + zeros)
        tracemalloc.start()
        with pytest.raises(BadInput, match="it is hostile"):
            read(bomb)
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
        tracemalloc.stop()
    bomb.write_bytes(gzip.compress(bytes(1024)) + zeros)  # after the end of the archive
    with pytest.raises(BadInput, match="goes on after the end"):
        read(bomb)


def test_headers_that_are_bombs(tmp_path: Path) -> None:
    for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME):
        info = _info("x", kind)
        info.size = 2**20
        (tmp_path / "a.tar.gz").write_bytes(gzip.compress(info.tobuf() + bytes(2**20 + 1024)))
        with pytest.raises(BadInput, match="has a header of 1,048,576 bytes"):
            read(tmp_path / "a.tar.gz")


@pytest.mark.parametrize(
    "records", [b"9999 path=x\n", b"0 path=x\n", b"11 path=xx\n", b"x", b"12 size=123\n", b"9 path=x "]
)
def test_damaged_pax_records(tmp_path: Path, records: bytes) -> None:
    info = _info("x", tarfile.XHDTYPE)
    info.size = len(records)
    content = info.tobuf() + records.ljust(512, b"\0") + _info("y").tobuf() + bytes(1024)
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(content))
    with pytest.raises(BadInput):
        read(tmp_path / "a.tar.gz")


def test_too_many_files_or_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="over 1000 files"):
        read(_tar(tmp_path / "a.tar.gz", *(_info(f"f{i}") for i in range(1001))))
    monkeypatch.setattr(archive, "_MAX_ENTRIES", 50)
    with pytest.raises(BadInput, match="over 50 entries"):
        read(_tar(tmp_path / "a.tar.gz", *(_info(f"d{i}", tarfile.DIRTYPE) for i in range(51))))


def test_truncated_archives_and_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    packed = write_tar(tmp_path / "a.tar.gz", [write_v1(tmp_path / "m.ckpt", {"w": np.ones(20, np.float32)})])
    content = packed.read_bytes()
    plain = gzip.decompress(content)
    assert read(packed).tensors["w"].sum() == 20
    for length in range(20, len(content), 7):
        packed.write_bytes(content[:length])
        with pytest.raises(BadInput):
            read(packed)
    for length in (512, 600, 1024):
        packed.write_bytes(plain[:length])
        with pytest.raises(BadInput, match="truncated"):
            read(packed)
    assert not list((tmp_path / "temporary").iterdir())
