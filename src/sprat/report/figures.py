"""facts(): every figure the report shows, recomputed from the raw files of the run folder."""

import csv
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from sprat.budget import Budget
from sprat.errors import BadInput
from sprat.report.confusion import score_predictions
from sprat.report.cost import cost_facts
from sprat.report.limit import limits_of
from sprat.report.measure import latency_facts
from sprat.run import Run

SPLITS = ("train", "val", "test")


def facts(run_folder: Path) -> dict[str, Any]:
    """All figures of a run as JSON values; a part whose file is not there yet is None or empty.

    Accuracy and its kin come from predictions.csv, sizes from the shipped files themselves, times from the samples,
    sums from layers.json and compress.json. `differences` lists where result.json says otherwise.

    Args:
        run_folder: as `sprat fit` leaves it, finished or not.

    Raises:
        BadInput: the folder holds no run, or a file in it has been damaged.
    """
    run = Run(Path(run_folder))
    spec, data = run.read_json("spec.json"), run.read_json("data.json")
    if spec is None:
        raise BadInput(
            f"a report of {run.path} was asked; it has no spec.json, so no run was begun there; give a run folder"
        )
    try:
        return _assemble(run, spec, data)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise BadInput(
            f"a report of {run.path} was asked; a file in it is not as `sprat fit` writes it ({error!r}); "
            "run the fit again in a new folder"
        ) from error


def _assemble(run: Run, spec: dict[str, Any], data: dict[str, Any] | None) -> dict[str, Any]:
    result = run.read_json("result.json") or {}
    classes = list(data["classes"]) if data else list(result.get("classes", []))
    plan = _plan_facts(run.read_json("plan.json"))
    chosen = plan["chosen"] if plan else None
    cost = cost_facts(run.read_json("layers.json"), run.read_json("compress.json"))
    test = _test_facts(run, classes)
    latency = latency_facts(run.read_json("latency.json"))
    files = {"sprat": _file_facts(run.path / "model.sprat"), "onnx": _file_facts(run.path / "model.onnx")}
    measured = {
        "size_bytes": files["sprat"]["size_bytes"] if files["sprat"] else None,
        "params": cost["total"]["params"] if cost["layers"] else result.get("params"),
        "macs": cost["total"]["macs"] if cost["layers"] else result.get("macs"),
        "peak_bytes": result.get("peak_bytes", chosen["peak_bytes"] if chosen else None),
        "latency_ms": latency["median_ms"] if latency else None,
    }
    limits = limits_of(Budget.from_dict(spec["request"].get("budget") or {}), measured)
    float_accuracy = result.get("float_accuracy")
    return {
        "request": spec["request"],
        "command": spec.get("command", ""),
        "conditions": {
            "device": spec.get("device"),
            "threads": (run.read_json("plan.json") or {}).get("threads", spec.get("threads")),
            "platform": spec.get("platform"),
        },
        "versions": spec.get("versions", {}),
        "finished": bool(result),
        "model": result.get("model") or (chosen["name"] if chosen else None),
        "image": result.get("image") or (chosen["image"] if chosen else None),
        "seconds": result.get("seconds"),
        "classes": classes,
        "limits": limits,
        "fits": None
        if any(row["holds"] is None for row in limits if row["allowed"])
        else all(row["holds"] is not False for row in limits),
        "files": files,
        "test": test,
        "float_accuracy": float_accuracy,
        "loss_points": 100 * (float_accuracy - test["accuracy"]) if test and float_accuracy is not None else None,
        "validation": {"num": result.get("num_val"), "accuracy": result.get("val_accuracy")},
        "agreement": _agreement_facts(run.read_json("agreement.json")),
        "latency": latency,
        "memory": run.read_json("memory.json"),
        "training": _training_facts(run.read_lines("metrics.jsonl")),
        "plan": plan,
        **cost,
        "data": _data_facts(run, data),
        "mistakes": run.read_json("mistakes.json") or [],
        "warnings": [*(data or {}).get("warnings", []), *result.get("warnings", [])],
        "remedies": [_remedy_text(entry) for entry in run.read_json("remedies.json") or result.get("remedies", [])],
        "differences": _differences(result, measured, test, latency, files),
    }


