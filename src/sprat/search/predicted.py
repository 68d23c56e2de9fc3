"""Predicted: milliseconds of many candidates at once, from their kernels and this machine's calibration."""

from collections.abc import Sequence

import numpy as np

from sprat.latency.model import LatencyModel
from sprat.search.catalogue import Entry


def predicted_ms(model: LatencyModel, entries: Sequence[Entry]) -> list[float | None]:
    """Milliseconds of one image on one CPU thread for each entry; None where the calibration lacks a kind of kernel.

    Args:
        model: the calibration.
        entries: with kernels for the model's block.
    """
    places: dict[tuple[int, ...], int] = {}
    for entry in entries:
        for row, _ in entry.kernels:
            if row[0] in model.laws:
                places.setdefault(row, len(places))
    ms = model.predict_rows(np.array(list(places), dtype=np.int64)) if places else np.zeros(0)
    found: list[float | None] = []
    for entry in entries:
        if not entry.kernels or any(row not in places for row, _ in entry.kernels):
            found.append(None)
        else:
            total = sum(number * float(ms[places[row]]) for row, number in entry.kernels)
            found.append(max(1e-4, model.overhead_ms + total))
    return found
