"""Regression: a law of the work done, and what the measured kernels near by took beside it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprat.latency.features import Floats, Rows, place, work

MOST_CENTRES = 600
NOISE = 0.05  # of the logarithm of one measured time
SPREAD = 0.35  # of the logarithm of the time around the law


@dataclass(frozen=True, eq=False)
class Law:
    """Time of one kind of kernel: law(work) * exp(correction(place)).

    Args:
        weights: (10,) microseconds per unit of `work`, none negative.
        centres: (m, 13) places at which the correction is anchored.
        corrections: (m,) coefficients of the radial functions there.
    """

    weights: Floats
    centres: Floats
    corrections: Floats

    def us(self, rows: Rows) -> Floats:
        """Microseconds of each row, above 0."""
        base = np.maximum(work(rows) @ self.weights, 1e-3)
        if not len(self.centres):
            return base
        return base * np.exp(np.clip(radial(place(rows), self.centres) @ self.corrections, -1.5, 1.5))


def fit_law(rows: Rows, us: Floats, times: Floats) -> Law:
    """The law of one kind of kernel.

    Args:
        rows: (n, 11), different ones.
        us: (n,) measured microseconds of each.
        times: (n,) how often each was measured; more weigh more.
    """
    importance = np.minimum(times, 9.0) ** 0.5
    amounts = work(rows)
    weights = nnls(amounts / us[:, None] * importance[:, None], importance)
    base = np.maximum(amounts @ weights, 1e-3)
    residual = np.log(us / base)
    places = place(rows)
    centres = places[_spread_out(places, MOST_CENTRES)]
    near = radial(places, centres)
    noise = (NOISE / SPREAD) ** 2 / importance**2
    among = radial(centres, centres)
    left = near.T @ (near / noise[:, None]) + among + 1e-6 * np.eye(len(centres))
    corrections: Floats = np.linalg.solve(left, near.T @ (residual / noise)).astype(np.float64)
    return Law(weights, centres, corrections)


def radial(places: Floats, centres: Floats) -> Floats:
    """(n, m) similarity exp(-d) * (1 + d) of each place to each centre: a Matern function of smoothness 3/2."""
    a, b = places.astype(np.float32), centres.astype(np.float32)
    squares = (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * (a @ b.T)
    distance = np.sqrt(np.maximum(squares, 0))
    result: Floats = (np.exp(-distance) * (1 + distance)).astype(np.float64)
    return result


def nnls(a: Floats, b: Floats) -> Floats:
    """x >= 0 that makes |a x - b| least (Lawson and Hanson, Solving Least Squares Problems, chapter 23).

    A trace of ridge makes the answer unique where columns are alike.
    """
    scale = np.maximum(np.linalg.norm(a, axis=0), 1e-30)
    size = a.shape[1]
    gram = (a / scale).T @ (a / scale) + 1e-7 * np.eye(size)
    target = (a / scale).T @ b
    x, passive, refused = np.zeros(size), np.zeros(size, bool), np.zeros(size, bool)
    for _ in range(10 * size):
        gradient = np.where(passive | refused, -np.inf, target - gram @ x)
        entering = int(gradient.argmax())
        if gradient[entering] <= 1e-9 * np.abs(target).max():
            break
        passive[entering] = True
        trial = _solved(gram, target, passive)
        if trial[entering] <= 0:  # by rounding alone; it would leave at once
            passive[entering], refused[entering] = False, True
            continue
        while (low := passive & (trial <= 0)).any():
            step = np.min(x[low] / (x[low] - trial[low]))
            x = np.where(passive, x + step * (trial - x), 0)
            passive &= ~(low & (x <= 1e-12 * x.max()))
            x[~passive] = 0
            trial = _solved(gram, target, passive)
        x, refused = trial, np.zeros(size, bool)
    result: Floats = x / scale
    return result


def _solved(gram: Floats, target: Floats, passive: NDArray[np.bool_]) -> Floats:
    trial = np.zeros(len(target))
    trial[passive] = np.linalg.solve(gram[np.ix_(passive, passive)], target[passive])
    return trial


def _spread_out(places: Floats, most: int) -> "np.ndarray[Any, np.dtype[np.intp]]":
    """Indices of at most `most` places, each the farthest from those before it."""
    if len(places) <= most:
        return np.arange(len(places))
    chosen = [0]
    distance = ((places - places[0]) ** 2).sum(1)
    while len(chosen) < most:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, ((places - places[chosen[-1]]) ** 2).sum(1))
    return np.array(chosen)
