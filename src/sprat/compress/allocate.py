"""Where the bits go: one step size a layer, all from one number, so that the last bit of each layer buys equally much.

At the rates in question the loss grows by F * step^2 / 12 a weight, F being its Fisher information; the best division
of bits has F * step^2 equal in all layers. `fineness` is that common value's square root: step = fineness / sqrt(F).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

MAX_LEVEL = 127  # levels -127..127: 8 bits
DEAD_ZONE = 0.2  # of a step; rounding down saves more bits than it costs error (as in rate-distortion quantisation)


@dataclass(frozen=True, slots=True)
class Grid:
    """Levels k * step, |k| <= 127; a weight w takes k = sign(w) * floor(|w| / step + 0.5 - dead_zone).

    Args:
        step: distance of two levels, in weight units.
        dead_zone: how far the thresholds lie outside the middles, in steps: 0 rounds to the nearest.
        bits: code length the layer may take, bits; None where it does not matter.
    """

    step: float
    dead_zone: float
    bits: float | None = None

    def levels(self, weights: NDArray[np.float32]) -> NDArray[np.int64]:
        """Level of each weight."""
        scaled = np.asarray(weights, dtype=np.float64) / self.step
        levels = np.floor(np.abs(scaled) + (0.5 - self.dead_zone)) * np.sign(scaled)
        clipped: NDArray[np.int64] = np.clip(levels, -MAX_LEVEL, MAX_LEVEL).astype(np.int64)
        return clipped


def code_bits(levels: NDArray[np.int64]) -> float:
    """Ideal code length of the levels by their own frequencies, bits (order-0 entropy)."""
    counts = np.unique(levels, return_counts=True)[1]
    return float(-(counts * np.log2(counts / counts.sum())).sum())


def eight_bits(weights: NDArray[np.float32]) -> Grid:
    """The grid that spends 8 bits on the range of the weights and rounds to the nearest."""
    largest = float(np.abs(weights).max(initial=0.0))
    return Grid(largest / MAX_LEVEL if largest > 0 else 1.0, 0.0)


def grids_at(
    weights: Mapping[str, NDArray[np.float32]], importance: Mapping[str, float], fineness: float
) -> dict[str, Grid]:
    """A grid for each layer at a fineness: at most 8 bits over its range, never so coarse that all would be zero."""
    grids = {}
    for name, array in weights.items():
        finest = eight_bits(array)
        coarsest = finest.step * MAX_LEVEL / 1.5
        step = min(max(fineness / math.sqrt(importance[name]), finest.step), coarsest)
        grids[name] = finest if step <= finest.step * (1 + 1e-9) else Grid(step, DEAD_ZONE)
    return grids


def allocate(
    weights: Mapping[str, NDArray[np.float32]], importance: Mapping[str, float], target_bits: float
) -> dict[str, Grid]:
    """A grid for each layer whose code lengths sum to at most `target_bits`, by bisection over the fineness.

    Where even the coarsest grids need more, these are returned; where the finest need less, those.
    """

    def total(grids: dict[str, Grid]) -> float:
        return sum(code_bits(grid.levels(weights[name])) for name, grid in grids.items())

    largest = {name: max(float(np.abs(array).max(initial=0.0)), 1e-12) for name, array in weights.items()}
    reach = [math.log(largest[name] * math.sqrt(importance[name])) for name in weights]
    fine, coarse = min(reach) - math.log(MAX_LEVEL), max(reach)
    best = grids_at(weights, importance, math.exp(coarse))
    finest = grids_at(weights, importance, math.exp(fine))
    if total(finest) <= target_bits:
        best = finest
    else:
        for _ in range(18):
            middle = (fine + coarse) / 2
            found = grids_at(weights, importance, math.exp(middle))
            if total(found) <= target_bits:
                best, coarse = found, middle
            else:
                fine = middle
    return {name: replace(grid, bits=code_bits(grid.levels(weights[name]))) for name, grid in best.items()}
