"""Transfer against a start from nothing: `sprat fit` on 20 images a class of hand signs; the rest is the test split.

    python benchmarks/transfer.py ../shared/weights/mobilenet_v1_0.25_128_quant.tflite \\
        ../shared/data/sign-digits-train.parquet --seeds 3 --epochs 60

Each seed draws other images; both starts see the same ones, train the same network for as many epochs, and are
compressed under the same limit. Prints both figures with mean and spread, and writes them as JSON with --out.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sprat.conditions import versions
from sprat.job import fit
from sprat.weights.importing import import_weights


def subset(source: Path, folder: Path, per_class: int, seed: int) -> Path:
    """few-train.parquet with `per_class` random images of each class, few-test.parquet with all the others."""
    table = pq.read_table(source)
    labels = np.array(table.column("label").to_pylist())
    order = np.random.default_rng(seed).permutation(len(labels))
    chosen = np.concatenate([order[labels[order] == label][:per_class] for label in np.unique(labels)])
    rest = np.setdiff1d(order, chosen)
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("train", np.sort(chosen)), ("test", np.sort(rest))):
        pq.write_table(table.take(pa.array(rows)), folder / f"few-{name}.parquet", row_group_size=100)
    return folder / "few-train.parquet"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--per-class", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--max-size", default="150KB")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        imported = import_weights(given.weights)
        start = Path(folder) / "start.safetensors"
        imported.save(start)
        side = imported.manifest.image[1]
        for seed in range(given.seeds):
            data = subset(given.data, Path(folder) / f"few-{seed}", given.per_class, seed)
            for name, how in (("transfer", {"start": start}), ("scratch", {"model": imported.model, "image": side})):
                out = Path(folder) / f"{name}-{seed}"
                result = fit(data, max_size=given.max_size, epochs=given.epochs, seed=seed, out=out, **how)
                tried = out / "transfer.json"
                rows.append(
                    {
                        "start": name,
                        "seed": seed,
                        "float": result["float_accuracy"],
                        "shipped": result["test_accuracy"],
                        "size_bytes": result["size_bytes"],
                        "num_test": result["num_test"],
                        "seconds": result["seconds"],
                        "way": json.loads(tried.read_text())["chosen"] if tried.exists() else None,
                    }
                )
                print(json.dumps(rows[-1]), flush=True)
    for name in ("transfer", "scratch"):
        for kind in ("float", "shipped"):
            figures = [100 * row[kind] for row in rows if row["start"] == name]
            spread = statistics.stdev(figures) if len(figures) > 1 else 0.0
            print(f"{name:<9} {kind:<8} {statistics.mean(figures):.1f} % +- {spread:.1f} over {len(figures)} seeds")
    if given.out:
        note = {"weights": given.weights.name, "data": given.data.name, "model": imported.model, "epochs": given.epochs}
        text = json.dumps({**note, "per_class": given.per_class, "versions": versions(), "runs": rows}, indent=1)
        given.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
