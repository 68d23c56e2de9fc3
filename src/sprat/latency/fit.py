"""Fit: from the profiles and times of whole networks to a LatencyModel, and its error on networks left out."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sprat.errors import BadInput
from sprat.latency.features import Floats
from sprat.latency.kernel import Row
from sprat.latency.model import LatencyModel
from sprat.latency.regression import fit_law

FOLDS = 4
CLOSE = 0.15  # a prediction within this fraction counts as right


@dataclass(frozen=True)
class Measured:
    """One network, as calibration measured it.

    Args:
        rows: its kernels.
        us: microseconds of each in the runtime's profile.
        total_us: of the whole network, without profiling.
    """

    rows: tuple[Row, ...]
    us: tuple[float, ...]
    total_us: float


@dataclass(frozen=True)
class Errors:
    """How far predictions are from measurements, |predicted / measured - 1|.

    Args:
        num: networks.
        close: fraction of them within 15 %.
        median: of the errors.
        worst: of them.
        bias: median of predicted / measured - 1.
    """

    num: int
    close: float
    median: float
    worst: float
    bias: float


def errors(predicted: Sequence[float], measured: Sequence[float]) -> Errors:
    """The errors of predictions."""
    off = np.array(predicted) / np.array(measured) - 1
    size = np.abs(off)
    return Errors(
        len(off), float((size <= CLOSE).mean()), float(np.median(size)), float(size.max()), float(np.median(off))
    )


def fit(networks: Sequence[Measured], block: int, conditions: Mapping[str, Any]) -> tuple[LatencyModel, Errors]:
    """The model of what was measured, and its errors by cross-validation in which whole networks are left out.

    Raises:
        BadInput: fewer than 8 networks.
    """
    if len(networks) < 2 * FOLDS:
        raise BadInput(f"a calibration needs at least {2 * FOLDS} networks; {len(networks)} were measured")
    sound = _sound(networks)
    predicted, measured = [], []
    for fold in range(FOLDS):
        rest = [network for place, network in enumerate(sound) if place % FOLDS != fold]
        model = _fitted(rest, block, conditions)
        for network in sound[fold::FOLDS]:
            if {row[0] for row in network.rows} <= set(model.laws):
                predicted.append(model.predict(network.rows))
                measured.append(network.total_us / 1000)
    found = errors(predicted, measured)
    return _fitted(sound, block, conditions), found


def _fitted(networks: Sequence[Measured], block: int, conditions: Mapping[str, Any]) -> LatencyModel:
    seen: dict[Row, list[float]] = defaultdict(list)
    for network in networks:
        for row, taken in zip(network.rows, network.us, strict=True):
            seen[row].append(max(taken, 1.0))  # the profile's clock ticks in microseconds
    rows = np.array(list(seen), np.int64)
    us = np.array([float(np.median(values)) for values in seen.values()])
    times = np.array([float(len(values)) for values in seen.values()])
    laws = {}
    for kind in np.unique(rows[:, 0]):
        mask = rows[:, 0] == kind
        laws[int(kind)] = fit_law(rows[mask], us[mask], times[mask])
    model = LatencyModel(laws, 1.0, 0.0, 0.0, block, rows, us, times, conditions)
    sums = np.array([1000 * model.predict_rows(np.array(network.rows)).sum() for network in networks])
    scale, per_kernel, constant = _totals(sums, networks)
    return replace(model, scale=scale, per_kernel_us=per_kernel, constant_us=constant)


def _sound(networks: Sequence[Measured]) -> list[Measured]:
    """The networks whose time and profile agree: where they do not, something else ran meanwhile."""
    sums = np.array([sum(network.us) for network in networks])
    scale, per_kernel, constant = _totals(sums, networks)
    numbers, totals = np.array([len(n.rows) for n in networks]), np.array([n.total_us for n in networks])
    off = np.abs((scale * sums + per_kernel * numbers + constant) / totals - 1)
    return [
        network for network, error in zip(networks, off, strict=True) if error < max(0.15, 3 * float(np.median(off)))
    ]


def _totals(sums: Floats, networks: Sequence[Measured]) -> tuple[float, float, float]:
    """(scale, microseconds a kernel, constant) from the sums over kernels to the totals; far ones hardly count."""
    totals = np.array([network.total_us for network in networks])
    numbers = np.array([len(network.rows) for network in networks])
    a = np.stack([sums, numbers, np.ones(len(totals))], axis=1) / totals[:, None]
    trust = np.ones(len(totals))
    x = np.array([1.0, 0.0, 0.0])
    for _ in range(20):
        x = np.linalg.lstsq(a * trust[:, None], trust, rcond=None)[0]
        trust = 1 / np.sqrt(1 + ((a @ x - 1) / 0.03) ** 2)
    return float(x[0]), float(x[1]), float(x[2])
