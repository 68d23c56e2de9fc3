"""sprat.data.collection, .open, .cache, .resize: what a Collection tells and how it is loaded."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sprat.data import Collection, Dataset, decode, open_collection
from sprat.data.source import SOURCES, find_source
from sprat.errors import BadInput, SpratError, UnknownName
from sprat.image import ImageSpec

Folder = Callable[..., Path]
Picture = Callable[..., Image.Image]
SPLITS = ("train", "val", "test")


def _equal(first: Dataset, second: Dataset) -> bool:
    return all(
        (getattr(first, split).images == getattr(second, split).images).all()
        and getattr(first, split).keys == getattr(second, split).keys
        for split in SPLITS
    )


@pytest.fixture
def photos(tmp_path: Path, picture: Picture) -> Path:
    """40 large PNG files of different sizes, two classes."""
    for index in range(40):
        path = tmp_path / "photos" / "ab"[index % 2] / f"{index:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(index, 90 + index, 80).save(path)
    return tmp_path / "photos"


def test_sizes_and_raw_images_are_the_originals(photos: Path, picture: Picture) -> None:
    found = open_collection(photos)
    assert found.sizes == {"min": (80, 90), "median": (80, 109), "max": (80, 129)}
    for split in SPLITS:
        assert len(found.raw(split)) == len(found.keys(split)) == len(found.labels(split))
        for key, image in zip(found.keys(split), found.raw(split), strict=True):
            number = int(key[2:4])
            assert (image == np.asarray(picture(number, 90 + number, 80))).all()
    assert found.labels("train").dtype == np.int64
    with pytest.raises(BadInput, match="no split"):
        found.keys("dev")


def test_load_resizes_as_pillow_does(photos: Path) -> None:
    found = open_collection(photos)
    data = found.load(ImageSpec(3, 24, 40))
    for split in SPLITS:
        for small, image in zip(getattr(data, split).images, found.raw(split), strict=True):
            wanted = Image.fromarray(image).resize((40, 24), Image.Resampling.BILINEAR)
            assert (small == np.asarray(wanted)).all()
    assert data.image == ImageSpec(3, 24, 40)
    assert (data.train.labels == found.labels("train")).all()


def test_resize_is_torchs_antialiased_bilinear_up_to_rounding(photos: Path) -> None:
    torch = pytest.importorskip("torch")
    found = open_collection(photos)
    data = found.load(ImageSpec(3, 24, 40))
    for small, image in zip(data.val.images, found.raw("val"), strict=True):
        x = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None]
        exact = torch.nn.functional.interpolate(x, (24, 40), mode="bilinear", antialias=True, align_corners=False)
        assert np.abs(exact[0].permute(1, 2, 0).numpy() - small).max() < 1.01


def test_images_that_fit_are_unchanged(folder: Folder) -> None:
    found = open_collection(folder({"a": 10, "b": 10}))
    data = found.load(ImageSpec(3, 10, 12))
    assert all((small == image).all() for small, image in zip(data.train.images, found.raw("train"), strict=True))


def test_grey_collections_have_one_channel_and_mixed_ones_three(folder: Folder) -> None:
    root = folder({"a": 10, "b": 10})
    for path in root.rglob("*.png"):
        Image.open(path).convert("L").save(path)
    grey = open_collection(root)
    assert grey.channels == 1
    assert grey.raw("train")[0].shape == (10, 12, 1)
    repeated = grey.load(ImageSpec(3, 10, 12)).train.images
    assert (repeated == grey.load(ImageSpec(1, 10, 12)).train.images).all()
    Image.new("RGB", (12, 10), "red").save(root / "a" / "red.png")
    mixed = open_collection(root)
    assert mixed.channels == 3
    assert {image.shape for split in SPLITS for image in mixed.raw(split)} == {(10, 12, 3)}
    assert mixed.load(ImageSpec(1, 10, 12)).train.images.shape[-1] == 1


def test_a_second_load_reads_the_cache_and_no_original(photos: Path, tmp_path: Path) -> None:
    found = open_collection(photos)
    first = found.load(ImageSpec(3, 16, 16), tmp_path / "cache")
    assert _equal(first, found.load(ImageSpec(3, 16, 16)))
    shutil.rmtree(photos)
    assert _equal(first, found.load(ImageSpec(3, 16, 16), tmp_path / "cache"))
    with pytest.raises(BadInput, match="open the data again"):
        found.load(ImageSpec(3, 17, 17), tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 3, "a failed load leaves nothing behind"


def test_the_cache_is_mapped_and_changes_stay_in_memory(photos: Path, tmp_path: Path) -> None:
    found = open_collection(photos)
    data = found.load(ImageSpec(3, 16, 16), tmp_path / "cache")
    assert isinstance(data.train.images, np.memmap)
    data.train.images[:] = 0
    assert found.load(ImageSpec(3, 16, 16), tmp_path / "cache").train.images.any()


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_cache_is_made_again(damage: bytes | None, photos: Path, tmp_path: Path) -> None:
    found = open_collection(photos)
    first = found.load(ImageSpec(3, 16, 16), tmp_path / "cache")
    for path in (tmp_path / "cache").iterdir():
        path.write_bytes(path.read_bytes()[:-100] if damage is None else damage)
    assert _equal(found.load(ImageSpec(3, 16, 16), tmp_path / "cache"), found.load(ImageSpec(3, 16, 16)))
    assert len(first.train) == 32


def test_other_content_has_another_cache(photos: Path, tmp_path: Path, picture: Picture) -> None:
    first = open_collection(photos)
    first.load(ImageSpec(3, 16, 16), tmp_path / "cache")
    picture(99).save(photos / "a" / "00.png")
    second = open_collection(photos)
    assert second.fingerprint != first.fingerprint
    assert _equal(second.load(ImageSpec(3, 16, 16), tmp_path / "cache"), second.load(ImageSpec(3, 16, 16)))


def test_small_images_are_decoded_once(folder: Folder) -> None:
    root = folder({"a": 10, "b": 10})
    found = open_collection(root)
    shutil.rmtree(root)
    assert found.load(ImageSpec(3, 10, 12)).train.images.any()
    assert found.raw("test")[0].any()


def test_small_images_of_several_sizes_are_read_again(folder: Folder, picture: Picture) -> None:
    root = folder({"a": 10, "b": 10})
    picture(77, 20, 20).save(root / "a" / "other.png")
    found = open_collection(root)
    assert found.load(ImageSpec(3, 8, 8)).train.images.any()
    shutil.rmtree(root)
    with pytest.raises(BadInput, match="was read before"):
        found.raw("train")[0]


def test_progress_counts_every_image_once(photos: Path) -> None:
    seen: list[tuple[int, int]] = []
    found = open_collection(photos, on_progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (40, 40)
    seen.clear()
    found.load(ImageSpec(3, 8, 8), on_progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (40, 40)
    assert seen == sorted(seen)


def _by_hash(found: Collection) -> dict[bytes, str]:
    return {image.tobytes(): split for split in SPLITS for image in found.raw(split)}


def test_the_split_follows_the_pixels_not_the_names(photos: Path, tmp_path: Path) -> None:
    found = open_collection(photos, seed=3)
    renamed = tmp_path / "renamed"
    for number, path in enumerate(sorted(photos.rglob("*.png"), reverse=True)):
        target = renamed / path.parent.name / f"x{number:03d}.bmp"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.open(path).save(target)
    other = open_collection(renamed, seed=3)
    assert _by_hash(other) == _by_hash(found)
    assert other.fingerprint != found.fingerprint
    assert _by_hash(open_collection(photos, seed=4)) != _by_hash(found)
    assert open_collection(photos, seed=3).fingerprint == found.fingerprint


def test_duplicates_across_given_splits_are_reported(folder: Folder) -> None:
    root = folder({"train/a": 8, "train/b": 8, "val/a": 2, "val/b": 2, "test/a": 2, "test/b": 2})
    shutil.copy(root / "train/a/003.png", root / "test/a/copy.png")
    Image.open(root / "train/b/001.png").save(root / "val/b/same.bmp")  # other bytes, equal pixels
    shutil.copy(root / "train/a/004.png", root / "train/a/twin.png")  # in one split: no matter
    found = open_collection(root)
    assert {(pair.first, pair.second) for pair in found.duplicates} == {
        ("train/a/003.png", "test/a/copy.png"),
        ("train/b/001.png", "val/b/same.bmp"),
    }
    assert "2 images are in more than one split with equal pixels" in found.warnings


def test_copies_are_kept_together_when_the_split_is_made(folder: Folder) -> None:
    root = folder({"a": 30, "b": 30})
    for path in sorted(root.rglob("*.png")):
        shutil.copy(path, path.with_name("copy-" + path.name))
    found = open_collection(root)
    assert found.duplicates == ()
    assert [len(found.keys(split)) for split in SPLITS] == [96, 12, 12]


def test_one_image_under_two_classes_is_noted(folder: Folder) -> None:
    root = folder({"a": 30, "b": 30})
    shutil.copy(root / "a/000.png", root / "b/odd.png")
    found = open_collection(root)
    assert found.duplicates == ()
    assert any("more than one class" in note and "a/000.png" in note and "b/odd.png" in note for note in found.warnings)


def test_rgb_and_grey_files_of_one_picture_are_duplicates(folder: Folder) -> None:
    root = folder({"train/a": 8, "train/b": 8, "test/a": 2, "test/b": 2})
    grey = Image.linear_gradient("L").resize((12, 10))
    grey.save(root / "train/a/grey.png")
    grey.convert("RGB").save(root / "test/a/rgb.png")
    assert [(pair.first, pair.second) for pair in open_collection(root).duplicates] == [
        ("train/a/grey.png", "test/a/rgb.png")
    ]


def test_to_dict_is_json_and_agrees(photos: Path) -> None:
    (photos / "a" / "note.txt").write_text("x")
    found = open_collection(photos)
    told = json.loads(json.dumps(found.to_dict()))
    assert told["counts"] == {"train": [16, 16], "val": [2, 2], "test": [2, 2]}
    assert told["classes"] == ["a", "b"]
    assert told["sizes"]["max"] == [80, 129]
    assert told["skipped"] == [{"key": "a/note.txt", "reason": "a text file, not an image"}]
    assert told["fingerprint"] == found.fingerprint
    assert len(found.split_rows()) == 40
    assert set(told) >= {"name", "source", "channels", "duplicates", "given_split", "warnings"}


def test_a_near_empty_class_trains_and_is_noted(folder: Folder) -> None:
    found = open_collection(folder({"rare": 2, "a": 20, "b": 20}))
    rare = found.classes.index("rare")
    assert (found.labels("train") == rare).sum() == 2
    assert any("rare" in note for note in found.warnings)


@pytest.mark.parametrize("source", ["digts", "Digits"])
def test_a_misspelt_name_is_corrected(source: str) -> None:
    with pytest.raises(UnknownName, match="did you mean digits"):
        open_collection(source)


@pytest.mark.parametrize(
    "source", ["/no/such/folder", "photos.tar", "", " ", "a.parquet,b.parquet", "x" * 5000 + ".csv", "a\0b"]
)
def test_nothing_there_is_a_clear_error(source: str) -> None:
    with pytest.raises(SpratError, match=r"understood are|no data is named|cannot be read"):
        open_collection(source)


def test_an_unknown_kind_names_what_is_understood(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(range(256)) * 20)
    with pytest.raises(BadInput) as caught:
        open_collection(tmp_path / "weights.bin")
    for word in ("digits", "folder", "CSV", "parquet", "CIFAR", "MNIST"):
        assert word in str(caught.value)


def test_a_folder_called_digits_is_given_as_a_path(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder({"a": 10, "b": 10}, tmp_path / "digits")
    monkeypatch.chdir(tmp_path)
    assert open_collection(Path("digits")).classes == ("a", "b")
    assert open_collection("./digits").classes == ("a", "b")


def test_kinds_are_found_in_the_folder_of_sources() -> None:
    assert list(SOURCES) == ["cifar", "coco", "digits", "folder", "mnist", "parquet", "table"]
    assert find_source("digits").name == "digits"


def test_decode_is_what_raw_returns(photos: Path) -> None:
    found = open_collection(photos)
    key = found.keys("test")[0]
    assert (found.raw("test")[0] == decode((photos / key).read_bytes())).all()
