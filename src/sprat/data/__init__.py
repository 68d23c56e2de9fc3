"""Labelled images from whatever people have them in; one kind of source, one file.

`open_collection(source)` looks at every image once and returns a Collection; `Collection.load(image)` resizes them
for a network. `open_labelled(source)` lists them without splits, to score a network on.
"""

from sprat.data.collection import Collection, Dataset, Duplicate, Images, Split
from sprat.data.decode import decode
from sprat.data.labelled import Labelled, open_labelled
from sprat.data.open import open_collection
from sprat.data.source import SPLITS, Skipped

__all__ = [
    "SPLITS",
    "Collection",
    "Dataset",
    "Duplicate",
    "Images",
    "Labelled",
    "Skipped",
    "Split",
    "decode",
    "open_collection",
    "open_labelled",
]
