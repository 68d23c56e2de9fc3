"""shard: which parquet files belong together and which split each is, by their names."""

import re
from dataclasses import dataclass
from pathlib import Path

from sprat.data.source import split_of
from sprat.errors import BadInput

_PIECE = re.compile(r"-\d+-of-\d+$")
_END = re.compile(r"(?:(.*)[-_.])?(train|training|val|valid|validation|test|testing)", re.IGNORECASE)
_START = re.compile(r"(train|training|val|valid|validation|test|testing)[-_.](.*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Shard:
    """A file, the data set's name in its file name, and the split it is named after."""

    path: Path
    name: str
    split: str | None

    @classmethod
    def of(cls, path: Path) -> "Shard":
        """What a file's name says: NAME-train.parquet, train-00000-of-00002.parquet, train/0000.parquet."""
        stem = _PIECE.sub("", path.stem)
        if match := _END.fullmatch(stem):
            return cls(path, match[1] or "", split_of(match[2]))
        if match := _START.fullmatch(stem):
            return cls(path, match[2], split_of(match[1]))
        if split := split_of(path.parent.name):
            return cls(path, "", split)
        return cls(path, stem, None)


def given_files(source: str) -> list[Path]:
    """The file or folder of that name, or the files named with commas between them; empty where there are none.

    Raises:
        BadInput: some of the files are there and some are not.
    """
    if Path(source).exists() or "," not in source:
        return [Path(source)] if Path(source).exists() else []
    paths = [Path(part.strip()) for part in source.split(",") if part.strip()]
    missing = [str(path) for path in paths if not path.is_file()]
    if missing and len(missing) < len(paths):
        raise BadInput(f"data {source!r}: no such file: {', '.join(missing)}")
    return [] if missing else paths


def files_inside(folder: Path) -> list[Path]:
    """Parquet files in a folder, or in `data` or the split folders below it."""
    places = [
        folder,
        folder / "data",
        *(path for path in sorted(folder.iterdir()) if path.is_dir() and split_of(path.name)),
    ]
    for group in ([places[0]], [places[1]], places[2:]):
        found = [
            path for place in group if place.is_dir() for path in sorted(place.glob("*.parquet")) if path.name[0] != "."
        ]
        if found:
            return found
    return []


def siblings(path: Path) -> list[Path]:
    """The files that belong to a train file: same folder, same name but for the split (and the shard numbers)."""
    part = Shard.of(path)
    if part.split != "train" or _END.fullmatch(_PIECE.sub("", path.stem)) is None:
        return []
    others = [
        Shard.of(other) for other in sorted(path.parent.glob("*.parquet")) if other.name[0] != "." and other != path
    ]
    wanted = ("train", "val", "test") if _PIECE.search(path.stem) else ("val", "test")
    found = [other for other in others if other.name == part.name and other.split in wanted]
    if not _PIECE.search(path.stem):
        for split in ("val", "test"):
            same = [other.path.name for other in found if other.split == split]
            if len(same) > 1:
                raise BadInput(
                    f"data {str(path)!r} has {' and '.join(same)} beside it for one split; give the files with commas"
                )
    return [other.path for other in found]
