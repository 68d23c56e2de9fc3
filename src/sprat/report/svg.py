"""SVG as escaped text: elements, marks with a read-out, and the frame of a chart.

Colours are CSS classes of the page, so that light and dark need one drawing.
"""

from collections.abc import Mapping

from markupsafe import Markup, escape


def number(value: float) -> str:
    """A coordinate with at most one decimal."""
    written = f"{value:.1f}".removesuffix(".0")
    return "0" if written == "-0" else written


def element(name: str, attributes: Mapping[str, str | float], *content: str) -> Markup:
    """One element; attribute values and plain text are escaped, numbers rounded to a tenth."""
    written = "".join(
        f' {key}="{escape(value if isinstance(value, str) else number(value))}"' for key, value in attributes.items()
    )
    return Markup(f"<{name}{written}>") + Markup("").join(content) + Markup(f"</{name}>")


def text(x: float, y: float, content: str, style: str = "", anchor: str = "start") -> Markup:
    """A line of text; style is a list of CSS classes."""
    return element("text", {"x": x, "y": y, "class": style, "text-anchor": anchor}, content)


def turned(x: float, y: float, content: str, style: str = "", anchor: str = "start") -> Markup:
    """A line of text that reads upwards from (x, y)."""
    place = {"transform": f"translate({number(x)} {number(y)}) rotate(-90)", "class": style, "text-anchor": anchor}
    return element("text", place, content)


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> Markup:
    """A straight line."""
    return element("line", {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "class": style})


def rect(x: float, y: float, width: float, height: float, style: str) -> Markup:
    """A rectangle; a negative side is drawn as empty."""
    return element("rect", {"x": x, "y": y, "width": max(0.0, width), "height": max(0.0, height), "class": style})


def path(points: list[tuple[float, float]], style: str) -> Markup:
    """A line through points."""
    drawn = "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)
    return element("path", {"d": drawn, "class": style}) if points else Markup("")


def marker(shape: str, x: float, y: float, radius: float, style: str) -> Markup:
    """A "circle", "square", "triangle" or "diamond" of about equal area, centred on (x, y)."""
    if shape == "circle":
        return element("circle", {"cx": x, "cy": y, "r": radius, "class": style})
    side, tall, wide = radius * 0.89, radius * 1.3, radius * 1.25
    corners = {
        "square": [(-side, -side), (side, -side), (side, side), (-side, side)],
        "triangle": [(0, -tall), (1.15 * radius, 0.75 * radius), (-1.15 * radius, 0.75 * radius)],
        "diamond": [(0, -wide), (wide, 0), (0, wide), (-wide, 0)],
    }[shape]
    return element(
        "polygon", {"points": " ".join(f"{number(x + dx)},{number(y + dy)}" for dx, dy in corners), "class": style}
    )


def mark(read_out: str, *content: str) -> Markup:
    """Shapes that belong together and say `read_out` when pointed at."""
    return element("g", {"class": "mark"}, element("title", {}, read_out), *content)


def chart(key: str, size: tuple[float, float], title: str, description: str, *content: str) -> Markup:
    """A whole picture that scales with its column, named and described for those who do not see it.

    Args:
        key: unique on the page.
        size: (width, height) of the drawing's own units.
        title: what it shows, a few words.
        description: what can be seen in it, a sentence or two.
        content: elements.
    """
    names = {
        "class": "chart",
        "viewBox": f"0 0 {number(size[0])} {number(size[1])}",
        "role": "img",
        "aria-labelledby": f"{key}-title {key}-desc",
    }
    heads = (element("title", {"id": f"{key}-title"}, title), element("desc", {"id": f"{key}-desc"}, description))
    return element("svg", names, *heads, *content)
