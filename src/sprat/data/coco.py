"""coco: is something in the picture? Images with boxes, as COCO keeps them, labelled by one category being present.

Source: cocodataset.org, "Data format"; the rule of Visual Wake Words (arXiv:1906.05721, section 3.1): a picture counts
where a box of the category takes at least 0.5 % of its area.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sprat.data.source import File, Item, Listing, dataset, readable
from sprat.errors import BadInput

LEAST_SHARE = 0.005  # of the image's area that a box must take
_MAX_BYTES = 2_000_000_000


def _parts(source: str) -> tuple[Path, str]:
    folder, _, category = source.rpartition(":")
    return Path(folder), category.strip()


def _recognises(source: str) -> bool:
    folder, category = _parts(source)
    return ":" in source and bool(category) and folder.is_dir() and bool(_files(folder))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.json") if path.is_file())


@dataset(
    "coco",
    understands="FOLDER:CATEGORY, a folder of images with COCO boxes, such as coco128:person (is one in the picture?)",
    recognises=_recognises,
    order=2,
)
def read_coco(source: str) -> Listing:
    """Two classes, "no CATEGORY" and CATEGORY; files train.json and val.json give the split.

    Raises:
        BadInput: a json that is not COCO's, an unknown category, an image outside of the folder.
    """
    folder, category = _parts(source)
    files = _files(folder)
    splits = {"train": "train", "val": "val", "test": "test"} if len(files) > 1 else {}
    items: list[Item] = []
    for path in files:
        split = splits.get(path.stem)
        if splits and split is None:
            raise BadInput(f"{path} is named after no split; call the files train.json, val.json and test.json")
        items += _items(path, folder, category, split)
    return Listing(readable(f"{folder.resolve().name}-{category}"), tuple(items), (f"no {category}", category))


def _items(path: Path, folder: Path, category: str, split: str | None) -> list[Item]:
    content = _read(path)
    try:
        numbers = {str(entry["name"]): entry["id"] for entry in content["categories"]}
        if category not in numbers:
            raise BadInput(f"{path} has no category {category!r}; it has {', '.join(sorted(numbers)[:12])}")
        area = {entry["id"]: int(entry["width"]) * int(entry["height"]) for entry in content["images"]}
        shown = {
            entry["image_id"]
            for entry in content["annotations"]
            if entry["category_id"] == numbers[category]
            and float(entry["bbox"][2]) * float(entry["bbox"][3]) >= LEAST_SHARE * area.get(entry["image_id"], 0)
        }
        named = [(entry["id"], str(entry["file_name"])) for entry in content["images"]]
    except (KeyError, TypeError, ValueError, IndexError, ArithmeticError) as error:
        raise BadInput(f"{path} is not a COCO file of boxes ({type(error).__name__}: {error})") from None
    places = [place for place in (folder / "images", folder) if place.is_dir()]
    items = []
    for number, name in named:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise BadInput(f"{path} names an image outside of its folder: {name!r}")
        place = next((place / name for place in places if (place / name).is_file()), places[0] / name)
        items.append(Item(readable(name), int(number in shown), split, File(place)))
    return items


def _read(path: Path) -> Mapping[str, Any]:
    if path.stat().st_size > _MAX_BYTES:
        raise BadInput(f"{path} is longer than {_MAX_BYTES:,} bytes")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path} is not JSON ({error})") from None
    if not isinstance(content, dict):
        raise BadInput(f"{path} is not a COCO file: it must be an object with images, annotations and categories")
    return content
