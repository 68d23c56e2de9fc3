"""Pick: the plan, its order, what fits, and the message when nothing does."""

import json

import pytest
import torch

from sprat.budget import Budget
from sprat.cost import count
from sprat.errors import BadInput, BudgetExceeded, UnknownName
from sprat.image import ImageSpec
from sprat.search import pick
from sprat.search.pool import trained
from sprat.search.size_model import DEFAULT_BITS, MIN_BITS, footprint
from sprat.zoo import build, config_from_dict

CIFAR = ImageSpec(3, 32, 32)
FEW = ["mobilenet_v1_0.125", "mobilenet_v1_0.25", "mobilenet_v1_0.5", "shufflenet_v1_0.25_g3", "squeezenet_1.1_bn_0.25"]


def test_the_whole_pool_is_ranked() -> None:
    plan = pick([CIFAR], 10, Budget(max_bytes=100_000), models=list(trained()))
    assert len(plan.candidates) == 48
    fits = [candidate.fits for candidate in plan.candidates]
    assert fits == sorted(fits, reverse=True)
    assert any(fits)
    assert not all(fits)
    for group in (True, False):
        scores = [candidate.score for candidate in plan.candidates if candidate.fits is group]
        assert scores == sorted(scores, reverse=True)
    assert plan.chosen is plan.candidates[0]
    assert all(candidate.fits == (not candidate.excess) for candidate in plan.candidates)
    assert all(candidate.expected_bytes <= 100_000 for candidate in plan.candidates if candidate.fits)


def test_figures_are_those_of_the_network() -> None:
    chosen = pick([CIFAR], 10, Budget(max_bytes=100_000), models=FEW).chosen
    cost = count(build(config_from_dict(chosen.architecture), chosen.image, 10), chosen.image)
    assert (chosen.params, chosen.macs, chosen.peak_bytes) == (cost.params, cost.macs, cost.peak_bytes)


def test_without_limits_the_default_bits_are_expected() -> None:
    plan = pick([CIFAR], 10, Budget(), models=["mobilenet_v1_0.25"])
    cost = count(build(config_from_dict(plan.chosen.architecture), CIFAR, 10), CIFAR)
    assert plan.chosen.expected_bytes == footprint(cost.layers).bytes_at(DEFAULT_BITS)
    assert plan.chosen.fits


def test_a_tighter_budget_lowers_score_and_bytes_until_nothing_fits() -> None:
    loose = pick([CIFAR], 10, Budget(), models=["mobilenet_v1_0.25"]).chosen
    parts = footprint(count(build(config_from_dict(loose.architecture), CIFAR, 10), CIFAR).layers)
    floor = parts.bytes_at(MIN_BITS)
    seen = [
        pick([CIFAR], 10, Budget(max_bytes=limit), models=["mobilenet_v1_0.25"]).chosen
        for limit in (loose.expected_bytes, 85_000, 65_000, floor)
    ]
    assert [candidate.expected_bytes for candidate in seen] == [loose.expected_bytes, 85_000, 65_000, floor]
    scores = [loose.score, *(candidate.score for candidate in seen)]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 5
    with pytest.raises(BudgetExceeded):
        _ = pick([CIFAR], 10, Budget(max_bytes=floor - 1), models=["mobilenet_v1_0.25"]).chosen


@pytest.mark.parametrize(
    ("budget", "flag"),
    [
        (Budget(max_bytes=2_000), "--max-size"),
        (Budget(max_macs=1_000), "--max-macs"),
        (Budget(max_params=100), "--max-params"),
        (Budget(max_peak_bytes=5_000), "--max-memory"),
        (Budget(max_bytes=3_000, max_macs=50_000, max_params=10**9), "--max-size"),
    ],
)
def test_an_infeasible_budget_names_one_that_works(budget: Budget, flag: str) -> None:
    plan = pick([CIFAR], 10, budget, models=FEW)
    with pytest.raises(BudgetExceeded) as caught:
        _ = plan.chosen
    message = str(caught.value)
    assert flag in message
    assert any(name in message for name in FEW)
    words = message.split("try ")[1].split()
    given = dict(zip(words[::2], words[1::2], strict=True))
    relaxed = {
        **{name: str(limit) for name, limit in _flags(budget).items()},
        **given,
    }
    again = Budget.parse(
        size=relaxed.get("--max-size"),
        macs=relaxed.get("--max-macs"),
        params=relaxed.get("--max-params"),
        memory=relaxed.get("--max-memory"),
    )
    assert pick([CIFAR], 10, again, models=FEW).chosen.fits
    assert plan.to_dict()["chosen"] is None


