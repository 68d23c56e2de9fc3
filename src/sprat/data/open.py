"""open_collection: from whatever the user names to a Collection, in five steps."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sprat.data.collection import Collection, Duplicate, Row
from sprat.data.decode import quiet
from sprat.data.label import class_names, unique_names
from sprat.data.parallel import Progress, map_threads
from sprat.data.source import SPLITS, Item, Listing, Pixels, Skipped, find_source, unique_keys
from sprat.data.split import assign_splits, thin_classes
from sprat.errors import BadInput

MIN_IMAGES = 10
"""Fewer readable images than this are refused."""

_SMALL = 64  # images up to this side, all of one size, are kept decoded while they take less than _MAX_KEPT bytes
_MAX_KEPT = 2_000_000_000


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one look at an image tells: its pixels' hash and shape, small pixels themselves; or why it is no image."""

    content_hash: str = ""
    shape: tuple[int, int, int] = (0, 0, 0)
    pixels: NDArray[np.uint8] | None = None
    reason: str = ""


def open_collection(source: str | Path, *, seed: int = 0, on_progress: Progress | None = None) -> Collection:
    """The labelled images of a source, each decoded once to check it; what cannot be read is listed in `skipped`.

    Args:
        source: "digits", a folder with one sub-folder a class, a CSV file or list, Hugging Face parquet, a CIFAR
            archive, MNIST IDX files. A Path is always taken as a file or folder.
        seed: of the split, where the source has none.
        on_progress: called with (done, total) images.

    Raises:
        UnknownName, BadInput: not there, not understood, or not enough of it; the message says which and what to do.
    """
    text = os.path.join(os.curdir, source) if isinstance(source, Path) else source  # noqa: PTH118
    try:
        listing = find_source(text).read(text)
    except OSError as error:
        raise BadInput(f"data {text!r} cannot be read ({error.strerror or error}); check its name and rights") from None
    if listing.classes is None:
        class_names(listing.items, text)  # an unknown class is told before the long look at all images
    keys = unique_keys(item.key for item in listing.items)
    items = [replace(item, key=key) for item, key in zip(listing.items, keys, strict=True)]
    seen = _look(items, on_progress)
    skipped = [*listing.skipped]
    skipped += [Skipped(item.key, look.reason) for item, look in zip(items, seen, strict=True) if look.reason]
    accepted = [(item, look) for item, look in zip(items, seen, strict=True) if not look.reason]
    if len(accepted) < MIN_IMAGES:
        first = f"; the first that cannot: {skipped[0].key}: {skipped[0].reason}" if skipped else ""
        raise BadInput(
            f"data {text!r} has too few images: {len(accepted)} can be read{first}; give at least {MIN_IMAGES}"
        )
    return _collect(str(source), listing, accepted, skipped, seed)


def _look(items: Sequence[Item], on_progress: Progress | None) -> list[_Seen]:
    """One look at every image, with a few threads."""
    sizes: set[tuple[int, int]] = set()
    kept_bytes = 0

    def look(item: Item) -> _Seen:
        nonlocal kept_bytes
        try:
            pixels = item.content.pixels()
        except BadInput as error:
            return _Seen(reason=str(error))
        height, width, channels = pixels.shape
        seen = _Seen(_hash(pixels), (height, width, channels))
        if isinstance(item.content, Pixels):
            return seen
        sizes.add((height, width))
        kept_bytes += pixels.nbytes
        small = max(height, width) <= _SMALL and len(sizes) == 1 and kept_bytes <= _MAX_KEPT
        return replace(seen, pixels=pixels) if small else seen

    with quiet:
        return map_threads(look, items, on_progress)


def _hash(pixels: NDArray[np.uint8]) -> str:
    """SHA-256 of shape and pixels; RGB with three equal channels counts as the grey image it shows."""
    if pixels.shape[2] == 3:
        red, green, blue = pixels[0, 0].tolist()
        if red == green == blue and (pixels == pixels[:, :, :1]).all():
            pixels = pixels[:, :, :1]
    return hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()


