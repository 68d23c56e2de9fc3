"""folder: one sub-folder a class, with or without train/val/test folders above them."""

import os
from collections.abc import Iterator
from pathlib import Path

from sprat.data.source import File, Item, Listing, Skipped, dataset, readable, split_of
from sprat.errors import BadInput


@dataset(
    "folder",
    understands="a folder with one sub-folder of images a class, in train/val/test folders or not",
    recognises=lambda source: Path(source).is_dir(),
    order=9,
)
def read_folder(source: str) -> Listing:
    """Every visible file below a class's folder; classes are the first level's folders, or the second's below splits.

    Raises:
        BadInput: no sub-folders, no train split, or two folders for one split.
    """
    root = Path(source)
    folders, loose = _visible(root)
    if not folders:
        raise BadInput(
            f"folder {source!r} has {len(loose)} files and no sub-folders; put the images of each class into a "
            "sub-folder named after it, or give a CSV file of path,label"
        )
    name = readable(root.resolve().name)
    if not _has_splits(folders):
        items = [item for folder in folders for item in _class_items(root, folder, None)]
        empty = [readable(folder.name) for folder in folders if not any(_files(folder))]
        return Listing(name, tuple(items), skipped=_outside(root, loose), warnings=_empty_notes(empty))
    found: dict[str, Path] = {}
    notes: list[str] = []
    items = []
    for folder in folders:
        split = split_of(folder.name)
        if split is None:
            notes.append(f"folder {readable(folder.name)!r} beside the splits is left out")
            continue
        if split in found:
            raise BadInput(
                f"folder {source!r} has both {found[split].name} and {folder.name} for one split; keep one of them"
            )
        found[split] = folder
        inner, astray = _visible(folder)
        loose += astray
        items += [item for inside in inner for item in _class_items(root, inside, split)]
        if split == "train":
            notes += _empty_notes([readable(inside.name) for inside in inner if not any(_files(inside))])
    if "train" not in found:
        raise BadInput(
            f"folder {source!r} has {' and '.join(p.name for p in found.values())} but no train folder; add one"
        )
    return Listing(name, tuple(items), skipped=_outside(root, loose), warnings=tuple(notes))


def _has_splits(folders: list[Path]) -> bool:
    """Whether these are splits rather than classes (a class may well be called "train")."""
    splits = [folder for folder in folders if split_of(folder.name)]
    nested = all(_visible(folder)[0] and not _visible(folder)[1] for folder in splits)
    words = {split_of(folder.name) for folder in splits}
    if len(splits) == len(folders):
        return any(_visible(folder)[0] for folder in splits)
    return nested and "train" in words and len(words) > 1


def _class_items(root: Path, folder: Path, split: str | None) -> Iterator[Item]:
    label = readable(folder.name)
    for path in _files(folder):
        yield Item(readable(path.relative_to(root).as_posix()), label, split, File(path))


def _files(folder: Path, above: frozenset[str] = frozenset()) -> Iterator[Path]:
    """All visible files below, sorted; a link back to a folder above is not followed."""
    real = os.path.realpath(folder)
    if real in above:
        return
    folders, files = _visible(folder)
    yield from files
    for inner in folders:
        yield from _files(inner, above | {real})


def _visible(folder: Path) -> tuple[list[Path], list[Path]]:
    """(sub-folders, files), each sorted, without hidden ones."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.name[0] != "." and path.name != "__MACOSX")
    except OSError as error:
        raise BadInput(f"folder {str(folder)!r} cannot be read ({error.strerror}); check its permissions") from None
    folders = [path for path in paths if path.is_dir()]
    return folders, [path for path in paths if not path.is_dir()]


def _outside(root: Path, files: list[Path]) -> tuple[Skipped, ...]:
    reason = "lies in no class's folder"
    return tuple(Skipped(readable(path.relative_to(root).as_posix()), reason) for path in files)


def _empty_notes(names: list[str]) -> tuple[str, ...]:
    return tuple(f"folder {name!r} holds no files and is no class" for name in names)
