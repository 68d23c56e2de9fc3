"""Waterfall: from float32 bytes to the file, step by step."""

from typing import Any

from markupsafe import Markup

from sprat.report import svg
from sprat.report.plot import WIDTH
from sprat.report.scale import Linear

ROW, BAR = 52.0, 20.0
NAMES = {
    "float32": "float32 weights",
    "prune": "small weights set to zero",
    "share": "few shared values",
    "encode": "entropy coded: the file",
}


def step_name(name: str) -> str:
    """What a step does, in words; its own name where we have none."""
    return NAMES.get(name, name)


def waterfall(steps: list[dict[str, Any]], limit: int | None) -> Markup:
    """A bar a step, what it took away hatched behind it, the limit as a dashed line.

    Args:
        steps: `steps` of the facts, at least one.
        limit: bytes of the budget, or None.
    """
    largest = max(step["bytes"] for step in steps)
    scale = Linear(0, largest, 2, WIDTH - 2)
    rows = []
    for place, step in enumerate(steps):
        top = place * ROW
        before = steps[place - 1]["bytes"] if place else step["bytes"]
        kept, had = scale.at(step["bytes"]), scale.at(before)
        final = place == len(steps) - 1
        change = f" ({100 * step['change']:+.1f} %)".replace("-", "−") if place else ""
        bar_top = top + 24
        shapes = [
            svg.text(2, top + 17, step_name(step["name"]), "label" if final else "name"),
            svg.text(
                WIDTH - 2, top + 17, f"{step['bytes']:,}{change}", "label figure" if final else "tick figure", "end"
            ),
            svg.rect(kept, bar_top, had - kept, BAR, "bar-gone"),
            svg.rect(2, bar_top, max(1.5, kept - 2), BAR, "bar-final" if final else "bar"),
        ]
        read_out = f"{step_name(step['name'])}\n{step['bytes']:,} bytes"
        if step["val_accuracy"] is not None:
            read_out += f"\nvalidation accuracy {100 * step['val_accuracy']:.2f} %"
        rows.append(svg.mark(read_out, *shapes))
    height = ROW * len(steps)
    mark = Markup("")
    if limit is not None and limit <= largest:
        mark = svg.line(scale.at(limit), height - ROW + 20, scale.at(limit), height - 2, "limit-strong")
    first, last = steps[0]["bytes"], steps[-1]["bytes"]
    return svg.chart(
        "waterfall",
        (WIDTH, height),
        "Bytes after each compression step",
        f"From {first:,} bytes of float32 weights to {last:,} bytes in {len(steps) - 1} steps.",
        *rows,
        mark,
    )
