"""Figures of a latency measurement, from its samples."""

from typing import Any

import numpy as np

BINS = 32


def latency_facts(latency: dict[str, Any] | None) -> dict[str, Any] | None:
    """Median, 90th percentile (linear), spread, histogram of the samples, and the conditions; None without samples.

    Bins reach to the 99th percentile; `above` counts the samples beyond, so that one hiccup does not flatten the rest.
    """
    if latency is None or not latency["samples_ms"]:
        return None
    samples = np.array(latency["samples_ms"], np.float64)
    low, high = float(samples.min()), float(np.percentile(samples, 99))
    if high <= low:
        low, high = low * 0.95, low * 1.05 + 1e-6
    inside = samples[samples <= high]
    counts, edges = np.histogram(inside, bins=min(BINS, max(8, len(samples) // 5)), range=(low, high))
    return {
        "median_ms": float(np.median(samples)),
        "p90_ms": float(np.percentile(samples, 90)),
        "min_ms": float(samples.min()),
        "max_ms": float(samples.max()),
        "num": len(samples),
        "counts": counts.tolist(),
        "edges": edges.tolist(),
        "above": int(len(samples) - len(inside)),
        **{key: latency.get(key) for key in ("warmup", "threads", "runtime", "cpu", "load_average", "input")},
    }
