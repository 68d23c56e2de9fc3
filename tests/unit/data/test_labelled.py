"""Images as a source lists them, without splits; and COCO boxes as a question of presence."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sprat.data import open_collection, open_labelled
from sprat.errors import BadInput


def picture(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((20, 30, 3), value, np.uint8)).save(path)


def coco(
    folder: Path, name: str = "instances.json", boxes: dict[int, list[tuple[int, list[float]]]] | None = None
) -> Path:
    """Three images of 30x20 with boxes (category, [x, y, w, h]); the third has a person of less than 0.5 %."""
    boxes = boxes or {1: [(7, [0, 0, 10, 10])], 2: [(3, [0, 0, 10, 10])], 3: [(7, [0, 0, 1.0, 2.9])]}
    for number in boxes:
        picture(folder / "images" / f"{number}.png", 5 * number)
    values = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 30, "height": 20} for n in boxes],
        "categories": [{"id": 7, "name": "person"}, {"id": 3, "name": "cat"}],
        "annotations": [
            {"image_id": n, "category_id": category, "bbox": box}
            for n, found in boxes.items()
            for category, box in found
        ],
    }
    (folder / name).write_text(json.dumps(values))
    return folder


def test_one_image_a_class_is_enough(tmp_path: Path):
    for index, name in enumerate(["b", "a", "10", "9"]):
        picture(tmp_path / name / "one.png", index)
    labelled = open_labelled(tmp_path)
    assert labelled.classes == ("10", "9", "a", "b")
    shown = {
        labelled.classes[label]: int(image[0, 0, 0])
        for images, labels, _ in labelled.chunks(3)
        for image, label in zip(images, labels, strict=True)
    }
    assert shown == {"b": 0, "a": 1, "10": 2, "9": 3}


def test_what_cannot_be_read_is_told_and_left_out(tmp_path: Path):
    picture(tmp_path / "a" / "one.png", 1)
    (tmp_path / "a" / "two.png").write_bytes(b"no image")
    ((images, labels, skipped),) = open_labelled(tmp_path).chunks(10)
    assert len(images) == len(labels) == 1
    assert [entry.key for entry in skipped] == ["a/two.png"]


def test_imagenet_samples_have_the_classes_of_imagenet(shared: Path):
    from sprat.weights.imagenet import imagenet_classes

    labelled = open_labelled(shared / "data" / "imagenet-samples.parquet")
    assert len(labelled.items) == 500
    assert labelled.classes == imagenet_classes()


def test_a_box_of_half_a_percent_makes_a_picture_count(tmp_path: Path):
    labelled = open_labelled(f"{coco(tmp_path)}:person")
    assert labelled.classes == ("no person", "person")
    assert {item.key: int(label) for item, label in zip(labelled.items, labelled.labels, strict=True)} == {
        "1.png": 1,
        "2.png": 0,
        "3.png": 0,
    }


def test_train_and_val_files_are_splits(tmp_path: Path):
    many = {n: [(7 if n % 2 else 3, [0, 0, 10, 10])] for n in range(1, 31)}
    coco(tmp_path, "train.json", many)
    coco(tmp_path, "val.json", {n: [(7 if n % 2 else 3, [0, 0, 10, 10])] for n in range(31, 41)})
    collection = open_collection(f"{tmp_path}:cat")
    assert collection.given_split
    assert len(collection.labels("train")) + len(collection.labels("val")) + len(collection.labels("test")) == 40


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda values: values.pop("annotations"), "not a COCO file"),
        (lambda values: values.update(annotations=[{"image_id": 1}]), "not a COCO file"),
        (lambda values: values["images"][0].update(file_name="../secret.png"), "outside of its folder"),
        (lambda values: values["images"][0].update(file_name="/etc/passwd"), "outside of its folder"),
        (lambda values: values.update(categories=[]), "no category"),
        (lambda values: values["annotations"][0].update(bbox=[0, 0, "x", 1]), "not a COCO file"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, change, words: str):
    coco(tmp_path)
    values = json.loads((tmp_path / "instances.json").read_text())
    change(values)
    (tmp_path / "instances.json").write_text(json.dumps(values))
    with pytest.raises(BadInput, match=words):
        open_labelled(f"{tmp_path}:person")


def test_an_unknown_category_names_those_there_are(tmp_path: Path):
    with pytest.raises(BadInput, match=r"no category 'dog'; it has cat, person"):
        open_labelled(f"{coco(tmp_path)}:dog")


def test_real_pictures_with_and_without_a_person(shared: Path):
    labelled = open_labelled(f"{shared / 'data' / 'coco128'}:person")
    assert len(labelled.items) == 128
    assert 40 < labelled.labels.sum() < 80
