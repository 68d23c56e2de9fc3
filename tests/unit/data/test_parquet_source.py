"""sprat.data.parquet: Hugging Face layout, class names of the metadata, pairs of files."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sprat.data import open_collection
from sprat.errors import BadInput
from sprat.image import ImageSpec

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

Encode = Callable[..., bytes]
Picture = Callable[..., Image.Image]
Write = Callable[..., Path]
NAMES = ["zebra", "ape", "gnu"]


@pytest.fixture
def write(tmp_path: Path, picture: Picture, encode: Encode) -> Write:
    """write(name, count): a parquet file; other arguments change one thing about it."""

    def make(
        name: str,
        count: int = 30,
        *,
        start: int = 0,
        names: list[str] | None = NAMES,
        labels: list[Any] | None = None,
        column: str = "image",
        cells: list[Any] | None = None,
        rows_a_group: int = 7,
    ) -> Path:
        cells = cells or [
            {"bytes": encode(picture(start + index)), "path": f"{start + index:03d}.png"} for index in range(count)
        ]
        table = pa.table({column: cells, "label": labels or [index % 3 for index in range(count)]})
        if names is not None:
            features = {"label": {"names": names, "_type": "ClassLabel"}}
            table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, row_group_size=rows_a_group)
        return path

    return make


@pytest.mark.parametrize("column", ["image", "img"])
def test_one_file(column: str, write: Write, picture: Picture) -> None:
    found = open_collection(write("animals.parquet", column=column))
    assert found.classes == tuple(NAMES)  # the order of the metadata, not of the alphabet
    assert (found.name, found.given_split) == ("animals", False)
    assert [len(found.keys(split)) for split in ("train", "val", "test")] == [24, 3, 3]
    for split in ("train", "val", "test"):
        for key, label, image in zip(found.keys(split), found.labels(split), found.raw(split), strict=True):
            number = int(key.removesuffix(".png"))
            assert label == number % 3
            assert (image == np.asarray(picture(number))).all()


def test_large_images_are_read_from_their_row_group(write: Write, picture: Picture, encode: Encode) -> None:
    cells = [{"bytes": encode(picture(n, 70, 66)), "path": None} for n in range(30)]
    found = open_collection(write("big.parquet", cells=cells, rows_a_group=4))
    images = found.raw("train")
    for place in (0, len(images) - 1, 5, 0):
        number = int(found.keys("train")[place].removeprefix("big/"))
        assert (images[place] == np.asarray(picture(number, 70, 66))).all()


def test_loading_reads_each_row_group_once_a_split(
    write: Write, picture: Picture, encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [{"bytes": encode(picture(n, 70, 66)), "path": f"{n * 7 % 40:02d}"} for n in range(40)]
    found = open_collection(write("big.parquet", 40, cells=cells, rows_a_group=4))
    reads: list[int] = []
    read = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile, "read_row_group", lambda file, group, **rest: reads.append(group) or read(file, group, **rest)
    )
    found.load(ImageSpec(3, 8, 8))
    assert len(reads) <= 3 * 10
    assert all(reads.count(group) <= 3 for group in range(10))


def test_bare_bytes_without_metadata(write: Write, picture: Picture, encode: Encode) -> None:
    cells = [encode(picture(n)) for n in range(30)]
    labels = [(10, 9, 2)[n % 3] for n in range(30)]
    found = open_collection(write("bare.parquet", cells=cells, labels=labels, names=None))
    assert found.classes == ("2", "9", "10")
    text = write("text.parquet", cells=cells, labels=[NAMES[n % 3] for n in range(30)], names=None)
    assert open_collection(text).classes == ("ape", "gnu", "zebra")


@pytest.mark.parametrize("suffix", ["test", "val", "validation"])
@pytest.mark.parametrize("mark", ["-", "_"])
def test_the_train_file_brings_its_sibling(suffix: str, mark: str, write: Write) -> None:
    train = write(f"x{mark}train.parquet")
    write(f"x{mark}{suffix}.parquet", 6, start=100)
    write("y-test.parquet", 9, start=200)
    found = open_collection(train)
    split = "test" if suffix == "test" else "val"
    assert found.given_split
    assert found.name == "x"
    assert found.keys(split) == tuple(f"{split}/{n}.png" for n in range(100, 106))
    assert {len(found.keys(name)) for name in ("val", "test") if name != split} == {3}


def test_pairs_by_folder_and_by_comma_keep_their_split(write: Write, tmp_path: Path) -> None:
    train, test = write("d/x-train.parquet"), write("d/x-test.parquet", 6, start=100)
    single = open_collection(train)
    assert open_collection(tmp_path / "d").fingerprint == single.fingerprint
    assert open_collection(f"{train},{test}").fingerprint == single.fingerprint
    assert open_collection(f"{test}, {train}").fingerprint == single.fingerprint
    assert len(single.keys("test")) == 6


def test_hub_folders_with_shards(write: Write, tmp_path: Path) -> None:
    write("hub/data/train-00000-of-00002.parquet", 15)
    write("hub/data/train-00001-of-00002.parquet", 15, start=15)
    write("hub/data/test-00000-of-00001.parquet", 6, start=100)
    found = open_collection(tmp_path / "hub")
    assert [len(found.keys(split)) for split in ("train", "val", "test")] == [27, 3, 6]
    one = open_collection(tmp_path / "hub/data/train-00000-of-00002.parquet")
    assert one.fingerprint == found.fingerprint


def test_split_folders_of_parquet(write: Write, tmp_path: Path) -> None:
    write("conv/train/0000.parquet")
    write("conv/validation/0000.parquet", 6, start=50)
    found = open_collection(tmp_path / "conv")
    assert [len(found.keys(split)) for split in ("train", "val", "test")] == [27, 6, 3]


def test_several_data_sets_in_one_folder_are_an_error(write: Write, tmp_path: Path) -> None:
    write("d/x-train.parquet")
    write("d/y-train.parquet")
    with pytest.raises(BadInput, match=r"several data sets \(x, y\)"):
        open_collection(tmp_path / "d")


def test_class_lists_in_another_order_are_matched_by_name(write: Write) -> None:
    train = write("x-train.parquet")
    write("x-test.parquet", 6, start=100, names=["gnu", "zebra", "ape"])
    assert open_collection(train).labels("test").tolist() == [2, 0, 1, 2, 0, 1]


def test_a_test_file_that_lacks_a_class_shifts_nothing(write: Write) -> None:
    train = write("x-train.parquet")
    write("x-test.parquet", 4, start=100, names=["zebra", "gnu"], labels=[0, 1, 1, 0])
    assert open_collection(train).labels("test").tolist() == [0, 2, 2, 0]


@pytest.mark.parametrize("change", [{"names": ["zebra", "ape", "lion"]}, {"labels": [0, 1, 2, 3, 0, 1]}])
def test_an_unknown_class_in_test_is_an_error(change: dict[str, Any], write: Write) -> None:
    train = write("x-train.parquet")
    write("x-test.parquet", 6, start=100, **change)
    with pytest.raises(BadInput, match="is no class of the train file"):
        open_collection(train)


def test_broken_cells_and_missing_labels_are_listed(write: Write, picture: Picture, encode: Encode) -> None:
    cells: list[Any] = [{"bytes": encode(picture(n)), "path": f"{n:02d}"} for n in range(30)]
    cells[3] = {"bytes": b"broken", "path": "03"}
    cells[4] = {"bytes": None, "path": "gone.png"}
    cells[5] = {"bytes": None, "path": None}
    labels: list[Any] = [n % 3 for n in range(30)]
    labels[7], labels[8] = -1, None
    found = open_collection(write("x.parquet", cells=cells, labels=labels))
    reasons = {entry.key: entry.reason for entry in found.skipped}
    assert reasons.keys() == {"03", "gone.png", "x/000005", "07", "08"}
    assert reasons["gone.png"] == "no such file"
    assert reasons["x/000005"] == "the row holds no image"
    assert reasons["07"] == reasons["08"] == "the row has no label"


def test_repeated_paths_and_class_names_are_told_apart(write: Write, picture: Picture, encode: Encode) -> None:
    cells = [{"bytes": encode(picture(n)), "path": "image.png"} for n in range(30)]
    found = open_collection(write("x.parquet", cells=cells, names=["crane", "kite", "crane"]))
    assert found.classes == ("crane", "kite", "crane (2)")
    assert len({key for key, _, _ in found.split_rows()}) == 30


def test_what_is_no_image_table_is_said(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"], "label": [0]}), tmp_path / "a.parquet")
    with pytest.raises(BadInput, match="text, label; it needs one called image or img"):
        open_collection(tmp_path / "a.parquet")
    pq.write_table(pa.table({"image": [1], "label": [0]}), tmp_path / "b.parquet")
    with pytest.raises(BadInput, match="must hold bytes"):
        open_collection(tmp_path / "b.parquet")
    (tmp_path / "c.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(BadInput, match="cannot be read"):
        open_collection(tmp_path / "c.parquet")


def test_missing_pyarrow_names_the_extra(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("x.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BadInput, match=r"sprat\[parquet\]"):
        open_collection(path)


def test_real_photos(shared: Path) -> None:
    found = open_collection(shared / "data" / "sign-digits-train.parquet")
    assert found.classes == tuple("0123456789")
    assert found.sizes["median"] == (100, 100)
    assert (found.channels, found.skipped, found.given_split) == (3, (), False)
    assert sum(len(found.keys(split)) for split in ("train", "val", "test")) == 1653
    data = found.load(ImageSpec(3, 32, 32))
    assert all(key.startswith(f"{label}/") for key, label in zip(data.test.keys, data.test.labels, strict=True))
