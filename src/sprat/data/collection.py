"""Collection: labelled images as they were found. Dataset: the same, resized for one network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from sprat.data.cache import cached
from sprat.data.decode import quiet
from sprat.data.parallel import Progress, map_threads
from sprat.data.resize import resize, to_channels
from sprat.data.source import SPLITS, Content, Skipped
from sprat.errors import BadInput
from sprat.image import ImageSpec


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two images of different splits with equal decoded pixels, by their keys."""

    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Row:
    """One accepted image: key, class index, split, hash and size of its pixels, where they are, rank in the source."""

    key: str
    label: int
    split: str
    content_hash: str
    height: int
    width: int
    content: Content
    position: int


@dataclass(frozen=True, slots=True)
class Split:
    """Images uint8 (N, H, W, C), labels int64 (N,), keys (N)."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    keys: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Three splits at one image size."""

    name: str
    classes: tuple[str, ...]
    image: ImageSpec
    fingerprint: str
    train: Split
    val: Split
    test: Split


class Images(Sequence[NDArray[np.uint8]]):
    """Images at their original size, uint8 (H, W, C); each is decoded when it is asked for."""

    def __init__(self, rows: Sequence[Row], channels: int) -> None:
        self._rows = rows
        self._channels = channels

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.uint8]: ...
    @overload
    def __getitem__(self, index: slice) -> "Images": ...
    def __getitem__(self, index: int | slice) -> "NDArray[np.uint8] | Images":
        if isinstance(index, slice):
            return Images(self._rows[index], self._channels)
        return to_channels(_pixels(self._rows[index]), self._channels)


@dataclass(frozen=True)
class Collection:
    """Labelled images in three splits, each decoded once to check it, at their original sizes.

    Args:
        name: short name of the data.
        source: as the user gave it.
        classes: class names; a label is an index into them.
        channels: 1 when every image is grey by its mode, else 3.
        skipped: what is not used, and why.
        duplicates: images with equal pixels in different splits.
        fingerprint: SHA-256 (hex) over keys, labels, splits, content hashes and classes.
        sizes: "min", "median", "max" -> (height, width), each side by itself.
        given_split: whether the source came with val or test images.
        warnings: notes for the user.
    """

    name: str
    source: str
    classes: tuple[str, ...]
    channels: int
    skipped: tuple[Skipped, ...]
    duplicates: tuple[Duplicate, ...]
    fingerprint: str
    sizes: dict[str, tuple[int, int]]
    given_split: bool
    warnings: tuple[str, ...]
    _rows: dict[str, tuple[Row, ...]] = field(repr=False)

    def labels(self, split: str) -> NDArray[np.int64]:
        """Class indices of a split, int64 (N,)."""
        return np.array([row.label for row in self._split(split)], np.int64)

    def keys(self, split: str) -> tuple[str, ...]:
        """Names of a split's images, sorted; all methods keep this order."""
        return tuple(row.key for row in self._split(split))

    def raw(self, split: str) -> Images:
        """A split's images at their original size, uint8 (H, W, channels), decoded when asked for."""
        return Images(self._split(split), self.channels)

    def load(self, image: ImageSpec, cache: Path | None = None, on_progress: Progress | None = None) -> Dataset:
        """All images resized to `image`: bilinear with antialias, unchanged where they fit already.

        Args:
            image: shape of the network's input; 1 or 3 channels.
            cache: folder for the arrays; with it, images are decoded once and then mapped, by later processes too.
            on_progress: called with (done, total) while images are decoded.

        Raises:
            BadInput: an image can no longer be read.
        """
        if image.channels not in (1, 3):
            raise BadInput(f"images have 1 or 3 channels; {image} was asked for")
        total = sum(len(rows) for rows in self._rows.values())
        done = 0
        splits = {}
        for split in SPLITS:
            rows = self._split(split)
            path = None if cache is None else cache / f"{self.fingerprint[:16]}-{image}-{split}.npy"
            shape = (len(rows), image.height, image.width, image.channels)
            images = cached(path, shape, _filler(rows, image, _shifted(on_progress, done, total)))
            splits[split] = Split(images, self.labels(split), self.keys(split))
            done += len(rows)
        return Dataset(self.name, self.classes, image, self.fingerprint, **splits)

    def split_rows(self) -> list[tuple[str, int, str]]:
        """(key, label, split) of every image, train first."""
        return [(row.key, row.label, split) for split in SPLITS for row in self._split(split)]

    def to_dict(self) -> dict[str, Any]:
        """What data.json says: names, counts a class, sizes, skipped files, duplicates, notes."""
        return {
            "name": self.name,
            "source": self.source,
            "classes": list(self.classes),
            "channels": self.channels,
            "counts": {
                split: np.bincount(self.labels(split), minlength=len(self.classes)).tolist() for split in SPLITS
            },
            "sizes": {name: list(size) for name, size in self.sizes.items()},
            "skipped": [{"key": entry.key, "reason": entry.reason} for entry in self.skipped],
            "duplicates": [{"first": pair.first, "second": pair.second} for pair in self.duplicates],
            "given_split": self.given_split,
            "fingerprint": self.fingerprint,
            "warnings": list(self.warnings),
        }

    def _split(self, split: str) -> tuple[Row, ...]:
        if split not in self._rows:
            raise BadInput(f"no split is called {split!r}; the splits are {', '.join(SPLITS)}")
        return self._rows[split]


def _pixels(row: Row) -> NDArray[np.uint8]:
    try:
        return row.content.pixels()
    except BadInput as error:
        raise BadInput(f"image {row.key!r} was read before and now is not ({error}); open the data again") from None


def _filler(rows: Sequence[Row], image: ImageSpec, on_progress: Progress | None) -> Callable[[NDArray[np.uint8]], None]:
    def fill(out: NDArray[np.uint8]) -> None:
        def place(index: int) -> None:
            out[index] = resize(_pixels(rows[index]), image)

        order = sorted(range(len(rows)), key=lambda index: rows[index].position)
        with quiet:
            map_threads(place, order, on_progress)

    return fill


def _shifted(on_progress: Progress | None, start: int, total: int) -> Progress | None:
    if on_progress is None:
        return None
    return lambda done, _: on_progress(start + done, total)
