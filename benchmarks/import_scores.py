"""Every original in ../shared/weights, imported and scored on real images beside what independent code got.

    OMP_NUM_THREADS=2 python benchmarks/import_scores.py --out results/import.csv

One line a network and data set: top-1 and top-5 with the binomial standard error, the reference, and whether the figure
the project asks for is met. Nothing is fine-tuned; the imported file is loaded afresh.
"""

import argparse
import csv
import tempfile
import time
from pathlib import Path

import torch

from sprat.conditions import versions
from sprat.predict import score
from sprat.receive import receive
from sprat.watch import Silent

SHARED = Path(__file__).resolve().parents[2] / "shared"
SAMPLES, IMAGENETTE, CIFAR = "imagenet-samples.parquet", "imagenette224-val.parquet", "cifar10-test.parquet"
SQUEEZENET = "squeezenet1.1-openvino/squeezenet1.1.xml"

# File, data, what is asked for (top-1, top-5, in percent), and what independent code got.
CASES = (
    ("compressed_SqueezeNet.net", SAMPLES, (67.0, 85.5), "68.0 / 86.4"),
    ("compressed_SqueezeNet.net", IMAGENETTE, None, "54.5 / 78.7 (600 images)"),
    (SQUEEZENET, SAMPLES, (67.4, 85.6), "68.4 / 86.6"),
    (SQUEEZENET, IMAGENETTE, None, ""),
    ("mobilenet_v1_0.25_128_quant.tflite", SAMPLES, (44.0, 70.2), "45.0 / 71.2 (a thousand images)"),
    ("mobilenet_v1_0.25_128_quant.tflite", IMAGENETTE, (37.3, 62.3), "38.3 / 63.3 (300 images)"),
    ("mobilenet_v2_1.0_224_quant.tflite", SAMPLES, None, "88.0 / 97.0"),
    ("mobilenet_v2_1.0_224_quant.tflite", IMAGENETTE, (75.0, 0.0), "75.7 / 93.3"),
    ("mlperftiny_pretrainedResnet.h5", CIFAR, (75.3, 0.0), "75.5"),
    ("mlperftiny_pretrainedResnet_quant.tflite", CIFAR, None, ""),
    ("resnet20-cifar10.th", CIFAR, (80.8, 0.0), "81.0"),
    ("mlperftiny_vww_96.h5", "coco128:person", (84.0, 0.0), "86.3 (256 images, its float twin)"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="files whose name holds this text")
    parser.add_argument("--out", type=Path, help="CSV to write")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for file, data, asked, reference in CASES:
            if given.only not in file:
                continue
            target = Path(folder) / f"{Path(file).stem}.safetensors"
            began = time.perf_counter()
            made = receive(str(SHARED / "weights" / file), out=target, watch=Silent())
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
                    "num": found["num"],
                    "top1": f"{top1:.2f}",
                    "standard_error": f"{100 * found['standard_error']:.2f}",
                    "top5": f"{top5:.2f}",
                    "reference": reference,
                    "asked": "" if asked is None else " / ".join(f"{value:.1f}" for value in asked if value),
                    "met": "" if asked is None else "yes" if top1 >= asked[0] and top5 >= asked[1] else "no",
                    "import_s": f"{import_s:.1f}",
                    "score_s": f"{time.perf_counter() - began:.0f}",
                    "threads": torch.get_num_threads(),
                    "versions": " ".join(f"{name} {version}" for name, version in versions().items()),
                }
            )
            print("  ".join(str(value) for value in list(rows[-1].values())[:12]), flush=True)
    if given.out:
        with given.out.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
