"""Registry and request: unknown names and impossible requests are refused with help."""

import pytest

from sprat.errors import BadInput, UnknownName
from sprat.request import Request
from sprat.zoo.family import FAMILIES


def test_did_you_mean():
    with pytest.raises(UnknownName, match="did you mean mobilenet_v1"):
        FAMILIES.get("mobilnet_v1")


def test_families_are_found_by_their_files():
    assert {"mobilenet_v1", "shufflenet_v1", "squeezenet"} <= set(FAMILIES)


@pytest.mark.parametrize(
    "wrong",
    [{"minutes": 3.0, "epochs": 2}, {"minutes": 0.0}, {"epochs": 0}, {"image": 2}, {"image": 5000}, {"seed": -1}],
)
def test_impossible_requests(wrong):
    with pytest.raises(BadInput):
        Request(data="digits", **wrong)
