import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sprat.errors import BadInput
from sprat.report import facts


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text())


def change(folder: Path, name: str, **values: Any) -> None:
    (folder / name).write_text(json.dumps({**read(folder, name), **values}))


def test_figures_equal_those_recomputed_another_way(run_folder: Path) -> None:
    known, result = facts(run_folder), read(run_folder, "result.json")
    with (run_folder / "predictions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    right = [row["label"] == row["predicted"] for row in rows]
    content = (run_folder / "model.sprat").read_bytes()
    samples = read(run_folder, "latency.json")["samples_ms"]
    layers = read(run_folder, "layers.json")
    steps = read(run_folder, "compress.json")["steps"]

    assert known["test"]["num"] == len(rows) == 200
    assert known["test"]["accuracy"] == pytest.approx(sum(right) / len(rows)) == pytest.approx(result["test_accuracy"])
    assert known["test"]["standard_error"] == pytest.approx(np.std(right) / np.sqrt(len(rows)))
    for label, counts in enumerate(known["test"]["confusion"]):
        for predicted, count in enumerate(counts):
            assert count == sum(row["label"] == str(label) and row["predicted"] == str(predicted) for row in rows)
    assert known["files"]["sprat"]["size_bytes"] == len(content) == steps[-1]["bytes"]
    assert known["files"]["sprat"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert known["files"]["onnx"]["size_bytes"] == (run_folder / "model.onnx").stat().st_size
    assert known["latency"]["median_ms"] == pytest.approx(np.quantile(samples, 0.5))
    assert known["latency"]["p90_ms"] == pytest.approx(np.quantile(samples, 0.9))
    assert sum(known["latency"]["counts"]) + known["latency"]["above"] == len(samples)
    for key in ("params", "macs", "bytes"):
        assert known["total"][key] == sum(layer[key] for layer in layers)
        assert {row["kind"]: row[key] for row in known["kinds"]} == {
            kind: sum(layer[key] for layer in layers if layer["kind"] == kind)
            for kind in ("conv", "pointwise", "depthwise", "linear")
        }
    assert [step["bytes"] for step in known["steps"]] == [step["bytes"] for step in steps]
    assert known["steps"][-1]["times_smaller"] == steps[0]["bytes"] / len(content)
    assert known["tensors"]["all_bytes"] == len(content)
    assert known["loss_points"] == pytest.approx(100 * (result["float_accuracy"] - result["test_accuracy"]))
    counts = read(run_folder, "data.json")["counts"]
    assert {split: [row[split] for row in known["data"]["rows"]] for split in counts} == counts
    assert known["data"]["total"] == {"train": 4000, "val": 300, "test": 200, "all": 4500}
    assert known["plan"]["num_fits"] == sum(c["fits"] for c in read(run_folder, "plan.json")["candidates"])
    assert known["plan"]["chosen"]["name"] == "mobilenet_v1_0.5"
    phases = [(phase["name"], phase["first"], phase["last"]) for phase in known["training"]["phases"]]
    assert phases == [("train", 1, 20), ("prune", 21, 25), ("share", 26, 27), ("tune", 28, 32)]
    assert known["training"]["seconds"] == pytest.approx(20 * 51.3 + 12 * 55.0)
    assert known["fits"] is True
    assert known["differences"] == []
    json.dumps(known)


def test_limits_are_judged_by_what_was_measured(run_folder: Path) -> None:
    limits = {row["quantity"]: row for row in facts(run_folder)["limits"]}
    assert limits["size_bytes"]["used"] == pytest.approx(58_641 / 60_000)
    assert limits["size_bytes"]["holds"] is True
    assert limits["params"]["holds"] is None
    (run_folder / "model.sprat").write_bytes(bytes(60_001))
    known = facts(run_folder)
    assert known["fits"] is False
    assert known["limits"][0]["holds"] is False
    (run_folder / "model.sprat").write_bytes(bytes(60_000))
    assert facts(run_folder)["limits"][0]["holds"] is True


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("size_bytes", 58_640),
        ("sha256", "0" * 64),
        ("onnx_bytes", 1),
        ("test_accuracy", 0.99),
        ("num_test", 201),
        ("standard_error", 0.001),
        ("latency_ms", 0.7),
        ("latency_p90_ms", 0.9),
        ("macs", 12),
        ("params", 12),
    ],
)
def test_a_result_that_says_otherwise_is_named(run_folder: Path, key: str, value: Any) -> None:
    change(run_folder, "result.json", **{key: value})
    (difference,) = facts(run_folder)["differences"]
    assert difference.startswith(f"result.json says {key} is {value}; ")


def test_a_folder_just_begun_has_facts(run_folder: Path) -> None:
    for path in run_folder.iterdir():
        if path.is_file() and path.name != "spec.json":
            path.unlink()
    known = facts(run_folder)
    assert known["finished"] is False
    assert known["fits"] is None
    assert (known["test"], known["latency"], known["plan"], known["data"], known["layers"]) == (
        None,
        None,
        None,
        None,
        [],
    )


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no run was begun there"):
        facts(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plan.json", "{"),
        ("plan.json", "[]"),
        ("compress.json", "{}"),
        ("predictions.csv", "key,label,predicted,confidence\na,0,10,0.5\n"),
        ("predictions.csv", "key,label,predicted,confidence\na,0,-1,0.5\n"),
        ("predictions.csv", "key,label,predicted,confidence\na,0\n"),
        ("metrics.jsonl", '{"phase": "train"\n'),
    ],
)
def test_a_damaged_file_is_a_kind_error(run_folder: Path, name: str, content: str) -> None:
    (run_folder / name).write_text(content)
    with pytest.raises(BadInput, match=r"asked|not valid JSON"):
        facts(run_folder)
