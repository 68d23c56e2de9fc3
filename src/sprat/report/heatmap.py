"""Heat map of a confusion matrix: right answers grey, wrong ones in the accent colour."""

from markupsafe import Markup

from sprat.report import svg

SIDE = 640.0
NUMBERS_UP_TO, NAMES_UP_TO, CELLS_UP_TO = 20, 40, 60  # classes; beyond the last, cells are drawn as one path a shade
SHADES = 8
SHORT = 13  # letters of a class name beside the matrix
LETTER = 10.4  # width of one, so that it also fits where phones enlarge the text


def heatmap(matrix: list[list[int]], classes: list[str]) -> Markup:
    """Rows are true classes, columns predictions; the shade is the part of the row, its root, so that rare errors show.

    Args:
        matrix: counts (classes, classes).
        classes: names.
    """
    num = len(classes)
    margin = 10.0 + min(SHORT, max(map(len, classes))) * LETTER if num <= NAMES_UP_TO else 26.0
    left, top = margin, margin + 24
    cell = (SIDE - left) / num
    body = _cells(matrix, classes, left, top, cell) if num <= CELLS_UP_TO else _paths(matrix, left, top, cell)
    correct = sum(matrix[index][index] for index in range(num))
    total = sum(map(sum, matrix))
    return svg.chart(
        "confusion",
        (SIDE, top + cell * num + 2),
        "Confusion matrix",
        f"{num} classes: {correct:,} of {total:,} test images are on the diagonal. Rows: true; columns: predicted.",
        svg.text(left, 14, "predicted →", "name"),
        svg.turned(12, top + cell * num, "← true class", "name")
        if num > NAMES_UP_TO
        else svg.text(2, top - 8, "true ↓", "name"),
        svg.rect(left, top, cell * num, cell * num, "heat-ground"),
        *(_names(classes, left, top, cell) if num <= NAMES_UP_TO else ()),
        body,
    )


def short(name: str) -> str:
    """A class name cut to what fits beside the matrix."""
    return name if len(name) <= SHORT else name[: SHORT - 1] + "…"


def _shade(count: int, row_total: int) -> float:
    return float((count / row_total) ** 0.5) if row_total else 0.0


def _names(classes: list[str], left: float, top: float, cell: float) -> list[Markup]:
    parts = []
    for index, name in enumerate(classes):
        middle = (index + 0.5) * cell
        parts.append(svg.text(left - 7, top + middle + 4, short(name), "tick", "end"))
        parts.append(svg.turned(left + middle + 4, top - 7, short(name), "tick"))
    return parts


def _cells(matrix: list[list[int]], classes: list[str], left: float, top: float, cell: float) -> Markup:
    parts = []
    gap = min(1.0, cell * 0.08)
    for row, counts in enumerate(matrix):
        total = sum(counts)
        for column, count in enumerate(counts):
            if not count:
                continue
            shade = _shade(count, total)
            style = "heat-right" if row == column else "heat-wrong"
            x, y = left + column * cell, top + row * cell
            box: dict[str, str | float] = {"x": x, "y": y, "width": cell - gap, "height": cell - gap, "class": style}
            shapes = [svg.element("rect", box | {"fill-opacity": f"{0.12 + 0.88 * shade:.2f}"})]
            if len(classes) <= NUMBERS_UP_TO:
                ink = "heat-number-light" if shade > 0.66 and row != column else "heat-number"
                shapes.append(svg.text(x + cell / 2, y + cell / 2 + 5, f"{count}", ink, "middle"))
            of = f"{count:,} of {total:,} images of {classes[row]}"
            read_out = (
                f"{of}\n{'recognised' if row == column else f'taken for {classes[column]}'} ({count / total:.1%})"
            )
            parts.append(svg.mark(read_out, *shapes))
    return Markup("").join(parts)


def _paths(matrix: list[list[int]], left: float, top: float, cell: float) -> Markup:
    """All cells of one shade as one path: a thousand classes stay small."""
    drawn: dict[tuple[str, int], list[str]] = {}
    for row, counts in enumerate(matrix):
        total = sum(counts)
        for column, count in enumerate(counts):
            if count:
                step = max(1, round(_shade(count, total) * SHADES))
                drawn.setdefault(("heat-right" if row == column else "heat-wrong", step), []).append(
                    f"M{column} {row}h1v1h-1z"
                )
    shapes = [
        svg.element("path", {"d": "".join(squares), "class": style, "fill-opacity": f"{step / SHADES:.2f}"})
        for (style, step), squares in sorted(drawn.items())
    ]
    return svg.element("g", {"transform": f"translate({left:.2f} {top:.2f}) scale({cell:.5f})"}, *shapes)
