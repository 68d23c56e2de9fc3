"""Write results/fit.csv from finished run folders, one row a run, sorted by name.

    python scripts/collect_results.py runs/demo runs/cifar100 ...

Rows of runs that are not named are kept.
"""

import csv
import json
import sys
from pathlib import Path

FIELDS = [
    "run",
    "data",
    "budget",
    "minutes",
    "epochs",
    "seed",
    "model",
    "image",
    "params",
    "macs",
    "size_bytes",
    "test_accuracy",
    "standard_error",
    "num_test",
    "float_accuracy",
    "onnx_agreement",
    "latency_ms",
    "seconds",
    "device",
    "threads",
    "cpu",
    "python",
    "torch",
    "onnxruntime",
]


def row_of(folder: Path) -> dict[str, object]:
    spec, result, latency = (
        json.loads((folder / name).read_text()) for name in ("spec.json", "result.json", "latency.json")
    )
    request = spec["request"]
    return {
        "run": folder.name,
        "data": Path(request["data"]).name,
        "budget": " ".join(f"{name}={value}" for name, value in request["budget"].items()),
        "minutes": request["minutes"] or "",
        "epochs": request["epochs"] or "",
        "image": "x".join(map(str, result["image"])),
        "device": spec["device"],
        "threads": spec["threads"],
        "cpu": latency["cpu"],
        **{name: spec["versions"].get(name, "") for name in ("python", "torch", "onnxruntime")},
        **{name: result[name] for name in FIELDS if name in result and name not in ("epochs", "budget", "image")},
    }


def main() -> None:
    target = Path(__file__).parents[1] / "results" / "fit.csv"
    rows = {row["run"]: row for row in csv.DictReader(target.open())} if target.exists() else {}
    rows |= {row["run"]: row for row in map(row_of, map(Path, sys.argv[1:]))}
    target.parent.mkdir(exist_ok=True)
    with target.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[name] for name in sorted(rows))
    print(f"{target.name}: {len(rows)} runs")


if __name__ == "__main__":
    main()
