"""Scores of a list of predictions: accuracy with its error, confusion matrix, per-class scores, pairs mixed up most."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959964  # standard normal, two-sided 95 %


def score_predictions(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: Sequence[str]
) -> dict[str, Any]:
    """Everything that follows from labels and predictions, as JSON values.

    `standard_error` is sqrt(p (1 - p) / n); `interval` is Wilson's at 95 % (doi:10.1080/01621459.1927.10502953), which
    stays meaningful when every answer is right. Precision is None for a class never predicted, recall for one without
    images.

    Args:
        labels: class indices (N,), N at least 1.
        predicted: class indices (N,).
        classes: names.
    """
    matrix = np.zeros((len(classes), len(classes)), np.int64)  # row: label, column: prediction
    np.add.at(matrix, (labels, predicted), 1)
    num, correct = len(labels), int(np.trace(matrix))
    accuracy = correct / num
    rows = [_class_row(matrix, index, name) for index, name in enumerate(classes)]
    known = [row["f1"] for row in rows if row["f1"] is not None]
    return {
        "num": num,
        "correct": correct,
        "accuracy": accuracy,
        "standard_error": math.sqrt(accuracy * (1 - accuracy) / num),
        "interval": wilson(correct, num),
        "macro_f1": sum(known) / len(known) if known else 0.0,
        "confusion": matrix.tolist(),
        "classes": rows,
        "pairs": _pairs(matrix, classes),
    }


def wilson(correct: int, num: int) -> list[float]:
    """[low, high] of Wilson's 95 % interval for a fraction."""
    p, z2 = correct / num, Z95**2
    centre = (p + z2 / (2 * num)) / (1 + z2 / num)
    half = Z95 / (1 + z2 / num) * math.sqrt(p * (1 - p) / num + z2 / (4 * num**2))
    return [max(0.0, centre - half), min(1.0, centre + half)]


def _class_row(matrix: NDArray[np.int64], index: int, name: str) -> dict[str, Any]:
    right, support, predicted = int(matrix[index, index]), int(matrix[index].sum()), int(matrix[:, index].sum())
    return {
        "name": name,
        "support": support,
        "predicted": predicted,
        "correct": right,
        "precision": right / predicted if predicted else None,
        "recall": right / support if support else None,
        "f1": 2 * right / (support + predicted) if support + predicted else None,
    }


def _pairs(matrix: NDArray[np.int64], classes: Sequence[str], shown: int = 8) -> list[dict[str, Any]]:
    """The (label, prediction) pairs of different classes seen most often, most frequent first."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:shown]
    places = [(int(place) // len(classes), int(place) % len(classes)) for place in order]
    return [
        {"label": classes[row], "predicted": classes[column], "count": int(wrong[row, column])}
        for row, column in places
        if wrong[row, column]
    ]