def _flags(budget: Budget) -> dict[str, int]:
    limits = {
        "--max-size": budget.max_bytes,
        "--max-macs": budget.max_macs,
        "--max-params": budget.max_params,
        "--max-memory": budget.max_peak_bytes,
    }
    return {flag: limit for flag, limit in limits.items() if limit is not None}


def test_what_is_over_is_said_in_words() -> None:
    plan = pick([CIFAR], 10, Budget(max_macs=5_000_000, max_bytes=100_000), models=FEW)
    over = {candidate.name: candidate.excess for candidate in plan.candidates if not candidate.fits}
    assert any("over the limit of 5.00M macs" in text for text in over["mobilenet_v1_0.25"])


def test_each_resolution_is_a_candidate_once() -> None:
    sizes = [ImageSpec(3, 64, 64), ImageSpec(3, 48, 48), ImageSpec(3, 64, 64)]
    plan = pick(sizes, 10, Budget(), models=["mobilenet_v1_0.125"])
    assert {candidate.image for candidate in plan.candidates} == set(sizes)
    assert len(plan.candidates) == 2


def test_time_moves_the_choice_to_a_cheaper_network() -> None:
    free = pick([CIFAR], 10, Budget(), models=FEW).chosen
    hurried = pick([CIFAR], 10, Budget(), models=FEW, max_train_macs=3e6).chosen
    assert hurried.macs < free.macs


def test_bytes_per_weight_overrides_the_default() -> None:
    one, two = (
        pick([CIFAR], 10, Budget(), models=["mobilenet_v1_0.25"], bytes_per_weight=given).chosen
        for given in (0.25, 1.0)
    )
    cost = count(build(config_from_dict(one.architecture), CIFAR, 10), CIFAR)
    assert two.expected_bytes - one.expected_bytes == pytest.approx(0.75 * footprint(cost.layers).weights, abs=1)


def test_candidates_go_into_plan_json() -> None:
    plan = pick([CIFAR], 10, Budget(max_bytes=60_000), models=FEW)
    values = json.loads(json.dumps(plan.to_dict()))
    assert values["chosen"] == plan.chosen.name
    assert set(values["candidates"][0]) == {
        "name",
        "config",
        "image",
        "params",
        "macs",
        "peak_bytes",
        "expected_bytes",
        "score",
        "latency_ms",
        "fits",
        "excess",
    }
    assert values["candidates"][0]["config"] == plan.chosen.architecture
    assert values["candidates"][0]["image"] == [3, 32, 32]


def test_the_same_question_gets_the_same_plan_and_draws_no_random_number() -> None:
    state = torch.get_rng_state()
    assert pick([CIFAR], 10, Budget(), models=FEW) == pick([CIFAR], 10, Budget(), models=FEW)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_more_that_is_allowed_the_better_the_choice() -> None:
    scores = [
        pick([CIFAR], 10, Budget(max_bytes=limit), models=list(trained())).chosen.score
        for limit in (20_000, 50_000, 100_000, 200_000, 500_000)
    ]
    assert scores == sorted(scores)


def test_unusable_questions_are_refused() -> None:
    with pytest.raises(BadInput, match="at least one"):
        pick([], 10, Budget())
    with pytest.raises(BadInput, match="at least 4 pixels"):
        pick([ImageSpec(3, 2, 2)], 10, Budget(), models=FEW)
    with pytest.raises(BadInput, match="bytes_per_weight"):
        pick([CIFAR], 10, Budget(), bytes_per_weight=0.0)
    with pytest.raises(BadInput, match="max_train_macs"):
        pick([CIFAR], 10, Budget(), max_train_macs=-1.0)
    with pytest.raises(BadInput, match="at least 1 class"):
        pick([CIFAR], 0, Budget(), models=FEW)
    with pytest.raises(UnknownName, match="did you mean"):
        pick([CIFAR], 10, Budget(), models=["mobilenet_0.5"])
