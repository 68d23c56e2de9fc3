"""sprat.data.cifar and .pickled: the official archives, and hostile ones."""

import io
import pickle
import struct
import tarfile
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprat.data import open_collection
from sprat.data.pickled import read_pickle
from sprat.errors import BadInput
from sprat.image import ImageSpec


def _python2(value: Any) -> bytes:
    """The opcodes by which Python 2 and NumPy 1 wrote the archives (protocol 2; text is 8-bit)."""
    if isinstance(value, str):
        return b"U" + bytes([len(value)]) + value.encode()
    if isinstance(value, int):
        return b"K" + bytes([value])
    if isinstance(value, list):
        return b"](" + b"".join(map(_python2, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(_python2(key) + _python2(inner) for key, inner in value.items()) + b"u"
    rows, columns = value.shape
    shape = b"J" + struct.pack("<i", rows) + b"J" + struct.pack("<i", columns) + b"\x86"
    dtype = b"cnumpy\ndtype\nq\x07U\x02u1K\x00K\x01\x87Rq\x08(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    data = b"T" + struct.pack("<i", value.size) + value.tobytes()
    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x04cnumpy\nndarray\nq\x05K\x00\x85U\x01b\x87Rq\x06"
    return array + b"(K\x01" + shape + dtype + b"\x89" + data + b"tb"


def _dump(value: Any, protocol: int) -> bytes:
    return b"\x80\x02" + _python2(value) + b"." if protocol == 0 else pickle.dumps(value, protocol)


def _batch(seed: int, count: int, classes: int, label: str = "labels") -> dict[str, Any]:
    images = np.random.default_rng(seed).integers(0, 256, (count, 3072), np.uint8)
    return {
        "data": images,
        label: [index % classes for index in range(count)],
        "filenames": [f"file_{seed}_{index}.png" for index in range(count)],
    }


def _cifar10(protocol: int = 0) -> dict[str, bytes]:
    parts: dict[str, Any] = {f"data_batch_{n}": _batch(n, 8, 4) for n in range(1, 6)}
    parts |= {"test_batch": _batch(9, 8, 4), "batches.meta": {"label_names": ["plane", "car", "bird", "cat"]}}
    return {f"cifar-10-batches-py/{name}": _dump(part, protocol) for name, part in parts.items()}


def _cifar100() -> dict[str, bytes]:
    train, test = _batch(1, 40, 4, "fine_labels"), _batch(2, 8, 4, "fine_labels")
    train["coarse_labels"] = [0] * 40
    meta = {"fine_label_names": ["apple", "fish", "baby", "bear"], "coarse_label_names": ["x"]}
    return {
        f"cifar-100-python/{name}": _dump(part, 0) for name, part in (("train", train), ("test", test), ("meta", meta))
    }


def _pack(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def _extract(path: Path, members: dict[str, bytes]) -> Path:
    for name, content in members.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def test_our_python_2_pickle_is_what_pythons_own_reader_takes_for_one() -> None:
    batch = _batch(3, 4, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pickle.loads(_dump(batch, 0), encoding="latin1")
    ours = read_pickle(_dump(batch, 0))
    assert (theirs["data"] == ours["data"]).all()
    assert (ours["data"] == batch["data"]).all()
    assert theirs["labels"] == ours["labels"] == batch["labels"]
    assert theirs["filenames"] == ours["filenames"]


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
def test_cifar_10_packed(protocol: int, tmp_path: Path) -> None:
    found = open_collection(_pack(tmp_path / "any-name.bin", _cifar10(protocol)))
    assert found.classes == ("plane", "car", "bird", "cat")
    assert (found.channels, found.given_split, found.name) == (3, True, "cifar4")
    data = found.load(ImageSpec(3, 32, 32))
    assert len(data.train) + len(data.val) == 40
    planes = _batch(9, 8, 4)["data"].reshape(8, 3, 32, 32)
    assert (data.test.images == planes.transpose(0, 2, 3, 1)).all()
    assert data.test.labels.tolist() == [0, 1, 2, 3] * 2
    assert data.test.keys[0] == "test/file_9_0.png"


@pytest.mark.parametrize("inner", ["", "cifar-10-batches-py"])
def test_cifar_10_extracted(inner: str, tmp_path: Path) -> None:
    assert len(open_collection(_extract(tmp_path, _cifar10()) / inner).keys("test")) == 8


def test_cifar_100_has_its_fine_labels(tmp_path: Path) -> None:
    found = open_collection(_pack(tmp_path / "c.tar.gz", _cifar100()))
    assert found.classes == ("apple", "fish", "baby", "bear")
    assert found.labels("test").tolist() == [0, 1, 2, 3] * 2
    assert open_collection(_extract(tmp_path / "x", _cifar100())).fingerprint == found.fingerprint


def test_a_missing_batch_is_noted(tmp_path: Path) -> None:
    members = _cifar10()
    del members["cifar-10-batches-py/data_batch_3"]
    assert "training batch 3 of 5 is missing" in open_collection(_pack(tmp_path / "c.tar.gz", members)).warnings


class _Hostile:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (self.mark, "run"))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_hostile_pickle_is_refused_and_not_run(protocol: int, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    members = _cifar10()
    members["cifar-10-batches-py/data_batch_2"] = pickle.dumps({"data": _Hostile(mark), "labels": []}, protocol)
    with pytest.raises(BadInput, match=r"data_batch_2 .*refused.*do not trust"):
        open_collection(_pack(tmp_path / "c.tar.gz", members))
    assert not mark.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'touch hacked'\ntR.",
        b"\x80\x02c__builtin__\neval\nU\x011\x85R.",
        b"\x80\x02cnumpy.core.multiarray\nscalar\n.",
        b"\x80\x02cnumpy\nload\nU\x01x\x85R.",
        b"\x80\x02cnumpy\nndarray\nJ\x00\x00\x00\x40\x85R.",
        b"\x80\x02(cnumpy\nndarray\no.",
        b"\x80\x02cnumpy\nndarray\n)\x81.",
        b"\x80\x02\x82\x01.",
        b"\x80\x02K\x01r\xff\xff\xff\xff",
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\x00\x00.",
        b"\x80\x02}(K\x01\x85K\x02u.",
        b"\x80\x02e.",
        b"\x80\x02",
        b"",
    ],
)
def test_whatever_is_not_numbers_names_and_bytes_is_refused(content: bytes) -> None:
    with pytest.raises(BadInput):
        read_pickle(content)


def test_a_short_pickle_cannot_fill_the_memory() -> None:
    text = b"X" + struct.pack("<I", 10**6) + b"a" * 10**6 + b"q\x00"
    encode = b"c_codecs\nencode\nq\x01"
    with pytest.raises(BadInput, match="far more than its own length"):
        read_pickle(b"\x80\x02" + text + encode + b"]" + b"(" + b"h\x01h\x00\x85R" * 10**4 + b"e.")


@given(st.data())
def test_mutated_pickles_are_refused_or_read(data: st.DataObject) -> None:
    content = bytearray(
        _dump({"data": np.zeros((2, 3), np.uint8), "labels": [1, 2]}, data.draw(st.sampled_from([0, 2, 4, 5])))
    )
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with suppress(BadInput):
        assert not callable(read_pickle(bytes(content)))


@pytest.mark.parametrize(
    "change",
    [
        {"data": np.zeros((8, 3071), np.uint8)},
        {"data": [1, 2, 3]},
        {"data": np.zeros((8, 3072), np.float32)},
        {"labels": [0] * 7},
        {"labels": [4] * 8},
        {"labels": ["0"] * 8},
    ],
)
def test_batches_that_make_no_sense_are_refused(change: dict[str, Any], tmp_path: Path) -> None:
    members = _cifar10()
    members["cifar-10-batches-py/test_batch"] = pickle.dumps(_batch(9, 8, 4) | change, 4)
    with pytest.raises(BadInput, match="test_batch"):
        open_collection(_pack(tmp_path / "c.tar.gz", members))


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    path = _pack(tmp_path / "c.tar.gz", _cifar10())
    path.write_bytes(path.read_bytes()[:-30_000])
    with pytest.raises(BadInput, match="damaged archive"):
        open_collection(path)
