"""Calibrate: measure kernels on this machine, in random networks, so that any network's latency can be predicted."""

import itertools
import math
import tempfile
import time
from collections import defaultdict
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from sprat.bench.condition import load_average
from sprat.bench.profile import Profiled, profile
from sprat.bench.synthetic import synthetic
from sprat.bench.worker import noise_image
from sprat.errors import BadInput
from sprat.export.session import INPUT, open_session
from sprat.latency import Kind, LatencyModel, Measured, Row, fit, processor, runtime
from sprat.watch import Watcher

BUSY = 1.5  # load average, this process included, from which times are not to be trusted
LEAST_NETWORKS = 12
FIRST_ROUND = 0.4  # of the time for networks not seen before; the rest measures the same ones again
BURST_S = 0.06  # of repeated calls, before and after the profile
PROFILE_S = 0.1


def calibrate(minutes: float, watcher: Watcher, *, max_macs: float = 6e8) -> LatencyModel:
    """The latency model of this machine, from as many random networks as the time allows; some 250 are enough.

    Each network runs in ONNX Runtime on one thread as `sprat.bench.latency` runs it: timed, profiled, timed again; and
    once or twice more some minutes later. The lowest of the medians count, and a network whose time and profile
    disagree is left out, so that what other programs do meanwhile matters little.

    Args:
        minutes: to measure; fitting takes some seconds more.
        watcher: told how far it is.
        max_macs: multiply-adds of the largest network.

    Raises:
        BadInput: not above 0 minutes, or onnxruntime or onnx is not installed.
    """
    if not minutes > 0:
        raise BadInput(f"calibrating for {minutes:g} minutes measures nothing; give some, such as --minutes 4")
    start, loads, block = time.monotonic(), [load_average()], 1
    networks: list[Measured] = []
    with tempfile.TemporaryDirectory() as folder:
        for turn in itertools.count():
            passed = (time.monotonic() - start) / (60 * minutes)
            if passed >= 1 and len(networks) >= LEAST_NETWORKS:
                break
            if passed < FIRST_ROUND or len(networks) < LEAST_NETWORKS:
                measured, profiled = _measure(Path(folder) / "network.onnx", turn, max_macs)
                networks.append(measured)
                block = max(block, profiled.block)
            else:
                seed = turn % len(networks)
                again, _ = _measure(Path(folder) / "network.onnx", seed, max_macs)
                networks[seed] = _lower(networks[seed], again)
            loads.append(load_average())
            watcher.progress("calibrate", min(1.0, passed), f"{len(networks)} networks")
    seen = [load for load in loads if load is not None]
    conditions: dict[str, Any] = {
        "processor": processor(),
        "runtime": runtime(),
        "threads": 1,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "minutes": round((time.monotonic() - start) / 60, 2),
        "num_networks": len(networks),
        "num_kernels": sum(len(network.rows) for network in networks),
        "load_average": max(seen) if seen else None,
    }
    watcher.progress("calibrate", 1.0, "fitting")
    model, found = fit(networks, block, conditions)
    conditions |= {
        "num_different_kernels": len(model.rows),
        "kinds": {Kind(kind).name: int((model.rows[:, 0] == kind).sum()) for kind in model.laws},
        "cross_validation": asdict(found),
        "busy": bool(seen and max(seen) > BUSY),
    }
    return model


def _lower(first: Measured, second: Measured) -> Measured:
    """The lower times of two measurements of one network; equal kernels share their mean.

    By kernel and not by position, as the runtime orders branches differently each time it opens a file.
    """
    means = [_means(measured) for measured in (first, second)]
    us = tuple(min(mean.get(row, math.inf) for mean in means) for row in first.rows)
    return Measured(first.rows, us, min(first.total_us, second.total_us))


def _means(measured: Measured) -> dict[Row, float]:
    times: dict[Row, list[float]] = defaultdict(list)
    for row, us in zip(measured.rows, measured.us, strict=True):
        times[row].append(us)
    return {row: sum(values) / len(values) for row, values in times.items()}


def _measure(path: Path, seed: int, max_macs: float) -> tuple[Measured, Profiled]:
    size = synthetic(path, seed, max_macs)
    before = _median_us(path, size)
    profiled = profile(path, size, repeats=int(np.clip(1e6 * PROFILE_S / before, 8, 60)))
    total = min(before, _median_us(path, size))
    return Measured(profiled.rows, profiled.us, total), profiled


def _median_us(path: Path, size: tuple[int, int]) -> float:
    """Microseconds of one call, the median over a short burst."""
    session = open_session(path)
    feed = {INPUT: noise_image(*size, 3)}
    for _ in range(4):
        session.run(None, feed)
    samples: list[float] = []
    while len(samples) < 8 or (sum(samples) < BURST_S and len(samples) < 200):
        start = time.perf_counter()
        session.run(None, feed)
        samples.append(time.perf_counter() - start)
    return 1e6 * float(np.median(samples))
