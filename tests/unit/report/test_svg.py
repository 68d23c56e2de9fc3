import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from sprat.report import facts, svg
from sprat.report.curves import accuracy_curves, loss_curves
from sprat.report.heatmap import heatmap
from sprat.report.histogram import histogram
from sprat.report.pareto import pareto
from sprat.report.waterfall import waterfall

HOSTILE = """<script>alert("x" & 'y')</script>"""


def test_text_and_attributes_are_escaped() -> None:
    drawn = svg.element("g", {"class": HOSTILE}, HOSTILE, svg.text(1, 2, HOSTILE), svg.mark(HOSTILE))
    assert "<script" not in drawn
    parsed = ElementTree.fromstring(drawn)
    assert parsed.attrib["class"] == HOSTILE
    assert parsed.text == HOSTILE
    assert parsed.findtext("text") == HOSTILE
    assert parsed.findtext("g/title") == HOSTILE


def test_numbers_are_short() -> None:
    assert [svg.number(value) for value in (1.0, 1.26, -0.04, -3.5, 0)] == ["1", "1.3", "0", "-3.5", "0"]


@pytest.mark.parametrize("shape", ["circle", "square", "triangle", "diamond"])
def test_markers(shape: str) -> None:
    ElementTree.fromstring(svg.marker(shape, 5, 5, 4, "point"))


def test_every_chart_is_well_formed_named_and_described(run_folder: Path) -> None:
    known = facts(run_folder)
    charts = [
        accuracy_curves(known["training"]),
        loss_curves(known["training"]),
        pareto(known["plan"], "expected_bytes", "expected bytes", 60_000),
        pareto(known["plan"], "macs", "multiply-adds", None),
        waterfall(known["steps"], 60_000),
        heatmap(known["test"]["confusion"], known["classes"]),
        histogram(known["latency"]),
    ]
    keys = set()
    for chart in charts:
        root = ElementTree.fromstring(chart)
        assert root.attrib["role"] == "img"
        title, description = root.find("title"), root.find("desc")
        assert title is not None
        assert title.text
        assert description is not None
        assert description.text
        assert root.attrib["aria-labelledby"] == f"{title.attrib['id']} {description.attrib['id']}"
        assert not {"fill", "stroke", "style"} & {name for node in root.iter() for name in node.attrib}, (
            "colours are CSS"
        )
        keys.add(title.attrib["id"])
    assert len(keys) == len(charts)


def test_pareto_shows_every_candidate_and_the_chosen_last(run_folder: Path) -> None:
    plan = facts(run_folder)["plan"]
    root = ElementTree.fromstring(pareto(plan, "macs", "multiply-adds", 40_000_000))
    marks = [node for node in root.iter("g") if node.attrib.get("class") == "mark"]
    assert len(marks) == len(plan["candidates"])
    assert "chosen" in (marks[-1].findtext("title") or "")
    faded = [mark for mark in marks if any(node.attrib.get("class") == "point-faded" for node in mark.iter())]
    assert len(faded) == len(plan["candidates"]) - plan["num_fits"]


def test_learning_curves_mark_the_phases(run_folder: Path) -> None:
    root = ElementTree.fromstring(accuracy_curves(facts(run_folder)["training"]))
    names = [node.text for node in root.iter("text") if node.attrib["class"] == "phase"]
    assert names == ["train", "prune", "share", "tune"]


@pytest.mark.parametrize("num_epochs", [1, 2])
def test_short_trainings_have_curves(num_epochs: int) -> None:
    epochs = [
        {"phase": "train", "loss": 1.0, "train_accuracy": 0.5, "val_loss": None, "val_accuracy": 0.5}
    ] * num_epochs
    training = {"epochs": epochs, "phases": [{"name": "train", "first": 1, "last": num_epochs}]}
    ElementTree.fromstring(accuracy_curves(training))
    ElementTree.fromstring(loss_curves(training))


@pytest.mark.parametrize("num", [1, 2, 21, 41, 61, 300])
def test_heat_map_of_any_number_of_classes(num: int) -> None:
    matrix = [[9 if row == column else int((row + 1) % num == column) for column in range(num)] for row in range(num)]
    drawn = heatmap(matrix, [f"class {index}" for index in range(num)])
    ElementTree.fromstring(drawn)
    assert len(drawn) < 60_000


def test_heat_map_of_many_classes_draws_each_cell_once() -> None:
    drawn = heatmap([[3 if row == column else 0 for column in range(70)] for row in range(70)], ["c"] * 70)
    assert drawn.count("h1v1h-1z") == 70


def test_waterfall_survives_a_step_that_grows() -> None:
    steps = [
        {"name": "float32", "bytes": 100, "val_accuracy": None, "change": 0.0},
        {"name": "encode", "bytes": 300, "val_accuracy": 0.5, "change": 2.0},
    ]
    assert "300 (+200.0 %)" in waterfall(steps, 50)
