"""parquet: images as Hugging Face data sets have them: `image` or `img` = {bytes, path}, `label`, names in metadata.

Source: huggingface.co/docs/datasets, "Image feature" and "ClassLabel"; the features are JSON under the schema's
metadata key "huggingface".
"""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprat.data.decode import decode
from sprat.data.shard import Shard, files_inside, given_files, siblings
from sprat.data.source import File, Item, Listing, Skipped, dataset, first_bytes, readable
from sprat.errors import BadInput

_IMAGE = ("image", "img")
_LABEL = ("label", "fine_label", "labels")


class _Groups:
    """The image column of one file, read a row group at a time; the last two groups are kept. Safe with threads."""

    def __init__(self, path: Path, column: str) -> None:
        self._path = path
        self._column = column
        self._kept: dict[int, Any] = {}
        self._lock = threading.Lock()

    def cell(self, group: int, row: int) -> bytes | None:
        """The bytes of one image; None where the row has none."""
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        with self._lock:
            if group not in self._kept:
                try:
                    with pq.ParquetFile(self._path) as file:
                        column = file.read_row_group(group, columns=[self._column], use_threads=False).column(0)
                except (OSError, pa.ArrowException) as error:
                    raise BadInput(f"row group {group} cannot be read ({_short(error)})") from None
                if pa.types.is_struct(column.type):
                    column = pc.struct_field(column, "bytes")
                if len(self._kept) > 1:
                    self._kept.pop(next(iter(self._kept)))
                self._kept[group] = column
            content: bytes | None = self._kept[group][row].as_py()
        return content


@dataclass(frozen=True, slots=True)
class Cell:
    """An image in a row of a parquet file; `path` is where it lies where the row holds only its path."""

    groups: _Groups
    group: int
    row: int
    path: Path | None

    def pixels(self) -> NDArray[np.uint8]:
        """Decoded uint8 (H, W, 1 or 3)."""
        content = self.groups.cell(self.group, self.row)
        if content is not None:
            return decode(content)
        if self.path is None:
            raise BadInput("the row holds no image")
        return File(self.path).pixels()


def _recognises(source: str) -> bool:
    paths = given_files(source)
    if len(paths) == 1 and paths[0].is_dir():
        return bool(files_inside(paths[0]))
    return bool(paths) and any(first_bytes(path, 4) == b"PAR1" for path in paths)


