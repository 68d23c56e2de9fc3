"""sprat.data.mnist: IDX files."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from sprat.data import open_collection
from sprat.errors import BadInput
from sprat.image import ImageSpec

TRAIN, TEST = 20, 10


def _idx(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "train-images-idx3-ubyte": random.integers(0, 256, (TRAIN, 7, 5), np.uint8),
        "train-labels-idx1-ubyte": np.arange(TRAIN, dtype=np.uint8) % 3,
        "t10k-images-idx3-ubyte": random.integers(0, 256, (TEST, 7, 5), np.uint8),
        "t10k-labels-idx1-ubyte": np.arange(TEST, dtype=np.uint8) % 3,
    }


def _write(folder: Path, arrays: dict[str, np.ndarray], packed: bool) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        content = _idx(array)
        (folder / (name + ".gz" * packed)).write_bytes(gzip.compress(content) if packed else content)
    return folder


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("below", ["", "raw", "MNIST/raw"])
def test_pixels_labels_and_split(packed: bool, below: str, arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    _write(tmp_path / below, arrays, packed)
    found = open_collection(tmp_path)
    assert (found.channels, found.classes, found.given_split) == (1, ("0", "1", "2"), True)
    data = found.load(ImageSpec(1, 7, 5))
    assert (data.test.images[..., 0] == arrays["t10k-images-idx3-ubyte"]).all()
    assert (data.test.labels == arrays["t10k-labels-idx1-ubyte"]).all()
    rows = [int(key.removeprefix("train/")) for key in data.train.keys]
    assert (data.train.images[..., 0] == arrays["train-images-idx3-ubyte"][rows]).all()
    assert len(data.train) + len(data.val) == TRAIN


def test_one_of_the_files_stands_for_its_folder(arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    folder = _write(tmp_path / "m", arrays, True)
    assert len(open_collection(folder / "train-images-idx3-ubyte.gz").keys("test")) == TEST


def test_a_missing_labels_file_is_an_error(arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    del arrays["t10k-labels-idx1-ubyte"]
    with pytest.raises(BadInput, match="lacks the labels file of its test split"):
        open_collection(_write(tmp_path / "m", arrays, False))


def test_a_label_only_in_test_is_an_error(arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    arrays["t10k-labels-idx1-ubyte"][0] = 9
    with pytest.raises(BadInput, match="'9' occurs in test"):
        open_collection(_write(tmp_path / "m", arrays, False))


@pytest.mark.parametrize("packed", [False, True])
def test_damaged_files_are_refused(packed: bool, arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    folder = _write(tmp_path / "m", arrays, packed)
    path = folder / ("train-images-idx3-ubyte" + ".gz" * packed)
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    with pytest.raises(BadInput, match="fetch it again"):
        open_collection(folder)
    huge = bytes((0, 0, 8, 3)) + struct.pack(">3I", 2**31, 2**31, 2**31)
    path.write_bytes(gzip.compress(huge) if packed else huge)
    with pytest.raises(BadInput, match="limit"):
        open_collection(folder)
