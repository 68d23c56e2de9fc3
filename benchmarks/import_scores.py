"""Every original in ../shared/weights, imported and scored on real images beside what independent code got.

    OMP_NUM_THREADS=2 python benchmarks/import_scores.py --out results/import.csv

One line a network, data set and way of resizing: top-1 and top-5 with the binomial standard error, the reference, and
whether the figure the project asks for is met. Nothing is fine-tuned; the imported file is loaded afresh. Pictures of
imagenette are 224x224, cropped already: `--resize 0` takes them as they are. Lines of --out that are not run stay.
"""

import argparse
import csv
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from sprat.conditions import versions
from sprat.predict import score
from sprat.receive import receive
from sprat.watch import Silent

SHARED = Path(__file__).resolve().parents[2] / "shared"
SAMPLES, IMAGENETTE, CIFAR = "imagenet-samples.parquet", "imagenette224-val.parquet", "cifar10-test.parquet"
SQUEEZENET = "squeezenet1.1-openvino/squeezenet1.1.xml"

# File, data, how it is resized otherwise than published, what is asked for (from, to of top-1 and top-5, in percent),
# and what independent code got, where that is known on other images than these.
V1_SAMPLES, V1_IMAGENETTE = ((44.0, 46.0), (70.2, 72.2)), ((37.3, 39.3), (62.3, 64.3))
WHOLE, SMOOTH = {"resize": 0}, {"antialias": True}
CASES = (
    ("compressed_SqueezeNet.net", SAMPLES, {}, ((67.0, 100), (85.5, 100)), "68.0 / 86.4"),
    ("compressed_SqueezeNet.net", IMAGENETTE, {}, None, "54.5 / 78.7 (600 images)"),
    (SQUEEZENET, SAMPLES, {}, ((67.4, 100), (85.6, 100)), "68.4 / 86.6"),
    (SQUEEZENET, SAMPLES, {"resize": 256}, None, "68.4 / 86.6"),
    (SQUEEZENET, IMAGENETTE, {}, None, ""),
    ("mobilenet_v1_0.25_128_quant.tflite", SAMPLES, {}, V1_SAMPLES, "45.0 / 71.2"),
    ("mobilenet_v1_0.25_128_quant.tflite", SAMPLES, SMOOTH, V1_SAMPLES, "45.0 / 71.2"),
    ("mobilenet_v1_0.25_128_quant.tflite", IMAGENETTE, {}, V1_IMAGENETTE, "38.3 / 63.3 (300 images)"),
    ("mobilenet_v1_0.25_128_quant.tflite", IMAGENETTE, WHOLE, V1_IMAGENETTE, "38.3 / 63.3 (300 images)"),
    ("mobilenet_v1_0.25_128_quant.tflite", IMAGENETTE, {**WHOLE, **SMOOTH}, V1_IMAGENETTE, "38.3 / 63.3 (300 images)"),
    ("mobilenet_v2_1.0_224_quant.tflite", SAMPLES, {}, None, "88.0 / 97.0"),
    ("mobilenet_v2_1.0_224_quant.tflite", IMAGENETTE, {}, ((75.0, 100),), "75.7 / 93.3"),
    ("mobilenet_v2_1.0_224_quant.tflite", IMAGENETTE, WHOLE, ((75.0, 100),), "75.7 / 93.3"),
    ("mlperftiny_pretrainedResnet.h5", CIFAR, {}, ((75.3, 75.7),), "75.5"),
    ("mlperftiny_pretrainedResnet_quant.tflite", CIFAR, {}, None, ""),
    ("resnet20-cifar10.th", CIFAR, {}, ((80.8, 81.2),), "81.0"),
    ("mlperftiny_vww_96.h5", "coco128:person", {}, ((84.0, 100),), "86.3 (256 images, its float twin)"),
)


def _words(how: dict[str, Any]) -> str:
    """The options of `sprat import` that resize so; "as published" for none."""
    words = [f"--{name} {value}" if value is not True else f"--{name}" for name, value in how.items()]
    return " ".join(words) or "as published"


def _met(value: float, low: float, high: float) -> str:
    return "below" if round(value, 1) < low else "above" if round(value, 1) > high else "yes"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="lines whose file, data or resizing hold this text")
    parser.add_argument("--out", type=Path, help="CSV to write")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for file, data, how, asked, reference in CASES:
            if given.only not in f"{Path(file).name} {data} {_words(how)}":
                continue
            target = Path(folder) / f"{Path(file).stem}.safetensors"
            began = time.perf_counter()
            made = receive(str(SHARED / "weights" / file), out=target, watch=Silent(), **how)
            import_s = time.perf_counter() - began
            began = time.perf_counter()
            found = score(target, str(SHARED / "data" / data), split="all", seed=0, watch=Silent())
            top1, top5 = 100 * found["accuracy"], 100 * found["top5"]
            rows.append(
                {
                    "file": Path(file).name,
                    "network": made["origin"]["network"],
                    "model": made["model"],
                    "params": made["params"],
                    "data": data.removesuffix(".parquet"),
                    "resized": _words(how),
                    "num": found["num"],
                    "top1": f"{top1:.2f}",
                    "standard_error": f"{100 * found['standard_error']:.2f}",
                    "top5": f"{top5:.2f}",
                    "reference": reference,
                    "asked": " / ".join(f"{low:.1f} to {high:.1f}" for low, high in asked or ()),
                    "met": " / ".join(
                        _met(value, *span) for value, span in zip((top1, top5), asked or (), strict=False)
                    ),
                    "import_s": f"{import_s:.1f}",
                    "score_s": f"{time.perf_counter() - began:.0f}",
                    "threads": torch.get_num_threads(),
                    "versions": " ".join(f"{name} {version}" for name, version in versions().items()),
                }
            )
            print("  ".join(str(value) for value in list(rows[-1].values())[:13]), flush=True)
    if given.out:
        keys = ("file", "data", "resized")
        done = {tuple(row[key] for key in keys) for row in rows}
        before = list(csv.DictReader(given.out.open())) if given.out.exists() else []
        rows = [row for row in before if tuple(row[key] for key in keys) not in done] + rows
        order = [(Path(file).name, data.removesuffix(".parquet"), _words(how)) for file, data, how, *_ in CASES]
        rows.sort(key=lambda row: order.index(tuple(row[key] for key in keys)))
        with given.out.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
