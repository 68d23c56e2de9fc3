"""write(): the page, from the facts and the template beside this file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from sprat.atomic import write_atomic
from sprat.report.curves import accuracy_curves, loss_curves
from sprat.report.figures import facts
from sprat.report.heatmap import CELLS_UP_TO, heatmap
from sprat.report.histogram import histogram
from sprat.report.pareto import legend_marker, pareto
from sprat.report.picture import gallery
from sprat.report.waterfall import step_name, waterfall
from sprat.units import format_count, format_duration

LISTED = 50  # skipped files and duplicates shown by name; the rest are counted, data.json has them all
NBSP, MINUS = "\u00a0", "\u2212"


def write(run_folder: Path) -> Path:
    """The path of report.html, made anew from the run folder; a part that is not there yet is a plain sentence.

    Raises:
        BadInput: the folder holds no run, or a file in it has been damaged.
    """
    folder = Path(run_folder)
    page = render(facts(folder), folder)
    path = folder / "report.html"
    write_atomic(path, page.encode("utf-8", "replace"))
    return path


def render(known: dict[str, Any], run_folder: Path) -> str:
    """The page as text.

    Args:
        known: result of `facts`.
        run_folder: where the pictures lie.
    """
    template = _environment().get_template("report.html")
    return template.render(
        facts=known,
        chart=_charts(known),
        mistakes=gallery(run_folder, known["mistakes"], known["classes"]),
        worst_first=sorted(known["test"]["classes"], key=_worst_first) if known["test"] else [],
        listed=LISTED,
        many_classes=len(known["classes"]) > CELLS_UP_TO,
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sprat.report", "page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    environment.globals["source"] = lambda name: Markup((Path(__file__).parent / "page" / name).read_text("utf-8"))
    return environment


def _charts(known: dict[str, Any]) -> dict[str, Any]:
    """Every chart whose figures are there."""
    limit = {row["quantity"]: row["allowed"] for row in known["limits"]}
    charts: dict[str, Any] = {}
    if known["training"]:
        charts["accuracy"], charts["loss"] = accuracy_curves(known["training"]), loss_curves(known["training"])
    if known["plan"]:
        plan = known["plan"]
        charts["by_bytes"] = pareto(plan, "expected_bytes", "expected bytes", limit["size_bytes"])
        charts["by_macs"] = pareto(plan, "macs", "multiply-adds", limit["macs"])
        charts["families"] = [(family, legend_marker(family, plan["families"])) for family in plan["families"]]
    if known["steps"]:
        charts["waterfall"] = waterfall(known["steps"], limit["size_bytes"])
    if known["test"]:
        charts["confusion"] = heatmap(known["test"]["confusion"], known["classes"])
    if known["latency"]:
        charts["latency"] = histogram(known["latency"])
    return charts


def _worst_first(row: dict[str, Any]) -> float:
    """Order of the classes; those of which nothing is known come last."""
    return 2.0 if row["f1"] is None else float(row["f1"])


def whole(value: float | None) -> str:
    """A count with thousands separators; a dash where it is not known."""
    return "–" if value is None else f"{round(value):,}"


def percent(value: float | None, digits: int = 2) -> str:
    """A fraction as percent; a dash where it is not known."""
    return "–" if value is None else f"{100 * value:.{digits}f}{NBSP}%"


def points(value: float) -> str:
    """A signed difference of percentages, already times 100."""
    return f"{value:+.2f}".replace("-", MINUS)


def milliseconds(value: float | None) -> str:
    """A time in three digits."""
    return "–" if value is None else f"{value:.3g}{NBSP}ms" if value < 1000 else f"{value:,.0f}{NBSP}ms"


def shape(value: Any) -> str:
    """A shape such as 3 × 32 × 32; other values as they are."""
    return "\u202f×\u202f".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def quantity(value: float | None, unit: str) -> str:
    """A value of the limits table, exact for counts."""
    if value is None:
        return "–"
    return milliseconds(value) if unit == "ms" else f"{whole(value)}{NBSP}{unit}".rstrip(NBSP)


def bare(value: float | None, unit: str) -> str:
    """A value of the limits table without its unit."""
    return quantity(value, unit).removesuffix(f"{NBSP}{unit}")


def width(value: float | None, largest: float | None) -> str:
    """The CSS width of an inline bar."""
    return f"{min(100.0, max(0.0, 100 * (value or 0) / largest)):.1f}%" if largest else "0%"


FILTERS: dict[str, Callable[..., str]] = {
    "whole": whole,
    "percent": percent,
    "points": points,
    "ms": milliseconds,
    "shape": shape,
    "quantity": quantity,
    "bare": bare,
    "width": width,
    "short_count": format_count,
    "duration": format_duration,
    "step_name": step_name,
}
