"""sprat.data.folder: classes, splits, and the class map that must never shift."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sprat.data import open_collection
from sprat.errors import BadInput, SpratError

Folder = Callable[..., Path]


def test_one_folder_a_class(folder: Folder) -> None:
    root = folder({"b": 20, "a": 30})
    found = open_collection(root)
    assert found.classes == ("a", "b")
    assert found.name == "photos"
    assert not found.given_split
    assert [len(found.keys(split)) for split in ("train", "val", "test")] == [40, 5, 5]
    for split in ("train", "val", "test"):
        assert all(
            found.classes[label] == key[0] for key, label in zip(found.keys(split), found.labels(split), strict=True)
        )


def test_numbers_are_sorted_by_value_only_where_all_are_numbers(folder: Folder, tmp_path: Path) -> None:
    assert open_collection(folder({str(n): 3 for n in range(12)})).classes == tuple(str(n) for n in range(12))
    mixed = folder({"10": 5, "9": 5, "x": 5}, tmp_path / "mixed")
    assert open_collection(mixed).classes == ("10", "9", "x")


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Training", "valid", "testing"), ("train", "validation", "Test")]
)
def test_split_folders_under_any_usual_name(names: tuple[str, str, str], folder: Folder) -> None:
    train, val, test = names
    root = folder({f"{train}/a": 6, f"{train}/b": 6, f"{val}/a": 2, f"{val}/b": 1, f"{test}/a": 1, f"{test}/b": 2})
    found = open_collection(root)
    assert found.given_split
    assert [len(found.keys(split)) for split in ("train", "val", "test")] == [12, 3, 3]
    assert found.keys("val")[0] == f"{val}/a/000.png"


def test_a_val_folder_without_a_class_shifts_no_label(folder: Folder) -> None:
    root = folder({"train/a": 5, "train/b": 5, "train/c": 5, "val/a": 2, "val/c": 2, "test/b": 1, "test/c": 1})
    found = open_collection(root)
    assert found.classes == ("a", "b", "c")
    assert found.labels("val").tolist() == [0, 0, 2, 2]
    assert found.labels("test").tolist() == [1, 2]
    assert "no image to validate with of class 'b'" in found.warnings


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_class_only_in_val_or_test_is_an_error(split: str, folder: Folder) -> None:
    root = folder({"train/cat": 8, "train/dog": 8, f"{split}/cats": 2})
    with pytest.raises(BadInput, match=rf"'cats' \(is it 'cat'\?\) occurs in {split}"):
        open_collection(root)


def test_a_class_whose_train_images_are_all_unreadable_is_an_error_not_a_shift(folder: Folder) -> None:
    root = folder({"train/a": 8, "train/b": 2, "train/c": 8, "val/b": 2})
    for path in (root / "train/b").iterdir():
        path.write_bytes(b"broken")
    with pytest.raises(BadInput, match="'b' occurs in val"):
        open_collection(root)


def test_test_alone_is_given_and_val_is_made(folder: Folder) -> None:
    found = open_collection(folder({"train/a": 20, "train/b": 20, "test/a": 3, "test/b": 3}))
    assert [len(found.keys(split)) for split in ("train", "val", "test")] == [36, 4, 6]
    assert all(key.startswith("train/") for key in found.keys("val"))
    assert all(key.startswith("test/") for key in found.keys("test"))


def test_val_alone_is_given_and_test_is_made(folder: Folder) -> None:
    found = open_collection(folder({"train/a": 20, "train/b": 20, "val/a": 3, "val/b": 3}))
    assert [len(found.keys(split)) for split in ("train", "val", "test")] == [36, 6, 4]
    assert all(key.startswith("train/") for key in found.keys("test"))


def test_a_class_may_be_called_train(folder: Folder, tmp_path: Path) -> None:
    assert open_collection(folder({"train": 10, "plane": 10})).classes == ("plane", "train")
    assert open_collection(folder({"train": 10, "test": 10}, tmp_path / "two")).classes == ("test", "train")


def test_splits_without_train_are_an_error(folder: Folder) -> None:
    with pytest.raises(BadInput, match="no train folder"):
        open_collection(folder({"val/a": 9, "test/a": 9}))


def test_two_folders_for_one_split_are_an_error(folder: Folder) -> None:
    with pytest.raises(BadInput, match=r"both val and validation|both validation and val"):
        open_collection(folder({"train/a": 9, "val/a": 9, "validation/a": 9}))


def test_nested_files_belong_to_the_class_and_hidden_ones_to_none(folder: Folder) -> None:
    root = folder({"a": 6, "a/deep/er": 4, "b": 6, ".git": 3, "a/.thumbs": 2, "__MACOSX/a": 2})
    (root / "a" / ".DS_Store").write_bytes(b"x")
    found = open_collection(root)
    assert found.classes == ("a", "b")
    assert sum(len(found.keys(split)) for split in ("train", "val", "test")) == 16
    assert found.skipped == ()
    assert any(key == "a/deep/er/000.png" for key, _, _ in found.split_rows())


def test_every_unreadable_file_is_listed_with_its_reason_and_the_rest_is_used(folder: Folder) -> None:
    root = folder({"a": 8, "b": 8})
    whole = (root / "a/000.png").read_bytes()
    (root / "a/empty.jpg").write_bytes(b"")
    (root / "a/notes.jpg").write_text("not an image")
    (root / "b/cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "b/wrong.jpg").write_bytes(whole)  # a PNG with a JPEG's ending is read
    (root / "b/dangling.png").symlink_to(root / "nowhere.png")
    (root / "README.txt").write_text("about these photos")
    os.mkfifo(root / "b" / "pipe.png")
    found = open_collection(root)
    reasons = {entry.key: entry.reason for entry in found.skipped}
    assert reasons.keys() == {"a/empty.jpg", "a/notes.jpg", "b/cut.png", "b/dangling.png", "b/pipe.png", "README.txt"}
    assert "empty" in reasons["a/empty.jpg"]
    assert "text file" in reasons["a/notes.jpg"]
    assert "truncated" in reasons["b/cut.png"]
    assert "no such file" in reasons["b/dangling.png"]
    assert "regular" in reasons["b/pipe.png"]
    assert sum(len(found.keys(split)) for split in ("train", "val", "test")) == 17


def test_an_empty_class_folder_is_no_class(folder: Folder) -> None:
    root = folder({"a": 8, "b": 8})
    (root / "c").mkdir()
    found = open_collection(root)
    assert found.classes == ("a", "b")
    assert any("'c' holds no files" in note for note in found.warnings)


def test_a_class_of_broken_files_is_left_out_and_said_so(folder: Folder) -> None:
    root = folder({"a": 8, "b": 1, "c": 8})
    (root / "b/000.png").write_bytes(b"broken")
    found = open_collection(root)
    assert found.classes == ("a", "c")
    assert "class 'b' has no readable image and is left out" in found.warnings


def test_a_loop_of_links_ends(folder: Folder) -> None:
    root = folder({"a": 8, "b": 8})
    (root / "a" / "again").symlink_to(root / "a")
    assert sum(len(open_collection(root).keys(split)) for split in ("train", "val", "test")) == 16


def test_class_names_are_composed_unicode(folder: Folder) -> None:
    root = folder({"train/caf\u00e9": 8, "train/tea": 8, "val/cafe\u0301": 2, "val/tea": 2})
    assert open_collection(root).classes == ("caf\u00e9", "tea")


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"a": 4, "b": 4}, "too few images: 8"),
        ({"a": 20}, "one class only"),
        (dict.fromkeys("abcdef", 2), "too few images a class"),
    ],
)
def test_too_little_is_a_clear_error(counts: dict[str, int], message: str, folder: Folder) -> None:
    with pytest.raises(BadInput, match=message):
        open_collection(folder(counts))


def test_a_flat_folder_is_told_what_to_do(folder: Folder) -> None:
    with pytest.raises(SpratError, match="sub-folder named after it"):
        open_collection(folder({"": 12}))
