"""Allocation: code lengths, grids, and the division of bits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sprat.compress.allocate import MAX_LEVEL, Grid, allocate, code_bits, eight_bits

RNG = np.random.default_rng(0)
LAYERS = {
    "small": RNG.laplace(size=(16, 8, 1, 1)).astype(np.float32),
    "large": (3 * RNG.laplace(size=(64, 64, 1, 1))).astype(np.float32),
    "zero": np.zeros((4, 4), np.float32),
}
IMPORTANCE = {"small": 1.0, "large": 0.1, "zero": 1e-30}


def test_code_bits_are_the_entropy():
    assert code_bits(np.array([0, 0, 1, 1])) == pytest.approx(4)
    assert code_bits(np.zeros(100, np.int64)) == 0


@given(st.floats(0.01, 10), st.floats(0, 0.4), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=50)
def test_a_grid_is_odd_and_within_its_error(step, dead_zone, seed):
    weights = np.random.default_rng(seed).normal(size=200).astype(np.float32)
    levels = Grid(step, dead_zone).levels(weights)
    assert np.array_equal(Grid(step, dead_zone).levels(-weights), -levels)
    inside = np.abs(weights / step) < MAX_LEVEL - 1
    error = np.abs(weights / step - levels)[inside]
    assert (error <= 0.5 + dead_zone + 1e-6).all()


def test_eight_bits_reach_the_whole_range():
    grid = eight_bits(LAYERS["large"])
    levels = grid.levels(LAYERS["large"])
    assert np.abs(levels).max() == MAX_LEVEL
    assert np.abs(levels * grid.step - LAYERS["large"]).max() <= grid.step / 2 * 1.001


@given(st.floats(500, 60_000))
@settings(deadline=None, max_examples=15)
def test_the_target_is_met_and_nearly_used(target):
    grids = allocate(LAYERS, IMPORTANCE, target)
    used = sum(code_bits(grids[name].levels(array)) for name, array in LAYERS.items())
    assert used <= target or all(grid.step >= np.abs(LAYERS[n]).max() / 1.5 for n, grid in grids.items() if n != "zero")
    finest = sum(code_bits(eight_bits(array).levels(array)) for array in LAYERS.values())
    if finest > target > 3000:
        assert used > 0.97 * target


def test_the_important_layer_gets_the_finer_step_for_its_weight():
    grids = allocate(LAYERS, IMPORTANCE, 12_000)
    assert grids["small"].step < grids["large"].step
    worth = [IMPORTANCE[name] * grids[name].step ** 2 for name in ("small", "large")]
    assert worth[0] == pytest.approx(worth[1], rel=0.01)


def test_room_for_everything_keeps_eight_bits():
    grids = allocate(LAYERS, IMPORTANCE, float("inf"))
    assert all(grids[name].step == pytest.approx(eight_bits(LAYERS[name]).step) for name in LAYERS)
