"""The main job by the command line on a folder of photos: what it leaves, and what the other commands say of it."""

import csv
import hashlib
import json
import math
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sprat import artifact, report

pytestmark = pytest.mark.slow

PROMISED = {
    "model", "size_bytes", "sha256", "fits", "test_accuracy", "float_accuracy", "num_test", "latency_ms", "macs",
    "params", "onnx_agreement", "seconds",
}  # fmt: skip
CLASSES = ["ring", "square", "triángulo"]


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every visible file: when it was written, and its content."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def test_result_states_the_shipped_file(fitted):
    assert fitted.said.code == 0, fitted.said.err
    result = read(fitted.run / "result.json")
    assert fitted.said.json() == result
    assert result.keys() >= PROMISED
    shipped = fitted.run / "model.sprat"
    assert result["size_bytes"] == os.path.getsize(shipped) <= 30_000  # noqa: PTH202
    assert result["sha256"] == hashlib.sha256(shipped.read_bytes()).hexdigest()
    assert result["onnx_bytes"] == os.path.getsize(fitted.run / "model.onnx")  # noqa: PTH202
    assert (result["fits"], result["excess"]) == (True, [])
    assert result["model"] == "mobilenet_v1_0.125"
    assert (result["image"], result["classes"]) == ([3, 24, 24], CLASSES)
    assert result["onnx_agreement"] >= 0.999
    accuracy, num = result["test_accuracy"], result["num_test"]
    assert math.isclose(result["standard_error"], math.sqrt(accuracy * (1 - accuracy) / num))
    assert min(result[key] for key in ("latency_ms", "macs", "params", "peak_bytes", "seconds", "num_test")) > 0


def test_result_agrees_with_the_files_it_came_from(fitted):
    result = read(fitted.run / "result.json")
    rows = table(fitted.run / "predictions.csv")
    assert len(rows) == result["num_test"]
    assert sum(row["label"] == row["predicted"] for row in rows) / len(rows) == pytest.approx(result["test_accuracy"])
    samples = read(fitted.run / "latency.json")["samples_ms"]
    assert result["latency_ms"] == pytest.approx(np.median(samples))
    layers = read(fitted.run / "layers.json")
    assert sum(layer["macs"] for layer in layers) == result["macs"]
    compressed = read(fitted.run / "compress.json")
    assert (
        sum(tensor["bytes"] for tensor in compressed["tensors"]) + compressed["container_bytes"]
        == (compressed["steps"][-1]["bytes"])
    )
    assert compressed["steps"][-1]["bytes"] == result["size_bytes"]
    assert [entry["phase"] for entry in map(json.loads, (fitted.run / "metrics.jsonl").read_text().splitlines())][
        :4
    ] == ["train"] * 4


def test_files_that_are_no_photos_are_listed_by_name_with_the_reason(fitted):
    data = read(fitted.run / "data.json")
    reasons = {entry["key"]: entry["reason"] for entry in data["skipped"]}
    assert reasons.keys() == {"ring/cut-off.jpg", "square/notes.jpg"}
    assert "truncated" in reasons["ring/cut-off.jpg"]
    assert "text file" in reasons["square/notes.jpg"]
    assert "2 skipped" in fitted.said.err


def test_photos_of_every_kind_are_read(fitted):
    data, rows = read(fitted.run / "data.json"), table(fitted.run / "splits.csv")
    assert {"square/print.jpg", "triángulo/turned.jpg", "triángulo/deep.png"} <= {row["key"] for row in rows}
    assert len(rows) == 3 * 40 + 3 == sum(map(sum, data["counts"].values()))
    assert data["sizes"] == {"min": [24, 24], "median": [24, 24], "max": [48, 24]}  # stored 24 high and 48 wide
    assert {(row["key"].split("/")[0], CLASSES[int(row["label"])]) for row in rows} == {(c, c) for c in CLASSES}
    assert all(count >= 4 for split in ("val", "test") for count in data["counts"][split])


def test_figures_of_the_page_come_from_the_files(fitted):
    page = (fitted.run / "report.html").read_text()
    facts = report.facts(fitted.run)
    result = read(fitted.run / "result.json")
    assert facts["differences"] == []
    assert facts["finished"]
    assert facts["fits"]
    assert facts["test"]["accuracy"] == pytest.approx(result["test_accuracy"])
    assert facts["files"]["sprat"]["sha256"] == result["sha256"]
    for shown in (f"{result['size_bytes']:,}", f"{100 * result['test_accuracy']:.2f}", result["sha256"], *CLASSES):
        assert shown in page
    assert "sprat fit photos --max-size 30KB --epochs 4" in page


