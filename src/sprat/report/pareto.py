"""Pareto pictures: what each candidate costs against what it promises."""

from typing import Any

from markupsafe import Markup

from sprat.report import svg
from sprat.report.figures import family_of
from sprat.report.plot import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Plot
from sprat.report.scale import Linear, Log, padded, padded_log, short_count
from sprat.units import format_count

SHAPES = ("circle", "square", "triangle", "diamond")


def shape_of(family: str, families: list[str]) -> str:
    """The marker that stands for a family."""
    return SHAPES[families.index(family) % len(SHAPES)]


def legend_marker(family: str, families: list[str]) -> Markup:
    """The family's marker as a tiny picture beside its name."""
    size = {"class": "key", "viewBox": "0 0 14 14", "aria-hidden": "true"}
    return svg.element("svg", size, svg.marker(shape_of(family, families), 7, 7, 4.6, "point"))


def pareto(plan: dict[str, Any], quantity: str, name: str, limit: float | None) -> Markup:
    """Candidates by one cost (log scale) and score; the chosen one large, those that do not fit faded.

    Args:
        plan: `plan` of the facts.
        quantity: key of the cost in a candidate: "expected_bytes" or "macs".
        name: of the axis, with the unit.
        limit: of the budget for this cost, or None.
    """
    candidates = [candidate for candidate in plan["candidates"] if candidate[quantity] > 0]
    costs = [float(candidate[quantity]) for candidate in candidates]
    near = [limit] if limit is not None and costs and min(costs) / 3 <= limit <= max(costs) * 3 else []
    plot = Plot(
        Log(*padded_log(costs + near), LEFT, RIGHT),
        Linear(*padded([float(candidate["score"]) for candidate in candidates]), BOTTOM, TOP),
        name,
        "Score before training",
        short_count,
        lambda value: f"{value:g}",
    )
    chosen = plan["chosen"]
    # The chosen one last, so that nothing covers it; those that do not fit first.
    order = sorted(candidates, key=lambda c: (c is chosen, bool(c["fits"])))
    points = [_point(candidate, chosen, quantity, plot, plan["families"]) for candidate in order]
    label = "" if limit is None else f"limit {short_count(limit)}"
    edge = svg.path(_staircase([c for c in candidates if c["fits"]], quantity, plot), "front")
    description = f"{len(candidates)} candidates, {plan['num_fits']} fit the budget." + (
        f" Chosen: {chosen['name']}, {chosen[quantity]:,} {name}, score {chosen['score']:.3f}." if chosen else ""
    )
    return svg.chart(
        f"pareto-{quantity.replace('_', '-')}",
        (WIDTH, HEIGHT),
        f"Candidates by {name} and score",
        description,
        plot.frame(),
        plot.limit_x(limit, label) if limit is not None else "",
        edge,
        *points,
        _chosen_label(chosen, quantity, plot) if chosen else "",
    )


def _point(
    candidate: dict[str, Any], chosen: dict[str, Any] | None, quantity: str, plot: Plot, families: list[str]
) -> Markup:
    x, y = plot.x.at(candidate[quantity]), plot.y.at(candidate["score"])
    shape = shape_of(family_of(candidate), families)
    lines = [
        f"{candidate['name']} at {'x'.join(map(str, candidate['image']))}",
        f"score {candidate['score']:.4f}",
        f"{candidate['expected_bytes']:,} bytes expected",
        f"{candidate['params']:,} params, {format_count(candidate['macs'])} macs",
    ]
    if candidate.get("latency_ms") is not None:
        lines.append(f"{candidate['latency_ms']:.3g} ms")
    if candidate is chosen:
        lines.insert(1, "chosen")
        return svg.mark("\n".join(lines), svg.marker(shape, x, y, 12, "halo"), svg.marker(shape, x, y, 7, "chosen"))
    if not candidate["fits"]:
        lines.insert(1, "does not fit: " + "; ".join(map(str, candidate.get("excess") or ["over a limit"])))
        return svg.mark("\n".join(lines), svg.marker(shape, x, y, 4.4, "point-faded"))
    return svg.mark("\n".join(lines), svg.marker(shape, x, y, 4.8, "point"))


def _staircase(candidates: list[dict[str, Any]], quantity: str, plot: Plot) -> list[tuple[float, float]]:
    """The best score to be had up to each cost, as the corners of a stair."""
    corners: list[tuple[float, float]] = []
    best = float("-inf")
    for candidate in sorted(candidates, key=lambda c: (c[quantity], -c["score"])):
        if candidate["score"] <= best:
            continue
        best = candidate["score"]
        x, y = plot.x.at(candidate[quantity]), plot.y.at(best)
        if corners:
            corners.append((x, corners[-1][1]))
        corners.append((x, y))
    return corners


def _chosen_label(chosen: dict[str, Any], quantity: str, plot: Plot) -> Markup:
    x, y = plot.x.at(chosen[quantity]), plot.y.at(chosen["score"])
    left = x > (LEFT + RIGHT) / 2
    above = y > TOP + 30
    return svg.text(
        x + (-4 if left else 4), y + (-18 if above else 30), chosen["name"], "label", "end" if left else "start"
    )
