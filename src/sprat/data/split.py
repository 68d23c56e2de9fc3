"""split: which image trains, validates and tests; decided by the images' content, so by no order and no file name."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

from sprat.data.source import SPLITS
from sprat.errors import BadInput

HELD_OUT = 0.1
"""Fraction of a class that goes to each split that is made."""


def assign_splits(
    hashes: Sequence[str], labels: Sequence[int], given: Sequence[str | None], seed: int
) -> tuple[list[str], bool]:
    """(the split of every image, whether any was given beyond train).

    Splits that are given stay; a missing val or test (or both) is taken from train, HELD_OUT of each class.

    Args:
        hashes: content hash of each image; equal ones stay together.
        labels: class of each image.
        given: split of each image as the source has it, or None.
        seed: another seed, another split.

    Raises:
        BadInput: val or test images but none to train on.
    """
    present = {split for split in given if split is not None}
    if present and "train" not in present:
        raise BadInput(
            f"the data has {' and '.join(sorted(present))} images but no readable one to train on; add train images"
        )
    splits = [split or "train" for split in given]
    missing = [split for split in ("test", "val") if split not in present]
    if missing:
        pool = [index for index, split in enumerate(splits) if split == "train"]
        made = _stratify([hashes[index] for index in pool], [labels[index] for index in pool], missing, seed)
        for index, split in zip(pool, made, strict=True):
            splits[index] = split
    return splits, len(present) > 1


def _stratify(hashes: Sequence[str], labels: Sequence[int], wanted: Sequence[str], seed: int) -> list[str]:
    """A split for each image: per class, in an order that hash and seed decide, the first ones are held out.

    Classes with 1 or 2 images are left to train; from 3 on each wanted split gets at least one.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for index, content in enumerate(hashes):
        groups[content].append(index)
    by_class: dict[int, list[str]] = defaultdict(list)
    for content, members in groups.items():
        votes = Counter(labels[index] for index in members)
        by_class[min(votes, key=lambda label: (-votes[label], label))].append(content)
    splits = ["train"] * len(hashes)
    for contents in by_class.values():
        count = sum(len(groups[content]) for content in contents)
        quota = dict.fromkeys(wanted, max(1, int(count * HELD_OUT + 0.5)) if count >= 3 else 0)
        for content in sorted(contents, key=lambda text: hashlib.sha256(f"{seed} {text}".encode()).digest()):
            members = groups[content]
            split = next((name for name in wanted if len(members) <= quota[name]), None)
            if split is None:
                continue
            quota[split] -= len(members)
            for index in members:
                splits[index] = split
    return splits


def thin_classes(labels: Sequence[int], splits: Sequence[str], classes: Sequence[str]) -> list[str]:
    """Notes about classes that a split lacks, one a split."""
    present = {
        split: {label for label, place in zip(labels, splits, strict=True) if place == split} for split in SPLITS
    }
    notes = []
    for split in SPLITS:
        lacking = [name for label, name in enumerate(classes) if label not in present[split]]
        if lacking:
            shown = ", ".join(repr(name) for name in lacking[:5]) + (
                f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
            )
            what = {"train": "train on", "val": "validate with", "test": "test with"}[split]
            notes.append(f"no image to {what} of class {shown}")
    return notes
