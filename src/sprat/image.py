"""ImageSpec: what one input image looks like."""

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
