"""Latency: the time from one uint8 image to its probabilities, ONNX Runtime on one CPU thread."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from sprat.bench.condition import cpu_name, load_average
from sprat.bench.worker import measure_fresh, noise_image
from sprat.export.session import INPUT, open_session


def latency(path: Path, size: tuple[int, int], *, repeats: int = 200, warmup: int = 20) -> dict[str, Any]:
    """Latency of an .onnx file as latency.json holds it: median and 90th percentile in ms, every sample, conditions.

    Measured in a fresh process that runs nothing else: one image a call, one thread, nodes in sequence, after `warmup`
    calls that are not counted. The image has the network's own size, so no resizing is timed;
    casting and normalising are.

    Args:
        path: a file made by `to_onnx`.
        size: (height, width) of the image.
        repeats: calls timed.
        warmup: calls before them.

    Raises:
        BadArtifact: the file cannot be run.
    """
    return measure_fresh("sprat.bench.latency", path, *size, repeats, warmup)


def measure(path: Path, height: int, width: int, repeats: int, warmup: int) -> dict[str, Any]:
    """`latency`, in this process."""
    import onnxruntime

    before = load_average()
    session = open_session(path, threads=1)
    image = noise_image(height, width, session.get_inputs()[0].shape[3])
    feed = {INPUT: image}
    for _ in range(warmup):
        session.run(None, feed)
    samples = []
    for _ in range(repeats):
        start = time.perf_counter()
        session.run(None, feed)
        samples.append(round((time.perf_counter() - start) * 1000, 4))
    return {
        "median_ms": float(np.median(samples)),
        "p90_ms": float(np.percentile(samples, 90)),
        "samples_ms": samples,
        "warmup": warmup,
        "threads": 1,
        "runtime": f"onnxruntime {onnxruntime.__version__}",
        "cpu": cpu_name(),
        "load_average": before,
        "input": list(image.shape[1:]),
    }


def main() -> None:
    """Entry of the fresh process: FILE HEIGHT WIDTH REPEATS WARMUP; prints JSON."""
    height, width, repeats, warmup = map(int, sys.argv[2:])
    print(json.dumps(measure(Path(sys.argv[1]), height, width, repeats, warmup)))
