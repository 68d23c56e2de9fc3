"""The fit finds laws that are known."""

import numpy as np

from sprat.latency.features import NUM_PLACES, NUM_WORKS, place, work
from sprat.latency.kernel import Kind
from sprat.latency.regression import fit_law, nnls


def some_rows(num: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    side = rng.choice([7, 8, 14, 16, 28, 32, 56], num)
    channels = 16 * rng.integers(1, 33, (2, num))
    ones = np.ones(num, np.int64)
    stride, zeros = rng.integers(1, 3, num), 0 * ones
    kind = int(Kind.POINTWISE) * ones
    return np.stack([kind, *channels, ones, ones, stride, ones, side, side, zeros, 42 * ones], axis=1)


def test_features_have_the_stated_widths_and_signs():
    rows = some_rows(20)
    assert work(rows).shape == (20, NUM_WORKS)
    assert (work(rows) >= 0).all()
    assert place(rows).shape == (20, NUM_PLACES)
    macs = rows[:, 1] * rows[:, 2] * rows[:, 7] * rows[:, 8]
    assert (work(rows)[:, 1] == macs).all()


def test_nnls_is_least_squares_where_that_is_positive_and_zero_elsewhere():
    rng = np.random.default_rng(1)
    a = rng.random((50, 4))
    assert np.allclose(nnls(a, a @ [1.0, 0.0, 2.0, 0.5]), [1.0, 0.0, 2.0, 0.5], atol=1e-5)
    x = nnls(a, a @ [1.0, -3.0, 2.0, 0.5])
    assert (x >= 0).all()
    assert x[1] == 0
    rest = np.linalg.lstsq(a[:, x > 0], a @ [1.0, -3.0, 2.0, 0.5], rcond=None)[0]
    assert np.allclose(x[x > 0], rest, atol=1e-5)


def test_nnls_copes_with_columns_that_are_alike():
    rng = np.random.default_rng(4)
    a = rng.random((40, 6)) * 10.0 ** np.array([-6, 3, 0, 0, 2, -2])
    a[:, 3] = a[:, 2]
    b = a @ np.array([1e6, -1e-3, 1, 1, 0.01, 100]) + 0.01 * rng.standard_normal(40)
    x = nnls(a, b)
    gradient = (a / np.linalg.norm(a, axis=0)).T @ (b - a @ x)
    assert (x >= 0).all()
    assert gradient.max() < 1e-3  # no coordinate would help
    assert np.abs(gradient[x > 0]).max() < 1e-3


def test_a_law_of_work_is_recovered_also_beyond_what_was_measured():
    rows = some_rows(300)
    truth = np.array([2.0, 1e-5, 1e-4, 2e-4, 0, 0, 0, 0, 0, 0])
    law = fit_law(rows, work(rows) @ truth, np.ones(len(rows)))
    unseen = some_rows(100, seed=9)
    assert np.allclose(law.us(unseen), work(unseen) @ truth, rtol=0.02)
    huge = unseen.copy()
    huge[:, 7:9] = 224
    assert np.allclose(law.us(huge), work(huge) @ truth, rtol=0.25)


def test_what_the_work_does_not_explain_is_learnt_from_the_neighbours():
    rows = some_rows(1500)

    def us(given: np.ndarray) -> np.ndarray:
        slower = np.where(given[:, 7] < 16, 1.6, 1.0) * np.where(given[:, 5] == 2, 1.3, 1.0)
        return (1 + work(given)[:, 1] * 1e-5) * slower

    noise = np.exp(np.random.default_rng(2).normal(0, 0.03, len(rows)))
    law = fit_law(rows, us(rows) * noise, np.ones(len(rows)))
    unseen = some_rows(300, seed=7)
    error = np.abs(law.us(unseen) / us(unseen) - 1)
    assert np.median(error) < 0.03
    assert np.quantile(error, 0.9) < 0.1