def test_predictions_equal_those_of_plain_onnx_runtime(fitted, cli, tmp_path):
    """What an application sees that knows nothing of sprat: pixels of any size in, probabilities out."""
    import onnxruntime

    source = Image.open(fitted.folder / "photos" / "square" / "07.png").resize((50, 37))
    source.save(tmp_path / "photo.png")
    session = onnxruntime.InferenceSession(str(fitted.run / "model.onnx"), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    assert (given.type, given.shape[3]) == ("tensor(uint8)", 3)
    (row,) = session.run(None, {given.name: np.asarray(source)[None]})[0]
    names = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
    assert names == CLASSES
    expected = dict(zip(names, map(float, row), strict=True))
    for shipped in ("model.sprat", "model.onnx"):
        answer = cli("predict", str(fitted.run / shipped), "photo.png", "--json", cwd=tmp_path)
        assert answer.code == 0, answer.err
        (image,) = answer.json()["images"]
        seen = {entry["class"]: entry["probability"] for entry in image["top"]}
        assert seen == pytest.approx(expected, abs=1e-4)
        assert list(seen) == sorted(expected, key=lambda name: -expected[name])


def test_predict_goes_on_after_a_file_that_is_no_image(fitted, cli):
    said = cli(
        "predict", "run/model.sprat", "photos/square/notes.jpg", "photos/square/print.jpg", "photos/ring/03.png",
        "--top", "1", "--json", cwd=fitted.folder,
    )  # fmt: skip
    assert said.code == 0
    assert "photos/square/notes.jpg skipped" in said.err
    answer = said.json()
    assert [entry["image"] for entry in answer["images"]] == ["photos/square/print.jpg", "photos/ring/03.png"]
    assert [entry["image"] for entry in answer["skipped"]] == ["photos/square/notes.jpg"]
    assert all(len(entry["top"]) == 1 for entry in answer["images"])
    only = cli("predict", "run/model.sprat", "photos/square/notes.jpg", cwd=fitted.folder)
    assert only.code == 1
    assert "notes.jpg" in only.line()


@pytest.mark.parametrize("shipped", ["model.sprat", "model.onnx"])
def test_eval_of_either_file_gives_the_test_accuracy(fitted, cli, shipped):
    result = read(fitted.run / "result.json")
    said = cli("eval", f"run/{shipped}", "photos", "--json", cwd=fitted.folder)
    assert said.code == 0, said.err
    seen = said.json()
    assert (seen["num"], seen["split"]) == (result["num_test"], "test")
    assert seen["accuracy"] == pytest.approx(result["test_accuracy"])
    assert seen["standard_error"] == pytest.approx(result["standard_error"])
    assert sum(entry["num"] * (entry["accuracy"] or 0) for entry in seen["classes"]) == pytest.approx(
        seen["accuracy"] * seen["num"]
    )


def test_inspect_accounts_for_every_byte(fitted, cli):
    said = cli("inspect", "run/model.sprat", "--json", cwd=fitted.folder)
    assert said.code == 0, said.err
    seen = said.json()
    payload = sum(tensor["bytes"] for tensor in seen["tensors"])
    shipped = fitted.run / "model.sprat"
    assert payload + seen["container_bytes"] == seen["size_bytes"] == len(shipped.read_bytes())
    assert seen["container_bytes"] == artifact.container_bytes(shipped)
    assert seen["manifest"]["classes"] == CLASSES
    result = read(fitted.run / "result.json")
    assert sum(layer["macs"] for layer in seen["layers"]) == result["macs"]
    assert sum(layer["params"] for layer in seen["layers"]) == result["params"]
    assert seen["tensors"] == read(fitted.run / "compress.json")["tensors"]


def test_report_writes_the_same_page_again(own, cli):
    page = own.run / "report.html"
    before = page.read_bytes()
    page.write_text("something else")
    said = cli("report", "run", cwd=own.folder)
    assert (said.code, said.out) == (0, "run/report.html\n")
    assert page.read_bytes() == before


def test_the_same_command_again_returns_at_once_and_makes_no_more_than_the_page(own, cli):
    before = tree(own.run)
    start = time.perf_counter()
    said = cli(*own.command, "--json", cwd=own.folder)
    assert said.code == 0, said.err
    assert said.json() == own.said.json()
    after = tree(own.run)
    assert after.pop("report.html")[1] == before.pop("report.html")[1]
    assert after == before
    assert time.perf_counter() - start < max(15, 0.7 * own.said.json()["seconds"])  # it mostly imports torch
    assert "finished" in said.err


def test_another_request_is_refused_with_the_difference(own, cli):
    before = tree(own.run)
    said = cli(*own.command, "--seed", "1", "--max-macs", "5M", cwd=own.folder)
    assert said.code == 2
    line = said.line()
    assert "seed: 0 there, 1 asked" in line
    assert "max_macs" in line
    assert "--out" in line
    assert tree(own.run) == before


def test_an_unfinished_run_on_changed_photos_is_refused(own, cli):
    """As killed while it verified; and meanwhile one photo became another."""
    (own.run / "report.html").unlink()
    (own.run / "result.json").unlink()
    photo = own.folder / "photos" / "ring" / "05.png"
    Image.open(photo).rotate(180).save(photo)
    before = tree(own.run)
    said = cli(*own.command, cwd=own.folder)
    assert (said.code, said.out) == (2, "")
    assert "photos has changed since run was begun" in said.err.splitlines()[-1]
    assert "Traceback" not in said.err
    assert tree(own.run) == before


def test_a_run_without_its_result_is_taken_to_the_end_again(own, cli):
    for name in ("report.html", "result.json", "model.sprat"):
        (own.run / name).unlink()
    said = cli(*own.command, "--json", cwd=own.folder)
    assert said.code == 0, said.err
    same = ("sha256", "size_bytes", "test_accuracy", "float_accuracy", "onnx_bytes", "macs", "params")
    assert {key: said.json()[key] for key in same} == {key: own.said.json()[key] for key in same}
    assert (own.run / "report.html").exists()
    assert report.facts(own.run)["differences"] == []
