"""The 1,000 classes of ImageNet in their usual order, and the names data sets call them by.

Source: ILSVRC 2012; WordNet 3.0 synset numbers and their words. The order is that of the sorted synset numbers.
"""

from collections.abc import Sequence
from functools import cache
from importlib import resources

from sprat.data.label import unique_names


@cache
def imagenet_classes() -> tuple[str, ...]:
    """The first word of each class, the second "crane" and "maillot" with their index."""
    return unique_names([words[0] for _, words in _synsets()])


@cache
def _synsets() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """(synset number, words) of each class."""
    text = (resources.files("sprat.weights") / "imagenet_classes.txt").read_text()
    lines = (line.split(" ", 1) for line in text.splitlines())
    return tuple((number, tuple(words.split(", "))) for number, words in lines)


@cache
def _known() -> dict[str, int]:
    """Synset number or word, in small letters -> class; words of two classes are left out."""
    places: dict[str, int] = {}
    double: set[str] = set()
    for index, (number, words) in enumerate(_synsets()):
        for name in {_plain(word) for word in (number, *words)}:
            if name in places:
                double.add(name)
            places[name] = index
    return {name: index for name, index in places.items() if name not in double}


def place_in_imagenet(names: Sequence[str]) -> dict[str, int]:
    """Name -> class index, of those names that are a class's name here, one of its words, or its synset number."""
    own = {name: index for index, name in enumerate(imagenet_classes())}
    places = {name: own.get(name, _known().get(_plain(name))) for name in names}
    return {name: place for name, place in places.items() if place is not None}


def _plain(name: str) -> str:
    return name.lower().replace("_", " ").replace("-", " ").strip()
