"""A realistic run folder without a run: what `sprat fit` leaves, for the tests of the report."""

import csv
import hashlib
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from sprat.report import overlay

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SPLITS = {"train": 4000, "val": 300, "test": 200}
LIMIT = 60_000


def make_run(folder: Path, classes: tuple[str, ...] = CLASSES) -> Path:
    """The folder, filled: 10 classes, 32 epochs in 4 phases, 40 candidates, 28 layers, 200 predictions, 12 mistakes."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    content = rng.bytes(58_641)
    (folder / "model.sprat").write_bytes(content)
    (folder / "model.onnx").write_bytes(rng.bytes(341_907))
    _spec(folder)
    counts = _data(folder, classes, rng)
    layers = _layers(folder, len(content), rng)
    _plan(folder)
    _metrics(folder, rng)
    _compress(folder, layers, len(content))
    accuracy, num = _predictions(folder, classes, counts["test"], rng)
    latency = _latency(folder, rng)
    _write(folder, "memory.json", {
        "baseline_rss_bytes": 61_444_096,
        "peak_rss_bytes": 68_530_176,
        "network_rss_bytes": 7_086_080,
        "conditions": "VmHWM of a fresh process, onnxruntime 1.32.0, 1 thread, peak after 10 images of 32x32x3",
    })  # fmt: skip
    _write(folder, "agreement.json", {"num": 300, "agreement": 1.0, "max_abs_diff": 3.1e-6, "disagreements": []})
    _write(folder, "result.json", {
        "model": "mobilenet_v1_0.5",
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "fits": True,
        "test_accuracy": accuracy,
        "float_accuracy": accuracy + 0.005,
        "num_test": num,
        "standard_error": math.sqrt(accuracy * (1 - accuracy) / num),
        "latency_ms": latency["median_ms"],
        "latency_p90_ms": latency["p90_ms"],
        "macs": sum(layer["macs"] for layer in layers),
        "params": sum(layer["params"] for layer in layers),
        "peak_bytes": 262_144,
        "onnx_agreement": 1.0,
        "onnx_bytes": 341_907,
        "seconds": 1712.4,
        "budget": {"max_bytes": LIMIT, "max_macs": 40_000_000, "max_latency_ms": 5.0},
        "excess": [],
        "num_val": 300,
        "val_accuracy": 0.8567,
        "image": [3, 32, 32],
        "classes": list(classes),
        "warnings": ["class 'cat' has 214 training images, fewer than half of the largest class"],
        "remedies": ["loss stuck at ln(10) in epoch 2; remedy: learning rate 0.4 divided by 8, clipped gradients"],
    })  # fmt: skip
    return folder


def _write(folder: Path, name: str, value: Any) -> None:
    (folder / name).write_text(json.dumps(value))


def _csv(folder: Path, name: str, rows: list[list[Any]]) -> None:
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows(rows)
    (folder / name).write_text(table.getvalue())


def _spec(folder: Path) -> None:
    budget = {"max_bytes": LIMIT, "max_macs": 40_000_000, "max_latency_ms": 5.0}
    request = {
        "data": "photos/",
        "budget": budget,
        "image": None,
        "minutes": 30.0,
        "epochs": None,
        "models": [],
        "seed": 0,
    }
    _write(folder, "spec.json", {
        "request": request,
        "command": "sprat fit photos/ --max-size 60KB --max-macs 40M --max-latency 5ms --minutes 30 --out runs/photos",
        "versions": {"sprat": "0.1.0", "python": "3.11.2", "torch": "2.13.0+cpu", "onnxruntime": "1.32.0"},
        "device": "cpu",
        "threads": 2,
        "platform": "Linux-6.1.0-x86_64-with-glibc2.36",
    })  # fmt: skip


def _data(folder: Path, classes: tuple[str, ...], rng: np.random.Generator) -> dict[str, list[int]]:
    weights = rng.dirichlet(np.full(len(classes), 30.0))
    rows: list[list[Any]] = [["key", "label", "split"]]
    counts = {}
    for split, num in SPLITS.items():
        labels = rng.choice(len(classes), num, p=weights)
        counts[split] = np.bincount(labels, minlength=len(classes)).tolist()
        rows += [[f"{split}/{index:05d}.png", int(label), split] for index, label in enumerate(labels)]
    _csv(folder, "splits.csv", rows)
    _write(folder, "data.json", {
        "name": "photos",
        "source": "photos/",
        "classes": list(classes),
        "channels": 3,
        "counts": counts,
        "sizes": {"min": [30, 28], "median": [32, 32], "max": [64, 48]},
        "skipped": [
            {"key": "cat/IMG_0412.jpg", "reason": "truncated: 2,048 of 31,120 bytes decode"},
            {"key": "notes.txt", "reason": "text, not an image"},
            {"key": "dog/empty.png", "reason": "0 bytes"},
        ],
        "duplicates": [{"first": "train/ship/00017.png", "second": "test/ship/00181.png"}],
        "given_split": False,
        "fingerprint": hashlib.sha256(b"photos").hexdigest(),
    })  # fmt: skip
    return counts


def _layers(folder: Path, file_bytes: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    layers, channels, side = [], 3, 32
    plan = [("conv", 3, 16, 1)]
    for out, stride in (
        (32, 1),
        (64, 2),
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (256, 1),
        (256, 1),
        (256, 1),
        (256, 1),
        (512, 2),
        (512, 1),
    ):
        plan += [("depthwise", 3, 0, stride), ("pointwise", 1, out, 1)]
    for index, (kind, kernel, out, stride) in enumerate(plan):
        side, before = math.ceil(side / stride), side
        wide = out or channels
        weights = kernel * kernel * (channels if kind == "depthwise" else channels * wide)
        layers.append({
            "name": f"stages.{(index + 1) // 2}.{kind}" if index else "stem",
            "kind": kind,
            "in_shape": [channels, before, before],
            "out_shape": [wide, side, side],
            "params": weights + 2 * wide,
            "macs": weights * side * side,
        })  # fmt: skip
        channels = wide
    layers.append(
        {"name": "head", "kind": "linear", "in_shape": [512], "out_shape": [10], "params": 5130, "macs": 5120}
    )
    shares = np.array([layer["params"] for layer in layers], np.float64) * rng.uniform(0.6, 1.2, len(layers))
    sizes = np.floor(shares / shares.sum() * (file_bytes - 1500)).astype(int)
    for layer, size in zip(layers, sizes, strict=True):
        layer["bytes"] = int(size)
    _write(folder, "layers.json", layers)
    return layers


def _plan(folder: Path) -> None:
    candidates = []
    for family, start in (("mobilenet_v1", 0.0), ("shufflenet_v1", -0.01), ("squeezenet", -0.05)):
        for index in range(14 if family == "mobilenet_v1" else 13):
            width = 0.15 * 1.18**index
            params, macs = int(9e5 * width**1.9), int(4.6e7 * width**1.8)
            size = int(params * 0.36 + 1800)
            fits = size <= LIMIT and macs <= 40_000_000
            candidates.append({
                "name": f"{family}_{width:.2f}" if (family, index) != ("mobilenet_v1", 7) else "mobilenet_v1_0.5",
                "config": {"family": family, "width": width},
                "image": [3, 32, 32],
                "params": params,
                "macs": macs,
                "peak_bytes": 262_144,
                "expected_bytes": size,
                "score": 0.94 - 0.11 * width**-0.35 + start,
                "latency_ms": 1.43 if (family, index) == ("mobilenet_v1", 7) else None,
                "fits": fits,
                "excess": [] if fits else [f"size_bytes is {size:,} bytes, over the limit of {LIMIT:,} bytes"],
            })  # fmt: skip
    best = max((c for c in candidates if c["fits"]), key=lambda c: c["score"])
    best["name"] = "mobilenet_v1_0.5"
    for other in candidates:
        if other is not best and other["name"] == best["name"]:
            other["name"] = "mobilenet_v1_0.48"
    candidates.sort(key=lambda c: (not c["fits"], -c["score"]))
    _write(
        folder,
        "plan.json",
        {"chosen": best["name"], "image": [3, 32, 32], "candidates": candidates, "recipe": {"lr": 0.4}},
    )


def _metrics(folder: Path, rng: np.random.Generator) -> None:
    lines, done = [], 0
    for phase, epochs, level in (("train", 20, 0.0), ("prune", 5, 0.004), ("share", 2, 0.012), ("tune", 5, 0.006)):
        for epoch in range(1, epochs + 1):
            done += 1
            part = epoch / epochs if phase == "train" else 1.0
            accuracy = 0.865 - 0.5 * math.exp(-4 * part) - level + rng.normal(0, 0.003)
            lines.append({
                "phase": phase,
                "epoch": epoch,
                "epochs": epochs,
                "loss": 0.62 + 1.5 * math.exp(-3.2 * part) + rng.normal(0, 0.01),
                "train_accuracy": accuracy - 0.06,
                "val_loss": 0.48 + 1.3 * math.exp(-3.8 * part) + level * 3 + rng.normal(0, 0.01),
                "val_accuracy": accuracy,
                "lr": 0.4 * (1 - part) + 0.004,
                "images_per_s": 3120.0 + rng.normal(0, 40),
                "seconds": 51.3 if phase == "train" else 55.0,
            })  # fmt: skip
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def _compress(folder: Path, layers: list[dict[str, Any]], file_bytes: int) -> None:
    tensors = [
        {
            "name": f"{layer['name']}.weight",
            "shape": [layer["params"]],
            "params": layer["params"],
            "nonzero": int(layer["params"] * (1.0 if layer["kind"] == "depthwise" else 0.55)),
            "levels": 127 if layer["kind"] == "depthwise" else 15,
            "bytes": layer["bytes"],
        }
        for layer in layers
    ]
    total = 4 * sum(layer["params"] for layer in layers)
    container = file_bytes - sum(layer["bytes"] for layer in layers)
    steps = [
        {"name": "float32", "bytes": total, "val_accuracy": 0.8633},
        {"name": "prune", "bytes": int(total * 0.61), "val_accuracy": 0.8610},
        {"name": "share", "bytes": int(total * 0.125), "val_accuracy": 0.8567},
        {"name": "encode", "bytes": file_bytes, "val_accuracy": 0.8567},
    ]
    _write(folder, "compress.json", {"steps": steps, "tensors": tensors, "container_bytes": container})


def _predictions(
    folder: Path, classes: tuple[str, ...], counts: list[int], rng: np.random.Generator
) -> tuple[float, int]:
    rows: list[list[Any]] = []
    for label, count in enumerate(counts):
        for _ in range(count):
            right = rng.random() < (0.7 if label in (2, 3, 5) else 0.9)
            wrong = {3: 5, 5: 3}.get(label, int(rng.integers(len(classes)))) if len(classes) > 5 else label
            rows.append(
                [f"test/{len(rows):05d}.png", label, label if right else wrong, f"{rng.uniform(0.4, 0.999):.6f}"]
            )
    _csv(folder, "predictions.csv", [["key", "label", "predicted", "confidence"], *rows])
    entries = []
    wrong_rows = sorted((row for row in rows if row[1] != row[2]), key=lambda row: -float(row[3]))[:12]
    (folder / "mistakes").mkdir(exist_ok=True)
    for place, (key, label, predicted, confidence) in enumerate(wrong_rows):
        picture, cam = _picture(place, rng)
        names = f"mistakes/{place}.png", f"mistakes/{place}-cam.png"
        (folder / names[0]).write_bytes(overlay(picture, np.zeros_like(cam)))
        (folder / names[1]).write_bytes(overlay(picture, cam))
        entries.append({
            "key": key, "label": label, "predicted": predicted, "confidence": float(confidence),
            "image": names[0], "cam": names[1],
        })  # fmt: skip
    _write(folder, "mistakes.json", entries)
    return sum(row[1] == row[2] for row in rows) / len(rows), len(rows)


def _picture(place: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A 32x32 scene of sky, ground and one thing, and a map that looks at the thing."""
    y, x = np.mgrid[0:32, 0:32] / 31.0
    picture = np.stack([90 + 60 * y, 140 - 20 * y, 190 - 120 * y], axis=-1) + rng.normal(0, 9, (32, 32, 3))
    cx, cy, radius = rng.uniform(0.3, 0.7), rng.uniform(0.35, 0.7), rng.uniform(0.15, 0.28)
    inside = (x - cx) ** 2 + ((y - cy) * 1.4) ** 2 < radius**2
    picture[inside] = rng.uniform(20, 235, 3) + rng.normal(0, 12, (int(inside.sum()), 3))
    cam = np.exp(-((x - cx + 0.05) ** 2 + (y - cy) ** 2) / (2 * 0.16**2))
    return picture.clip(0, 255).astype(np.uint8), (cam / cam.max()).astype(np.float32)


def _latency(folder: Path, rng: np.random.Generator) -> dict[str, Any]:
    samples = [round(float(value), 4) for value in 1.31 + rng.gamma(2.2, 0.05, 200)]
    samples[17] = 4.8
    latency = {
        "median_ms": float(np.median(samples)),
        "p90_ms": float(np.percentile(samples, 90)),
        "samples_ms": samples,
        "warmup": 20,
        "threads": 1,
        "runtime": "onnxruntime 1.32.0",
        "cpu": "Intel(R) Xeon(R) Processor @ 2.70GHz",
        "load_average": 0.42,
        "input": [32, 32, 3],
    }
    _write(folder, "latency.json", latency)
    return latency
