"""Plot: the frame that charts with two axes share."""

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from sprat.report import svg
from sprat.report.scale import Linear, Log

WIDTH, HEIGHT = 520.0, 320.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 504.0, 34.0, 262.0  # of the area for data; the rest is for labels


@dataclass(frozen=True)
class Plot:
    """Two scales and how their values are written.

    Args:
        x: from LEFT to RIGHT.
        y: from BOTTOM to TOP.
        x_name: what x is, with its unit.
        y_name: what y is, with its unit; stands above the axis, so that it reads without turning the head.
        x_text: writes a tick of x.
        y_text: writes a tick of y.
    """

    x: Linear | Log
    y: Linear | Log
    x_name: str
    y_name: str
    x_text: Callable[[float], str]
    y_text: Callable[[float], str]

    def frame(self) -> Markup:
        """Grid lines, ticks and names; goes under the data."""
        parts = []
        for value in self.y.ticks():
            y = self.y.at(value)
            parts += [svg.line(LEFT, y, RIGHT, y, "grid"), svg.text(LEFT - 8, y + 4, self.y_text(value), "tick", "end")]
        for value in self.x.ticks():
            x = self.x.at(value)
            parts += [
                svg.line(x, BOTTOM, x, BOTTOM + 5, "axis"),
                svg.text(x, BOTTOM + 21, self.x_text(value), "tick", "middle"),
            ]
        parts += [
            svg.line(LEFT, BOTTOM, RIGHT, BOTTOM, "axis"),
            svg.text(4, 16, self.y_name, "name"),
            svg.text(RIGHT, HEIGHT - 12, self.x_name, "name", "end"),
        ]
        return Markup("").join(parts)

    def limit_x(self, value: float, label: str) -> Markup:
        """A dashed upright line at a value of x, its label on the side with room; empty where it is off the scale."""
        if not self.x.low <= value <= self.x.high:
            return Markup("")
        x = self.x.at(value)
        anchor, gap = ("end", -6) if x > (LEFT + RIGHT) / 2 else ("start", 6)
        return svg.line(x, TOP, x, BOTTOM, "limit") + svg.text(x + gap, BOTTOM - 8, label, "tick", anchor)