def _file_facts(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    content = path.read_bytes()
    return {"name": path.name, "size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _test_facts(run: Run, classes: list[str]) -> dict[str, Any] | None:
    if not run.has("predictions.csv"):
        return None
    rows = _rows(run.path / "predictions.csv")
    if not rows:
        return None
    labels = np.array([int(row["label"]) for row in rows], np.int64)
    predicted = np.array([int(row["predicted"]) for row in rows], np.int64)
    if min(labels.min(), predicted.min()) < 0 or max(labels.max(), predicted.max()) >= len(classes):
        raise ValueError(f"predictions.csv has a class index outside 0 to {len(classes) - 1}")
    confidence = np.array([float(row["confidence"]) for row in rows])
    return {**score_predictions(labels, predicted, classes), "mean_confidence": float(confidence.mean())}


def _agreement_facts(agreement: dict[str, Any] | None) -> dict[str, Any] | None:
    if agreement is None:
        return None
    differing = len(agreement["disagreements"])
    return {
        "num": agreement["num"],
        "differing": differing,
        "agreement": 1 - differing / agreement["num"] if agreement["num"] else 1.0,
        "max_abs_diff": agreement["max_abs_diff"],
    }


def _training_facts(epochs: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Epochs numbered through all phases, and where each phase lies."""
    if not epochs:
        return None
    phases: list[dict[str, Any]] = []
    for place, entry in enumerate(epochs, start=1):
        if not phases or phases[-1]["name"] != entry["phase"]:
            phases.append({"name": entry["phase"], "first": place, "last": place, "seconds": 0.0, "val_accuracy": None})
        phases[-1]["last"] = place
        phases[-1]["seconds"] += entry.get("seconds") or 0.0
        phases[-1]["val_accuracy"] = entry.get("val_accuracy")
    return {"epochs": epochs, "phases": phases, "seconds": sum(phase["seconds"] for phase in phases)}


def _plan_facts(plan: dict[str, Any] | None) -> dict[str, Any] | None:
    """Candidates, the chosen one, and which of those that fit nobody beats in both cost and score."""
    if plan is None or not plan["candidates"]:
        return None
    candidates = plan["candidates"]
    image = plan.get("image")
    matches = [c for c in candidates if c["name"] == plan["chosen"] and image in (None, c["image"])]
    return {
        "candidates": candidates,
        "chosen": matches[0] if matches else None,
        "num_fits": sum(bool(candidate["fits"]) for candidate in candidates),
        "families": sorted({family_of(candidate) for candidate in candidates}),
    }


def family_of(candidate: dict[str, Any]) -> str:
    """The model family of an entry of plan.json."""
    return str(candidate["config"].get("family", "model"))


def _data_facts(run: Run, data: dict[str, Any] | None) -> dict[str, Any] | None:
    """Counts a class and split, from splits.csv where it is there, and what was left out."""
    if data is None:
        return None
    counts = {split: list(data["counts"][split]) for split in SPLITS}
    if run.has("splits.csv"):
        counts = {split: [0] * len(data["classes"]) for split in SPLITS}
        for row in _rows(run.path / "splits.csv"):
            counts[row["split"]][int(row["label"])] += 1
    rows = [
        {
            "name": name,
            **{split: counts[split][index] for split in SPLITS},
            "all": sum(counts[s][index] for s in SPLITS),
        }
        for index, name in enumerate(data["classes"])
    ]
    total = {split: sum(counts[split]) for split in SPLITS}
    kept = {key: data[key] for key in ("name", "source", "channels", "sizes", "skipped", "duplicates", "given_split")}
    return {**kept, "fingerprint": data["fingerprint"], "rows": rows, "total": {**total, "all": sum(total.values())}}


def _remedy_text(entry: str | dict[str, Any]) -> str:
    if isinstance(entry, str):
        return entry
    seen, remedy = entry.get("seen", ""), entry.get("remedy", "")
    return f"{seen}; remedy: {remedy}" if seen and remedy else seen or remedy or json.dumps(entry, ensure_ascii=False)


def _differences(
    result: dict[str, Any],
    measured: dict[str, Any],
    test: dict[str, Any] | None,
    latency: dict[str, Any] | None,
    files: dict[str, dict[str, Any] | None],
) -> list[str]:
    """Where result.json says something else than the raw files do."""
    seen: dict[str, tuple[str, Any]] = {
        "size_bytes": ("model.sprat", measured["size_bytes"]),
        "params": ("layers.json", measured["params"]),
        "macs": ("layers.json", measured["macs"]),
        "sha256": ("model.sprat", files["sprat"]["sha256"] if files["sprat"] else None),
        "onnx_bytes": ("model.onnx", files["onnx"]["size_bytes"] if files["onnx"] else None),
        "test_accuracy": ("predictions.csv", test["accuracy"] if test else None),
        "num_test": ("predictions.csv", test["num"] if test else None),
        "standard_error": ("predictions.csv", test["standard_error"] if test else None),
        "latency_ms": ("latency.json", latency["median_ms"] if latency else None),
        "latency_p90_ms": ("latency.json", latency["p90_ms"] if latency else None),
    }
    return [
        f"result.json says {key} is {result[key]}; {source} gives {value}"
        for key, (source, value) in seen.items()
        if value is not None and result.get(key) is not None and not _same(result[key], value)
    ]


def _same(stated: Any, value: Any) -> bool:
    """Whether two figures are equal up to rounding in the fourth digit; whole numbers and text exactly."""
    if isinstance(value, float) or isinstance(stated, float):
        return math.isclose(stated, value, rel_tol=5e-4, abs_tol=5e-5)
    return bool(stated == value)
