"""sprat.data.split: by content, stratified, deterministic, indifferent to order."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprat.data.split import assign_splits, thin_classes
from sprat.errors import BadInput


def _images(*counts: int) -> tuple[list[str], list[int]]:
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    return [f"hash{index}" for index in range(len(labels))], labels


def _split(hashes: list[str], labels: list[int], seed: int = 0) -> list[str]:
    return assign_splits(hashes, labels, [None] * len(hashes), seed)[0]


_SETS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3)), min_size=1, max_size=60)


@given(_SETS, st.integers(0, 5), st.randoms())
def test_order_does_not_matter_and_equal_images_stay_together(
    images: list[tuple[int, int]], seed: int, random: object
) -> None:
    hashes, labels = [f"h{content}" for content, _ in images], [label for _, label in images]
    splits = _split(hashes, labels, seed)
    places = {}
    for content, split in zip(hashes, splits, strict=True):
        assert places.setdefault(content, split) == split
    order = list(range(len(images)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = _split([hashes[i] for i in order], [labels[i] for i in order], seed)
    assert shuffled == [splits[i] for i in order]


@given(st.lists(st.integers(1, 200), min_size=1, max_size=5), st.integers(0, 9))
def test_every_class_is_split_80_10_10(counts: list[int], seed: int) -> None:
    hashes, labels = _images(*counts)
    found = Counter(zip(labels, _split(hashes, labels, seed), strict=True))
    for label, count in enumerate(counts):
        held = 0 if count < 3 else max(1, int(count / 10 + 0.5))
        assert (found[label, "val"], found[label, "test"]) == (held, held)
        assert found[label, "train"] == count - 2 * held > 0


@given(st.lists(st.integers(3, 60), min_size=2, max_size=4), st.data())
def test_one_image_more_moves_at_most_a_few_of_its_class_and_none_of_others(
    counts: list[int], data: st.DataObject
) -> None:
    hashes, labels = _images(*counts)
    before = _split(hashes, labels)
    label = data.draw(st.integers(0, len(counts) - 1))
    after = _split([*hashes, "new"], [*labels, label])
    moved = [index for index, split in enumerate(before) if after[index] != split]
    assert all(labels[index] == label for index in moved)
    assert len(moved) <= 5


def test_another_seed_another_split() -> None:
    hashes, labels = _images(50, 50)
    assert _split(hashes, labels, 0) != _split(hashes, labels, 1)
    assert _split(hashes, labels, 1) == _split(hashes, labels, 1)


def test_classes_of_one_or_two_images_train() -> None:
    hashes, labels = _images(1, 2, 30)
    splits = _split(hashes, labels)
    assert splits[:3] == ["train"] * 3
    notes = thin_classes(labels, splits, ["one", "two", "many"])
    assert notes == ["no image to validate with of class 'one', 'two'", "no image to test with of class 'one', 'two'"]


def test_many_copies_of_one_image_stay_in_train() -> None:
    hashes = ["same"] * 20 + [f"h{n}" for n in range(10)]
    splits = _split(hashes, [0] * 30)
    assert set(splits[:20]) == {"train"}
    assert Counter(splits[20:]) == {"train": 4, "val": 3, "test": 3}


def test_given_splits_stay_and_the_missing_one_comes_from_train() -> None:
    hashes, labels = _images(40, 40)
    given = ["test" if index % 4 == 0 else "train" for index in range(80)]
    splits, was_given = assign_splits(hashes, labels, given, 0)
    assert was_given
    assert all((split == "test") == (old == "test") for split, old in zip(splits, given, strict=True))
    assert Counter(splits) == {"train": 54, "val": 6, "test": 20}


def test_all_given_is_left_alone() -> None:
    given = ["train", "val", "test"] * 4
    assert assign_splits([f"h{n}" for n in range(12)], [0, 1] * 6, given, 0) == (given, True)


def test_train_alone_is_as_if_nothing_was_given() -> None:
    hashes, labels = _images(30, 30)
    assert assign_splits(hashes, labels, ["train"] * 60, 0) == (_split(hashes, labels), False)


def test_nothing_to_train_on() -> None:
    with pytest.raises(BadInput, match="train"):
        assign_splits(["a"], [0], ["test"], 0)
