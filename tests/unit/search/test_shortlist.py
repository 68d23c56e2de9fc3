"""The shortlist: what stands on the front, what it says of itself, and its picture."""

import json
from pathlib import Path

import pytest

from sprat.budget import Budget
from sprat.errors import BadInput, BudgetExceeded
from sprat.image import ImageSpec
from sprat.report.front import draw_front
from sprat.search.accuracy import accuracy_model, published_results
from sprat.search.shortlist import Shortlist, shortlist

IMAGES = [ImageSpec(3, side, side) for side in (96, 128)]
FEW = ["mobilenet_v1", "shufflenet_v1_*_g3", "squeezenet_1.1"]


@pytest.fixture(scope="module")
def found() -> Shortlist:
    return shortlist(IMAGES, 1000, Budget(max_macs=60_000_000, max_bytes=800_000), models=FEW)


def test_nothing_that_fits_beats_the_front(found: Shortlist) -> None:
    fitting = [choice for choice in found.choices if choice.candidate.fits]
    for choice in found.front:
        for other in fitting:
            better = (other.top1, -other.candidate.macs, -other.candidate.expected_bytes)
            own = (choice.top1, -choice.candidate.macs, -choice.candidate.expected_bytes)
            assert better == own or not all(left >= right for left, right in zip(better, own, strict=True))
    assert 3 < len(found.front) < len(fitting) < len(found.choices)
    tops = [choice.top1 for choice in found.front]
    assert tops == sorted(tops, reverse=True)


def test_the_front_respects_the_budget_and_the_expectation_is_the_models(found: Shortlist) -> None:
    for choice in found.front:
        candidate = choice.candidate
        assert candidate.macs <= 60_000_000
        assert candidate.expected_bytes <= 800_000
        unsqueezed = accuracy_model().top1(choice.family, params=candidate.params, macs=candidate.macs)
        assert unsqueezed - 0.1 < choice.top1 <= unsqueezed + 1e-9


def test_squeezing_into_fewer_bytes_is_expected_to_cost_accuracy() -> None:
    tops = [
        shortlist([ImageSpec(3, 224, 224)], 1000, Budget(max_bytes=limit), models=["mobilenet_v1_0.5"]).front[0].top1
        for limit in (2_000_000, 420_000, 330_000)
    ]
    assert tops == sorted(tops, reverse=True)
    assert tops[0] - tops[2] > 0.02


def test_as_json_it_says_what_the_expectation_is_worth(found: Shortlist) -> None:
    values = json.loads(json.dumps(found.to_dict()))
    assert values["num_fits"] == sum(candidate["fits"] for candidate in values["candidates"])
    assert "no measurement" in values["note"]
    assert f"{accuracy_model().error_points:.1f} points" in values["note"]
    assert len(values["published"]) == len(published_results())
    assert {"MobileNetV2 1.0", "EfficientNet-B0"} <= {yardstick["name"] for yardstick in values["yardsticks"]}
    first = values["candidates"][0]
    assert first["front"]
    assert first["expected_top1"] > 0.5
    assert first["config"]["family"] == first["family"]


def test_an_impossible_budget_names_the_nearest() -> None:
    with pytest.raises(BudgetExceeded, match="try --max-macs"):
        shortlist(IMAGES, 1000, Budget(max_macs=1000), models=FEW)


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf"])
def test_the_picture_is_drawn(found: Shortlist, ending: str, tmp_path: Path) -> None:
    path = draw_front(found.to_dict(), tmp_path / f"front{ending}")
    assert path.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml", b"%PDF-")
    assert path.stat().st_size > 5_000


def test_the_picture_shows_families_and_comparisons(found: Shortlist, tmp_path: Path) -> None:
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none"}):
        text = draw_front(found.to_dict(), tmp_path / "front.svg").read_text()
    for words in (
        "mobilenet_v1",
        "shufflenet_v1",
        "later networks",
        "Multiply-adds",
        "Parameters",
        "Top-1 on ImageNet",
    ):
        assert words in text
    assert "Predicted ms" not in text  # nothing was predicted


def test_an_unknown_picture_format_is_refused(found: Shortlist, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"must end in \.png, \.svg or \.pdf"):
        draw_front(found.to_dict(), tmp_path / "front.bmp")
    with pytest.raises(BadInput, match="cannot write"):
        draw_front(found.to_dict(), tmp_path / "absent" / "front.png")
