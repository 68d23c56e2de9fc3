"""Source: what can be opened as labelled images. One file a source; found because it lies in this folder."""

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sprat.data.decode import MAX_FILE_BYTES, decode
from sprat.errors import BadInput
from sprat.registry import Registry

SPLITS = ("train", "val", "test")

SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""What people call the three splits, in lower case."""


class Content(Protocol):
    """Where the pixels of one image come from."""

    def pixels(self) -> NDArray[np.uint8]:
        """Decoded uint8 (H, W, 1 or 3).

        Raises:
            BadInput: the reason why it cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class File:
    """An image file."""

    path: Path

    def pixels(self) -> NDArray[np.uint8]:
        """Decoded uint8 (H, W, 1 or 3); the file is read at every call."""
        try:
            if not self.path.is_file():
                raise BadInput("not a regular file" if self.path.exists() else "no such file")
            size = self.path.stat().st_size
            if size > MAX_FILE_BYTES:
                raise BadInput(f"{size:,} bytes long; the limit for one image is {MAX_FILE_BYTES:,}")
            content = self.path.read_bytes()
        except (OSError, ValueError) as error:
            raise BadInput(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None
        return decode(content)


@dataclass(frozen=True, slots=True)
class Pixels:
    """An image that is decoded already."""

    array: NDArray[np.uint8]

    def pixels(self) -> NDArray[np.uint8]:
        """The array itself, uint8 (H, W, 1 or 3)."""
        return self.array


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or row that is not used, and the reason."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Item:
    """One labelled image, not yet looked at.

    Args:
        key: its name within the source, such as "cat/0001.jpg".
        label: index into the listing's classes, or the class's name where the listing has none.
        split: "train", "val" or "test" where the source says so.
        content: where its pixels come from.
    """

    key: str
    label: int | str
    split: str | None
    content: Content


@dataclass(frozen=True, slots=True)
class Listing:
    """What a source holds, before any image is decoded.

    Args:
        name: short name of the data.
        items: all images, in the order in which they are read fastest.
        classes: class names in the source's own order; None where labels are names, to be sorted.
        skipped: what was seen to be of no use already.
        warnings: notes for the user.
    """

    name: str
    items: tuple[Item, ...]
    classes: tuple[str, ...] | None = None
    skipped: tuple[Skipped, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of source: in words, how to recognise it, how to list it."""

    name: str
    understands: str
    recognises: Callable[[str], bool]
    read: Callable[[str], Listing]
    order: int


SOURCES: Registry[Source] = Registry("data set", "sprat.data")


def dataset(
    name: str, *, understands: str, recognises: Callable[[str], bool], order: int = 0
) -> Callable[[Callable[[str], Listing]], Callable[[str], Listing]]:
    """Register the decorated function, source -> Listing.

    Args:
        name: of this kind of source.
        understands: what it reads, in words, for the message about an unknown source.
        recognises: whether a source (a name or a path) is of this kind, by its content.
        order: sources are asked in rising order and the first that recognises its kind reads it.
    """

    def register(read: Callable[[str], Listing]) -> Callable[[str], Listing]:
        SOURCES.add(name, Source(name, understands, recognises, read, order))
        return read

    return register


def find_source(source: str) -> Source:
    """The kind of a source.

    Raises:
        UnknownName: a bare word that is neither a data set's name nor a file or folder.
        BadInput: nothing there, or something of no known kind; the message names the known kinds.
    """
    if not source.strip():
        raise BadInput("no data is named; give a folder, a file, or `digits`")
    kinds = sorted((SOURCES.get(name) for name in SOURCES), key=lambda kind: (kind.order, kind.name))
    for kind in kinds:
        if kind.recognises(source):
            return kind
    known = "; ".join(kind.understands for kind in kinds)
    if Path(source).exists():
        raise BadInput(f"data {source!r} is of no known kind; understood are: {known}")
    if source.replace("_", "").replace("-", "").isalnum():
        SOURCES.get(source)
    raise BadInput(f"data {source!r}: no such file or folder; understood are: {known}")


def readable(name: str) -> str:
    """A file's or class's name as valid, composed Unicode: the same letters are equal, whichever system wrote them."""
    return unicodedata.normalize("NFC", name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def split_of(word: str) -> str | None:
    """ "train", "val" or "test" for a word people use for it, else None."""
    return SPLIT_WORDS.get(word.strip().lower())


def first_bytes(path: Path, count: int) -> bytes:
    """The beginning of a regular file; empty where there is none to read."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as stream:
            return stream.read(count)
    except (OSError, ValueError):
        return b""


def unique_keys(keys: Iterable[str]) -> list[str]:
    """The keys in order, a repeated one with "#2", "#3" appended."""
    taken: set[str] = set()
    counts: dict[str, int] = {}
    result = []
    for key in keys:
        name = key
        while name in taken:
            counts[key] = counts.get(key, 1) + 1
            name = f"{key}#{counts[key]}"
        taken.add(name)
        result.append(name)
    return result
