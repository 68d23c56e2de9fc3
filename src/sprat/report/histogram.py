"""Histogram of the time for one image."""

from typing import Any

from markupsafe import Markup

from sprat.report import svg
from sprat.report.plot import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Plot
from sprat.report.scale import Linear


def histogram(latency: dict[str, Any]) -> Markup:
    """Samples by milliseconds, with the median and the 90th percentile.

    Args:
        latency: `latency` of the facts.
    """
    edges, counts = latency["edges"], latency["counts"]
    plot = Plot(
        Linear(edges[0], edges[-1], LEFT, RIGHT),
        Linear(0, max(counts) * 1.16, BOTTOM, TOP),
        "milliseconds",
        "Samples",
        lambda value: f"{value:g}",
        lambda value: f"{value:g}" if value == int(value) else "",
    )
    bars = []
    for low, high, count in zip(edges, edges[1:], counts, strict=False):
        if count:
            left, right, top = plot.x.at(low), plot.x.at(high), plot.y.at(count)
            shape = svg.rect(left + 0.5, top, right - left - 1, BOTTOM - top, "bar")
            bars.append(svg.mark(f"{low:.4g} to {high:.4g} ms\n{count} samples", shape))
    lines = [
        _line(plot, latency["median_ms"], "median", TOP + 2, "median"),
        _line(plot, latency["p90_ms"], "p90", TOP + 22, "limit"),
    ]
    return svg.chart(
        "latency",
        (WIDTH, HEIGHT),
        "Time for one image",
        f"{latency['num']} samples; median {latency['median_ms']:.3g} ms, 90th percentile {latency['p90_ms']:.3g} ms.",
        plot.frame(),
        *bars,
        *lines,
    )


def _line(plot: Plot, value: float, name: str, y: float, style: str) -> Markup:
    if value > plot.x.high:
        return Markup("")
    x = plot.x.at(value)
    left = x > LEFT + 0.6 * (RIGHT - LEFT)
    label = svg.text(x + (-6 if left else 6), y + 6, f"{name} {value:.3g} ms", "label", "end" if left else "start")
    return svg.line(x, TOP - 8, x, BOTTOM, style) + label
