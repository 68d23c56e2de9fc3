"""Learning curves: accuracy and loss over the epochs of all phases."""

from typing import Any

from markupsafe import Markup

from sprat.report import svg
from sprat.report.plot import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Plot
from sprat.report.scale import Linear, padded

LETTER = 9.0  # width of a letter, so that it also fits where phones enlarge the text


def accuracy_curves(training: dict[str, Any]) -> Markup:
    """Accuracy on training and validation images, by epoch."""
    return _curves(training, "accuracy", ("train_accuracy", "val_accuracy"), "Accuracy, %", 100.0, "end")


def loss_curves(training: dict[str, Any]) -> Markup:
    """Loss on training and validation images, by epoch."""
    return _curves(training, "loss", ("loss", "val_loss"), "Loss", 1.0, "start")


def _curves(
    training: dict[str, Any], what: str, keys: tuple[str, str], y_name: str, factor: float, names_at: str
) -> Markup:
    """The picture; phase names stand at the "end" (bottom) where curves rise, at the "start" (top) where they fall."""
    epochs, phases = training["epochs"], training["phases"]
    lines = {
        key: [(place, factor * entry[key]) for place, entry in enumerate(epochs, start=1) if entry.get(key) is not None]
        for key in keys
    }
    values = [value for points in lines.values() for _, value in points] or [0.0]
    low, high = padded(values)
    if factor == 100.0:
        low, high = max(0.0, low), min(100.0, high)
    x = Linear(0.5, len(epochs) + 0.5, LEFT, RIGHT)
    plot = Plot(x, Linear(low, high, BOTTOM, TOP), "epoch", y_name, _whole, lambda v: f"{v:g}")
    bands = [_band(index, phase, plot, names_at) for index, phase in enumerate(phases)]
    drawn = []
    for key, style in zip(keys, ("line-train", "line-val"), strict=True):
        points = [(plot.x.at(place), plot.y.at(value)) for place, value in lines[key]]
        drawn.append(svg.path(points, style) if len(points) > 1 else _dot(points, style))
    last = lines[keys[1]][-1:]
    ends = [svg.marker("circle", plot.x.at(place), plot.y.at(value), 4.5, "dot-val") for place, value in last]
    read_outs = [_read_out(place, entry, plot) for place, entry in enumerate(epochs, start=1)]
    description = f"{len(epochs)} epochs in the phases {', '.join(phase['name'] for phase in phases)}. " + (
        f"The validation {what} ends at {last[0][1]:.2f}{' %' if factor == 100.0 else ''}." if last else ""
    )
    return svg.chart(
        f"curve-{what}",
        (WIDTH, HEIGHT),
        f"{what.capitalize()} by epoch",
        description,
        *(band for band, _ in bands),
        plot.frame(),
        *(label for _, label in bands),
        *drawn,
        *ends,
        *read_outs,
    )


def _whole(value: float) -> str:
    return f"{value:g}" if value == int(value) else ""


def _dot(points: list[tuple[float, float]], style: str) -> Markup:
    kind = "dot-val" if style == "line-val" else "dot-train"
    return Markup("").join(svg.marker("circle", x, y, 4, kind) for x, y in points)


def _band(index: int, phase: dict[str, Any], plot: Plot, names_at: str) -> tuple[Markup, Markup]:
    """The background of a phase, every second one tinted, and its name: upright where the band is narrow."""
    left, right = plot.x.at(phase["first"] - 0.5), plot.x.at(phase["last"] + 0.5)
    band = svg.rect(left, TOP, right - left, BOTTOM - TOP, "band" if index % 2 else "band-none")
    name, low = str(phase["name"]), names_at == "end"
    if right - left >= LETTER * len(name) + 8:
        return band, svg.text((left + right) / 2, BOTTOM - 10 if low else TOP + 17, name, "phase", "middle")
    if right - left >= 13:
        return band, svg.turned(
            (left + right) / 2 + 5, BOTTOM - 8 if low else TOP + 6, name, "phase", "start" if low else "end"
        )
    return band, Markup("")


def _read_out(place: int, entry: dict[str, Any], plot: Plot) -> Markup:
    """An invisible strip over one epoch that says its figures."""
    parts = [f"epoch {place}, {entry['phase']}"]
    for key, label, form in (
        ("train_accuracy", "train", "{:.2%}"),
        ("val_accuracy", "validation", "{:.2%}"),
        ("loss", "loss", "{:.3f}"),
        ("val_loss", "validation loss", "{:.3f}"),
        ("lr", "learning rate", "{:.3g}"),
        ("images_per_s", "images/s", "{:,.0f}"),
    ):
        if entry.get(key) is not None:
            parts.append(f"{label} {form.format(entry[key])}")
    left, right = plot.x.at(place - 0.5), plot.x.at(place + 0.5)
    return svg.mark("\n".join(parts), svg.rect(left, TOP, right - left, BOTTOM - TOP, "hit"))
