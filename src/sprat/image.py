"""ImageSpec: what one input image looks like."""

import re
from dataclasses import dataclass

from sprat.errors import BadInput


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """Shape of one network input, in pixels. A resolution multiplier is just another ImageSpec.

    Args:
        channels: 1 (grey) or 3 (RGB).
        height: at least 1.
        width: at least 1.
    """

    channels: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if min(self.channels, self.height, self.width) < 1:
            raise BadInput(f"image {self} has an empty side; give channels, height and width of at least 1")

    def __str__(self) -> str:
        return f"{self.channels}x{self.height}x{self.width}"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return (self.channels, self.height, self.width)


def parse_image(text: str) -> ImageSpec:
    """The ImageSpec that a user writes: "3x224x224", "224x160" (height by width, colour) or "224" (square, colour).

    Raises:
        BadInput: the text is none of these.
    """
    if not re.fullmatch(r"\d{1,5}(x\d{1,5}){0,2}", text.strip().lower()):
        raise BadInput(f"image is {text!r}; write channels, height and width as in 3x224x224, or one side as in 224")
    sides = [int(part) for part in text.strip().lower().split("x")]
    if len(sides) == 1:
        sides = [sides[0], sides[0]]
    return ImageSpec(*sides) if len(sides) == 3 else ImageSpec(3, *sides)
