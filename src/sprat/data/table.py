"""table: a CSV file or list of path,label and perhaps split."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from sprat.data.source import File, Item, Listing, Skipped, dataset, first_bytes, readable, split_of
from sprat.errors import BadInput

_PATH = ("path", "file", "filename", "file_name", "filepath", "image", "img", "image_path", "name")
_LABEL = ("label", "class", "class_name", "target", "category", "label_name")
_SPLIT = ("split", "subset", "set", "partition", "fold")
_MAX_BYTES = 500_000_000


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where path, label and split stand in a row; split is None where there is no such column."""

    path: int
    label: int
    split: int | None


def _recognises(source: str) -> bool:
    start = first_bytes(Path(source), 4096)
    return bool(start) and not re.search(rb"[\x00-\x08\x0e-\x1f\x7f]", start) and not start.startswith(b"%PDF")


@dataset(
    "table",
    understands="a CSV file or list of path,label and optionally split (paths relative to the file)",
    recognises=_recognises,
    order=8,
)
def read_table(source: str) -> Listing:
    """One image a row; with a header line, or the columns path, label[, split] in that order.

    Columns are separated by comma, tab, semicolon or space.

    Raises:
        BadInput: not UTF-8 text, no label column, an unknown or a missing split.
    """
    path = Path(source)
    if path.stat().st_size > _MAX_BYTES:
        raise BadInput(f"list {source!r} is longer than {_MAX_BYTES:,} bytes; give a smaller one")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"list {source!r} is not UTF-8 text; save it as UTF-8") from None
    rows = _rows(text)
    if not rows:
        raise BadInput(f"list {source!r} has no rows; write one line path,label an image")
    columns = _header(rows[0][1], path.parent)
    if columns is None:
        columns = _plain(rows, source)
    else:
        rows = rows[1:]
    items: list[Item] = []
    skipped: list[Skipped] = []
    for line, cells in rows:
        key = readable(cells[columns.path].strip()) if columns.path < len(cells) else ""
        label = readable(cells[columns.label].strip()) if columns.label < len(cells) else ""
        if not key or not label:
            skipped.append(Skipped(key or f"line {line}", f"line {line} has no {'label' if key else 'path'}"))
            continue
        split = None
        if columns.split is not None:
            word = cells[columns.split] if columns.split < len(cells) else ""
            split = split_of(word)
            if split is None:
                raise BadInput(f"list {source!r}, line {line}: split {word!r} is not known; write train, val or test")
        items.append(Item(key, label, split, File(path.parent / cells[columns.path].strip())))
    return Listing(readable(path.stem), tuple(items), skipped=tuple(skipped))


def _rows(text: str) -> list[tuple[int, list[str]]]:
    """(line number, cells) of every line that is not blank."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = next((mark for mark in (",", "\t", ";") if mark in first), None)
    if separator is None:
        return _spaced(text)
    reader = csv.reader(text.splitlines(), delimiter=separator, skipinitialspace=True)
    try:
        return [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise BadInput(f"line {reader.line_num} of the list is not CSV ({error}); correct it") from None


def _spaced(text: str) -> list[tuple[int, list[str]]]:
    """Rows of a list separated by spaces; the path may hold spaces itself, label and split may not."""
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    words = [line.rsplit(None, 2) for _, line in lines]
    three = all(len(cells) == 3 and (split_of(cells[2]) or index == 0) for index, cells in enumerate(words))
    return [(number, line.rsplit(None, 2 if three else 1)) for number, line in lines]


def _header(cells: list[str], folder: Path) -> _Columns | None:
    """The columns a header line names; None where the first row is an image already."""
    names = [cell.strip().lower() for cell in cells]
    paths = [names.index(name) for name in _PATH if name in names]
    labels = [names.index(name) for name in _LABEL if name in names]
    splits = [names.index(name) for name in _SPLIT if name in names]
    if not (paths or labels) or File(folder / cells[0].strip()).path.is_file():
        return None
    if not (paths and labels):
        lacking = "label" if paths else "path"
        raise BadInput(
            f"the list's header {','.join(cells)} names no {lacking}; name its columns path, label and perhaps split"
        )
    return _Columns(paths[0], labels[0], splits[0] if splits else None)


def _plain(rows: list[tuple[int, list[str]]], source: str) -> _Columns:
    width = max(len(cells) for _, cells in rows)
    if width < 2 or width > 3:
        raise BadInput(
            f"list {source!r} has rows of {width} columns and no header; write path,label or path,label,split, "
            "or begin with a header line that names the columns"
        )
    return _Columns(0, 1, 2 if width == 3 else None)
