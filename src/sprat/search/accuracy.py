"""Expected ImageNet accuracy before any training: a small model of the published results in the ledger.

    log(top-1 error) = intercept - macs_power log(macs) - params_power log(params) + small_power log(KNEE / macs)
                       + offset of the family

The last power counts below KNEE multiply-adds only, where published errors rise faster. Macs beyond the largest
published number a parameter count as that many: of a tiny network on a huge image nothing is known.
The offsets are ridge estimates: a family with few published results stays near the mean and one without any is at it.
The model ranks; it is no measurement. Its error is that on results left out, one at a time and a whole family at a
time. The fitted constants are in accuracy.json, which `scripts/fit_accuracy.py` writes from the ledger.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

FITTED = Path(__file__).with_name("accuracy.json")
KNEE = 100e6  # multiply-adds
RIDGE = 0.03  # of the offsets, against a weight of 1 for all results of a family together


@dataclass(frozen=True, slots=True)
class Published:
    """One published ImageNet result of a network we count.

    Args:
        name: as the paper names it.
        preset: of the zoo, where it is one at its published input; else empty.
        family: of the zoo.
        macs: counted, at the resolution of the result.
        params: counted.
        top1: accuracy, a fraction.
        where: paper and table.
    """

    name: str
    preset: str
    family: str
    macs: int
    params: int
    top1: float
    where: str


@dataclass(frozen=True, slots=True)
class AccuracyModel:
    """The fitted model; see the top of the file.

    Args:
        intercept: log error of a network of 1 mac and 1 parameter, which nobody would build.
        macs_power: fall of the error with macs.
        params_power: fall of the error with params.
        small_power: further fall with macs, up to KNEE.
        most_macs_per_param: of any result; further macs count nothing.
        offsets: family to its offset; 0 for any other.
        num_results: published results it was fitted on.
        error_points: mean absolute error in points of top-1 on results left out one at a time.
        family_error_points: the same when all results of a family are left out together.
        rank_correlation: Spearman's, of the predictions for results left out one at a time.
    """

    intercept: float
    macs_power: float
    params_power: float
    small_power: float
    most_macs_per_param: float
    offsets: dict[str, float]
    num_results: int
    error_points: float
    family_error_points: float
    rank_correlation: float

    def log_error(self, family: str, *, params: int, macs: int) -> float:
        """Expected log of the top-1 error; can pass 0, an error of 1, for networks far below those published."""
        macs = min(macs, round(self.most_macs_per_param * params))
        powers = (self.macs_power, self.params_power, self.small_power)
        fall = sum(power * size for power, size in zip(powers, _sizes(max(1, macs), max(1, params)), strict=True))
        return self.intercept - fall + self.offsets.get(family, 0.0)

    def top1(self, family: str, *, params: int, macs: int) -> float:
        """Expected ImageNet top-1 accuracy, a fraction; never below 0."""
        return max(0.0, 1.0 - math.exp(self.log_error(family, params=params, macs=macs)))


@cache
def accuracy_model() -> AccuracyModel:
    """The model that ships with sprat."""
    return AccuracyModel(**json.loads(FITTED.read_bytes())["model"])


@cache
def published_results() -> tuple[Published, ...]:
    """The results it was fitted on."""
    return tuple(Published(**values) for values in json.loads(FITTED.read_bytes())["results"])


def fit(results: Sequence[Published]) -> AccuracyModel:
    """The model of published results, with its cross-validated error."""
    families = sorted({result.family for result in results})
    truth = np.array([result.top1 for result in results])
    alone, apart = np.zeros(len(results)), np.zeros(len(results))
    for index, result in enumerate(results):
        others = [*results[:index], *results[index + 1 :]]
        alone[index] = _predict(_solve(others, families), families, result)
        strangers = [other for other in results if other.family != result.family]
        apart[index] = _predict(_solve(strangers, families), families, result)
    solved = _solve(results, families)
    return AccuracyModel(
        intercept=round(solved[0], 5),
        macs_power=round(-solved[1], 5),
        params_power=round(-solved[2], 5),
        small_power=round(-solved[3], 5),
        most_macs_per_param=round(max(result.macs / result.params for result in results), 2),
        offsets={family: round(value, 5) for family, value in zip(families, solved[4:], strict=True)},
        num_results=len(results),
        error_points=round(100 * float(np.abs(alone - truth).mean()), 2),
        family_error_points=round(100 * float(np.abs(apart - truth).mean()), 2),
        rank_correlation=round(_spearman(alone, truth), 4),
    )


def to_json(results: Sequence[Published]) -> str:
    """The text of accuracy.json: the results and the model fitted on them."""
    values = {"model": asdict(fit(results)), "results": [asdict(result) for result in results]}
    return json.dumps(values, indent=1) + "\n"


def _sizes(macs: int, params: int) -> tuple[float, float, float]:
    return math.log(macs), math.log(params), min(0.0, math.log(macs / KNEE))


def _solve(results: Sequence[Published], families: Sequence[str]) -> list[float]:
    """Intercept, slopes and one offset a family, by least squares with a penalty on the offsets."""
    rows = [[1.0, *_sizes(r.macs, r.params), *(float(r.family == f) for f in families)] for r in results]
    penalty = np.diag([0.0, 0.0, 0.0, 0.0, *([RIDGE] * len(families))])
    x, y = np.array(rows), np.log(1 - np.array([result.top1 for result in results]))
    # Every family weighs alike, whether its paper prints two rows or ten.
    weight = np.array([1 / math.sqrt(sum(other.family == result.family for other in results)) for result in results])
    solution: list[float] = np.linalg.solve(x.T @ (weight[:, None] * x) + penalty, x.T @ (weight * y)).tolist()
    return solution


def _predict(solved: Sequence[float], families: Sequence[str], result: Published) -> float:
    slopes = float(np.dot(solved[1:4], _sizes(result.macs, result.params)))
    return 1 - math.exp(solved[0] + slopes + solved[4 + families.index(result.family)])


def _spearman(left: "np.ndarray[Any, Any]", right: "np.ndarray[Any, Any]") -> float:
    ranks = [np.argsort(np.argsort(values, kind="stable"), kind="stable") for values in (left, right)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
