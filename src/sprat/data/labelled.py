"""open_labelled: labelled images as a source lists them, without splits; what a network is scored on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sprat.data.label import sorted_names, unique_names
from sprat.data.source import Item, Skipped, find_source
from sprat.errors import BadInput


@dataclass(frozen=True)
class Labelled:
    """Every image of a source with its class.

    Args:
        name: short name of the data.
        classes: class names; a label is an index into them.
        items: the images, not yet decoded.
        labels: class index of each item, int64 (N,).
    """

    name: str
    classes: tuple[str, ...]
    items: tuple[Item, ...]
    labels: NDArray[np.int64]

    def chunks(self, size: int) -> Iterator[tuple[Sequence[NDArray[np.uint8]], NDArray[np.int64], list[Skipped]]]:
        """(images uint8 (H, W, C), their labels, what cannot be read) of `size` items at a time."""
        for start in range(0, len(self.items), size):
            images, kept, skipped = [], [], []
            for index in range(start, min(start + size, len(self.items))):
                try:
                    images.append(self.items[index].content.pixels())
                    kept.append(index)
                except BadInput as error:
                    skipped.append(Skipped(self.items[index].key, str(error)))
            yield images, self.labels[kept], skipped


def open_labelled(source: str | Path) -> Labelled:
    """Every image of a source with its class, in all the splits the source has.

    Unlike `open_collection` it splits nothing, so that one image a class is enough, and decodes nothing yet.

    Raises:
        UnknownName, BadInput: not there, not understood, or without images.
    """
    text = str(source)
    try:
        listing = find_source(text).read(text)
    except OSError as error:
        raise BadInput(f"data {text!r} cannot be read ({error.strerror or error}); check its name and rights") from None
    if not listing.items:
        raise BadInput(f"data {text!r} holds no images")
    if listing.classes is None:
        classes = sorted_names({str(item.label) for item in listing.items})
        places = {name: index for index, name in enumerate(classes)}
        labels = [places[str(item.label)] for item in listing.items]
    else:
        classes = unique_names(listing.classes)
        labels = [int(item.label) for item in listing.items]
        if not all(0 <= label < len(classes) for label in labels):
            raise BadInput(f"data {text!r} has a label outside of its {len(classes)} classes")
    return Labelled(listing.name, classes, listing.items, np.array(labels, np.int64))