@dataset(
    "parquet",
    understands="Hugging Face parquet with `image` and `label` (file, folder, or NAME-train.parquet beside NAME-test)",
    recognises=_recognises,
    order=1,
)
def read_parquet(source: str) -> Listing:
    """One image a row; classes in the order of the metadata, or the labels sorted where it has none.

    A file NAME-train.parquet brings NAME-val and NAME-test from the same folder with it; several files may also be
    given with commas between them. Splits are read off the files' names.

    Raises:
        BadInput: pyarrow is missing, a file is damaged or lacks a column, files do not belong together, a label has no
            class.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise BadInput(f"data {source!r} is parquet, which needs pyarrow; pip install 'sprat[parquet]'") from None
    paths = given_files(source)
    if len(paths) == 1:
        paths = files_inside(paths[0]) if paths[0].is_dir() else [paths[0], *siblings(paths[0])]
    parts = [Shard.of(path) for path in paths]
    splits = {part.split for part in parts}
    if len({path.resolve() for path in paths}) < len(paths):
        raise BadInput(f"data {source!r} names a file twice; give each file once")
    if splits != {None} and "," not in source and len({part.name for part in parts}) > 1:
        names = ", ".join(sorted({part.name or "(no name)" for part in parts}))
        raise BadInput(f"folder {source!r} holds several data sets ({names}); give the train file of one of them")
    if None in splits and len(splits) > 1:
        raise BadInput(
            f"data {source!r}: some files are named after a split and some are not; name all of them, or none"
        )
    if splits != {None} and len(parts) > 1 and "train" not in splits:
        raise BadInput(f"data {source!r} has no train file, only {', '.join(path.name for path in paths)}; add it")
    if len(parts) == 1:
        parts = [Shard(parts[0].path, parts[0].name, None)]
    return _read(sorted(parts, key=lambda part: (part.split or "train") != "train"))


def _read(parts: list[Shard]) -> Listing:
    classes: tuple[str, ...] | None = None
    items: list[Item] = []
    skipped: list[Skipped] = []
    for position, part in enumerate(parts):
        table = _Table.open(part)
        if position == 0:
            classes = table.classes
        place = table.places(classes)
        prefix = f"{part.split}/" if part.split else ""
        for key, label, cell in table.rows():
            if label is None or label == -1:
                skipped.append(Skipped(prefix + key, "the row has no label"))
                continue
            if place is not None and (not isinstance(label, int) or label not in place):
                raise BadInput(
                    f"{part.path.name}: label {label!r} of {key!r} is no class of the train file's {len(place)}"
                )
            items.append(Item(prefix + key, str(label) if place is None else place[int(label)], part.split, cell))
    name = parts[0].name or parts[0].path.resolve().parent.name
    return Listing(readable(name), tuple(items), classes=classes, skipped=tuple(skipped))


@dataclass(frozen=True, slots=True)
class _Table:
    """One parquet file: its image column, labels, paths and the class names of its metadata."""

    path: Path
    image: str
    classes: tuple[str, ...] | None
    labels: list[Any]
    paths: list[str | None]
    group_sizes: tuple[int, ...]

    @classmethod
    def open(cls, part: Shard) -> "_Table":
        """Read all but the images."""
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        name = part.path.name
        try:
            with pq.ParquetFile(part.path) as file:
                schema = file.schema_arrow
                image = _column(name, schema.names, _IMAGE)
                label = _column(name, schema.names, _LABEL)
                kind = schema.field(image).type
                struct = pa.types.is_struct(kind)
                if not struct and not pa.types.is_binary(kind) and not pa.types.is_large_binary(kind):
                    raise BadInput(f"{name}: column {image!r} is {kind}, not encoded images; it must hold bytes")
                if struct and kind.get_field_index("bytes") < 0:
                    raise BadInput(f"{name}: column {image!r} has no field `bytes`")
                with_path = struct and kind.get_field_index("path") >= 0
                table = file.read(columns=[label, f"{image}.path"] if with_path else [label], use_threads=False)
                labels = table.column(label).to_pylist()
                paths = pc.struct_field(table.column(image), "path").to_pylist() if with_path else [None] * len(labels)
                meta = file.metadata
                sizes = tuple(meta.row_group(index).num_rows for index in range(meta.num_row_groups))
                classes = _class_names((schema.metadata or {}).get(b"huggingface"), label)
        except (OSError, pa.ArrowException) as error:
            raise BadInput(
                f"parquet file {str(part.path)!r} cannot be read ({_short(error)}); fetch it again"
            ) from None
        if not all(value is None or type(value) in (int, str) for value in labels):
            raise BadInput(f"{name}: column {label!r} holds neither whole numbers nor names")
        return cls(part.path, image, classes, labels, paths, sizes)

    def places(self, classes: tuple[str, ...] | None) -> dict[int, int] | None:
        """This file's label -> index into `classes`, by name where files' lists differ; None without class names."""
        if classes is None:
            return None
        if self.classes is None or self.classes == classes:
            return {index: index for index in range(len(classes))}
        if len(set(classes)) < len(classes):
            raise BadInput(
                f"{self.path.name}: its class names differ from those of the train file, which are not unique"
            )
        known = {name: index for index, name in enumerate(classes)}
        return {index: known[name] for index, name in enumerate(self.classes) if name in known}

    def rows(self) -> Iterator[tuple[str, int | str | None, Cell]]:
        """(key, label, image) of every row."""
        groups = _Groups(self.path, self.image)
        row = 0
        for group, size in enumerate(self.group_sizes):
            for inside in range(size):
                path = self.paths[row]
                key = readable(path) if path else f"{self.path.stem}/{row:06d}"
                yield key, self.labels[row], Cell(groups, group, inside, self.path.parent / path if path else None)
                row += 1


def _column(file: str, names: list[str], wanted: tuple[str, ...]) -> str:
    found = next((name for name in wanted if name in names), None)
    if found is None:
        raise BadInput(f"{file} has the columns {', '.join(names)}; it needs one called {' or '.join(wanted)}")
    return found


def _class_names(metadata: bytes | None, label: str) -> tuple[str, ...] | None:
    try:
        names = json.loads(metadata or b"")["info"]["features"][label]["names"]
    except (ValueError, KeyError, TypeError):
        return None
    return tuple(str(name) for name in names) if isinstance(names, list) and names else None


def _short(error: BaseException) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
