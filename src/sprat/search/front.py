"""Pareto front: the candidates that nothing beats in every respect."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def pareto_front(items: Sequence[T], quality: Callable[[T], float], costs: Callable[[T], Sequence[float]]) -> list[T]:
    """The items of which no other has at least their quality at no higher cost of any kind; best quality first.

    Of items that are equal in all respects the first stays.

    Args:
        items: to choose from.
        quality: higher is better.
        costs: lower is better, each; as many for every item.
    """
    ordered = sorted(items, key=lambda item: (-quality(item), *costs(item)))
    if not ordered:
        return []
    table = np.array([costs(item) for item in ordered], dtype=float).reshape(len(ordered), -1)
    kept: list[int] = []
    for position in range(len(ordered)):
        # Whatever stands before has at least the quality; does it cost no more of anything?
        if not (table[kept] <= table[position]).all(axis=1).any():
            kept.append(position)
    return [ordered[position] for position in kept]