def _collect(
    source: str, listing: Listing, accepted: list[tuple[Item, _Seen]], skipped: list[Skipped], seed: int
) -> Collection:
    items = [item for item, _ in accepted]
    notes = list(listing.warnings)
    if listing.classes is None:
        classes = class_names(items, source)
        places = {name: index for index, name in enumerate(classes)}
        labels = [places[str(item.label)] for item in items]
        lost = {str(item.label) for item in listing.items} - places.keys()
        notes += [f"class {name!r} has no readable image and is left out" for name in sorted(lost)]
    else:
        classes = unique_names(listing.classes)
        labels = [int(item.label) for item in items]
        if classes != listing.classes:
            notes.append("class names that occur twice have their index appended")
    if len(set(labels)) < 2:
        raise BadInput(
            f"data {source!r} has images of one class only ({classes[labels[0]]!r}); give at least two classes"
        )
    splits, given = assign_splits(
        [look.content_hash for _, look in accepted], labels, [item.split for item in items], seed
    )
    for split in SPLITS:
        if split not in splits:
            raise BadInput(
                f"data {source!r} has too few images a class to make a {split} split ({len(items)} images, "
                f"{len(set(labels))} classes); give at least 3 different images of a class, better 30"
            )
    keep = all(look.pixels is not None or isinstance(item.content, Pixels) for item, look in accepted)
    rows = sorted(
        (
            Row(
                item.key,
                label,
                split,
                look.content_hash,
                look.shape[0],
                look.shape[1],
                Pixels(look.pixels) if keep and look.pixels is not None else item.content,
                position,
            )
            for position, ((item, look), label, split) in enumerate(zip(accepted, labels, splits, strict=True))
        ),
        key=lambda row: row.key,
    )
    duplicates, crossed = _duplicates(rows, classes)
    heights = np.array([row.height for row in rows])
    widths = np.array([row.width for row in rows])
    return Collection(
        name=listing.name,
        source=source,
        classes=classes,
        channels=max(look.shape[2] for _, look in accepted),
        skipped=tuple(skipped),
        duplicates=duplicates,
        fingerprint=_fingerprint(classes, rows),
        sizes={
            name: (int(function(heights)), int(function(widths)))
            for name, function in (("min", np.min), ("median", np.median), ("max", np.max))
        },
        given_split=given,
        warnings=(*notes, *thin_classes(labels, splits, classes), *crossed),
        _rows={split: tuple(row for row in rows if row.split == split) for split in SPLITS},
    )


def _duplicates(rows: Sequence[Row], classes: Sequence[str]) -> tuple[tuple[Duplicate, ...], list[str]]:
    """(pairs of equal images in different splits, notes about them and about equal images of different classes)."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: SPLITS.index(row.split)):
        groups[row.content_hash].append(row)
    pairs = tuple(
        Duplicate(group[0].key, row.key)
        for group in groups.values()
        for row in group[1:]
        if row.split != group[0].split
    )
    torn = [group for group in groups.values() if len({row.label for row in group}) > 1]
    notes = [f"{len(pairs)} images are in more than one split with equal pixels"] if pairs else []
    if torn:
        first = torn[0][0]
        other = next(row for row in torn[0] if row.label != first.label)
        notes.append(
            f"{len(torn)} images occur under more than one class, such as {first.key!r} ({classes[first.label]}) "
            f"and {other.key!r} ({classes[other.label]})"
        )
    return pairs, notes


def _fingerprint(classes: Sequence[str], rows: Sequence[Row]) -> str:
    digest = hashlib.sha256(repr(tuple(classes)).encode())
    for row in rows:
        digest.update(repr((row.key, row.label, row.split, row.content_hash)).encode())
    return digest.hexdigest()
