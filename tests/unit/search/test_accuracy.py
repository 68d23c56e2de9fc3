"""The model of published accuracy: recovers a known law, and the shipped constants are those of the shipped results."""

import math

import numpy as np
import pytest

from sprat.search.accuracy import FITTED, KNEE, Published, accuracy_model, fit, published_results, to_json
from sprat.search.score import TIME_POWER


def law(family: str, macs: int, params: int) -> float:
    small = min(0.0, math.log(macs / KNEE))
    slopes = 0.1 * math.log(macs) + 0.05 * math.log(params) + 0.08 * small
    return 1 - math.exp(1.2 - slopes + {"a": 0.1, "b": -0.1}[family])


def results(noise: float = 0.0) -> list[Published]:
    draw = np.random.default_rng(0)
    found = []
    for index in range(40):
        family, macs, params = "ab"[index % 2], int(10 ** draw.uniform(7, 9)), int(10 ** draw.uniform(5, 8))
        top1 = law(family, macs, params) + noise * draw.normal()
        found.append(Published(f"net{index}", "", family, macs, params, top1, "table"))
    return found


def test_a_law_is_recovered() -> None:
    model = fit(results())
    assert model.macs_power == pytest.approx(0.1, abs=2e-3)
    assert model.params_power == pytest.approx(0.05, abs=2e-3)
    assert model.small_power == pytest.approx(0.08, abs=4e-3)
    assert model.offsets["a"] - model.offsets["b"] == pytest.approx(0.2, abs=0.02)
    assert model.error_points < 0.3
    assert model.top1("a", macs=10**8, params=10**6) == pytest.approx(law("a", 10**8, 10**6), abs=0.01)


def test_noise_shows_in_the_cross_validated_error() -> None:
    assert fit(results(noise=0.03)).error_points == pytest.approx(100 * 0.03 * math.sqrt(2 / math.pi), rel=0.4)


def test_a_family_without_results_is_at_the_mean_and_worse_predicted() -> None:
    model = fit(results())
    between = [model.top1(family, macs=10**8, params=10**6) for family in ("a", "unheard of", "b")]
    assert between == sorted(between)
    assert model.family_error_points > 3 * model.error_points


def test_accuracy_is_never_below_zero() -> None:
    assert accuracy_model().top1("mobilenet_v1", macs=1, params=1) == 0.0


def test_the_shipped_constants_are_those_of_the_shipped_results() -> None:
    assert FITTED.read_text() == to_json(published_results())


def test_the_shipped_model_is_sane() -> None:
    model = accuracy_model()
    assert model.num_results >= 40
    assert min(model.macs_power, model.params_power, model.small_power) > 0
    assert (
        model.macs_power + model.small_power + model.params_power < TIME_POWER
    )  # a network too slow to train must lose by its macs
    assert 0 < model.error_points < model.family_error_points
    assert model.rank_correlation > 0.7
    assert model.top1("mobilenet_v1", macs=568_740_352, params=4_231_976) == pytest.approx(0.706, abs=0.03)
