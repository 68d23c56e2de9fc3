"""The prior of accuracy: monotone in what should help, and in the order of the published tables."""

import math
from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from sprat.search.accuracy import accuracy_model
from sprat.search.score import score

FAMILIES = st.sampled_from(["mobilenet_v1", "shufflenet_v1", "squeezenet", "another"])
SIZES = st.integers(1_000, 10**8)
BITS = st.floats(1.6, 5.0)
STEP = st.floats(1.01, 8.0)


@given(FAMILIES, SIZES, SIZES, BITS, STEP)
def test_more_of_anything_is_better(family: str, params: int, macs: int, bits: float, step: float) -> None:
    here = score(family, params=params, macs=macs, bits=bits)
    assert 0 < here < 1
    assert score(family, params=int(params * step), macs=macs, bits=bits) > here
    more = score(family, params=params, macs=int(macs * step), bits=bits)
    assert more > here or macs * step > accuracy_model().most_macs_per_param * params
    assert more >= here
    assert score(family, params=params, macs=macs, bits=bits * step) > here


@given(FAMILIES, SIZES, SIZES, STEP)
def test_macs_beyond_what_time_allows_are_worse(family: str, params: int, macs: int, step: float) -> None:
    limited = [
        score(family, params=params, macs=count, bits=5.0, max_train_macs=macs)
        for count in (macs, int(macs * 1.01 * step))
    ]
    assert limited[1] < limited[0]


@given(FAMILIES, SIZES, SIZES)
def test_time_enough_changes_nothing(family: str, params: int, macs: int) -> None:
    free = score(family, params=params, macs=macs, bits=5.0)
    assert score(family, params=params, macs=macs, bits=5.0, max_train_macs=2.0 * macs) == free


def test_squeezing_is_gentle_at_first_and_steep_at_the_end() -> None:
    steps = [score("mobilenet_v1", params=200_000, macs=12_000_000, bits=bits) for bits in (5.0, 3.6, 2.5, 1.6, 1.0)]
    losses = [before - after for before, after in pairwise(steps)]
    assert losses == sorted(losses)
    assert losses[0] < 0.01
    assert losses[2] > 3 * losses[1]
    assert losses[3] > 0.1


def test_bits_cost_what_was_measured() -> None:
    free, *errors = (
        -math.log(score("mobilenet_v1", params=200_000, macs=12_000_000, bits=bits)) for bits in (32, 3.2, 2.5, 1.6)
    )
    assert [round(100 * (error / free - 1)) for error in errors] == [1, 3, 16]


def test_published_networks_come_in_their_published_order() -> None:
    published = [  # top-1 %, family, params, macs
        (70.6, "mobilenet_v1", 4_231_976, 568_740_352),
        (68.4, "mobilenet_v1", 2_585_560, 325_400_448),
        (67.4, "shufflenet_v1", 1_865_728, 137_460_672),
        (63.7, "mobilenet_v1", 1_331_592, 149_497_088),
        (57.5, "squeezenet", 1_248_424, 832_667_936),
        (50.6, "mobilenet_v1", 470_072, 41_030_272),
    ]
    scores = [(top1, score(family, params=params, macs=macs, bits=5.0)) for top1, family, params, macs in published]
    turned = [(better[0], worse[0]) for better, worse in combinations(scores, 2) if better[1] <= worse[1]]
    # The fit over all papers puts this pair the other way round; one point is less than its error.
    assert turned == [(68.4, 67.4)]
    assert accuracy_model().error_points > 68.4 - 67.4
