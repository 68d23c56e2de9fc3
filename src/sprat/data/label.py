"""label: one map from class names to indices, made from the train split and used for all."""

from collections.abc import Sequence
from difflib import get_close_matches

from sprat.data.source import Item
from sprat.errors import BadInput


def class_names(items: Sequence[Item], source: str) -> tuple[str, ...]:
    """The classes of items whose labels are names: those of the train split, sorted (whole numbers by value).

    Raises:
        BadInput: a class that occurs only in val or test.
    """
    names = {str(item.label) for item in items if item.split in ("train", None)}
    if items and not names:
        raise BadInput(f"data {source!r} has no readable images to train on, only {items[0].split}; add train images")
    for item in items:
        if str(item.label) not in names:
            near = get_close_matches(str(item.label), names, n=1, cutoff=0.6)
            hint = f" (is it {near[0]!r}?)" if near else ""
            raise BadInput(
                f"data {source!r}: class {item.label!r}{hint} occurs in {item.split} ({item.key}) but has no readable "
                "image in train; rename it, or add it to train"
            )
    return sorted_names(names)


def sorted_names(names: set[str]) -> tuple[str, ...]:
    """Sorted names; whole numbers by value ("10" after "9") where all are."""
    if all(name.removeprefix("-").isascii() and name.removeprefix("-").isdigit() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def unique_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names in order, a repeated one with its index appended (ImageNet has two classes called "crane")."""
    seen: set[str] = set()
    result = []
    for index, name in enumerate(names):
        result.append(f"{name} ({index})" if name in seen else name)
        seen.add(name)
    return tuple(result)
