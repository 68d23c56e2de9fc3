"""Write results/fit.csv from finished run folders, one row a run, and the README's table from it.

    python scripts/collect_results.py runs/demo runs/cifar100 ...

Rows of runs that are not named are kept. `tests/unit/test_results.py` checks that the table is current.
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
    spec, result, latency, plan = (
        json.loads((folder / name).read_text()) for name in ("spec.json", "result.json", "latency.json", "plan.json")
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
        "threads": plan.get("threads", spec["threads"]),
        "cpu": latency["cpu"],
        **{name: spec["versions"].get(name, "") for name in ("python", "torch", "onnxruntime")},
        **{name: result[name] for name in FIELDS if name in result and name not in ("epochs", "budget", "image")},
    }


ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- results: scripts/collect_results.py -->", "<!-- end of results -->"


def table(rows: list[dict[str, str]]) -> str:
    """The README's table of the runs."""
    lines = [
        "| data | asked | network | file, bytes | test top-1 | before compression | 1 image, 1 thread | trained on |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        asked = f"{int(row['budget'].removeprefix('max_bytes=')):,} bytes" + (
            f", {float(row['minutes']):g} min" if row["minutes"] else ""
        )
        percent, error, before = (
            100 * float(row[key]) for key in ("test_accuracy", "standard_error", "float_accuracy")
        )
        lines.append(
            f"| `{row['data']}` | {asked} | {row['model']} at {row['image']} | {int(row['size_bytes']):,} | "
            f"{percent:.2f} % ± {error:.2f} (n = {int(row['num_test']):,}) | {before:.2f} % | "
            f"{float(row['latency_ms']):.3g} ms | "
            f"{row['device']}, {row['threads']} thread{'s' if row['threads'] != '1' else ''} |"
        )
    return "\n".join(lines)


def current(text: str) -> str:
    """The README with its table made anew."""
    rows = list(csv.DictReader((ROOT / "results" / "fit.csv").read_text().splitlines()))
    head, rest = text.split(BEGIN)
    return f"{head}{BEGIN}\n{table(rows)}\n{END}{rest.split(END)[1]}"


def main() -> None:
    target = ROOT / "results" / "fit.csv"
    rows = {row["run"]: row for row in csv.DictReader(target.read_text().splitlines())} if target.exists() else {}
    rows |= {row["run"]: row for row in map(row_of, map(Path, sys.argv[1:]))}
    target.parent.mkdir(exist_ok=True)
    with target.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[name] for name in sorted(rows))
    readme = ROOT / "README.md"
    readme.write_text(current(readme.read_text()))
    print(f"{target.name}: {len(rows)} runs")


if __name__ == "__main__":
    main()
