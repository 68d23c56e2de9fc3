"""Preprocess: what turns an image file's pixels into the network's input. The same values travel in every export."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sprat.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Preprocess:
    """uint8 pixels to float32 input: bilinear resize with antialias straight to the size, then (x - mean) / std.

    The aspect ratio is not kept and nothing is rounded; corners are not aligned (pixel centres lie at halves).

    Args:
        channels: 1 (grey) or 3 (RGB).
        height: of the network's input, pixels.
        width: of the network's input, pixels.
        mean: one value a channel, for pixels 0..255.
        std: one value a channel, for pixels 0..255, each above 0.

    Raises:
        BadInput: a side below 1, a mean or std that is not one finite number a channel, or a std not above 0.
    """

    channels: int
    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        sides = (self.channels, self.height, self.width)
        if any(type(side) is not int or side < 1 for side in sides):
            raise BadInput(
                f"preprocessing to channels, height, width {sides}: each must be a whole number of at least 1"
            )
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != self.channels or not all(type(v) in (int, float) and math.isfinite(v) for v in values):
                raise BadInput(
                    f"preprocessing {name} {values!r}: give one finite number for each of {self.channels} channels"
                )
        if min(self.std) <= 0:
            raise BadInput(f"preprocessing std {self.std!r}: each must be above 0")

    def apply(self, images: NDArray[np.uint8]) -> "Tensor":
        """Network input (N, channels, height, width), float32, of images (N, H, W, channels), uint8 of any one size.

        Raises:
            BadInput: the images are not uint8 of that shape.
        """
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != self.channels or 0 in images.shape[1:]:
            raise BadInput(
                f"preprocessing takes uint8 images (N, H, W, {self.channels}); got {images.dtype} {images.shape}"
            )
        import torch
        from torch.nn import functional

        x = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32))
        if x.shape[2:] != (self.height, self.width):
            size = (self.height, self.width)
            x = functional.interpolate(x, size=size, mode="bilinear", antialias=True, align_corners=False)
        mean = torch.tensor(self.mean, dtype=torch.float32).view(1, -1, 1, 1)
        std = torch.tensor(self.std, dtype=torch.float32).view(1, -1, 1, 1)
        return (x - mean) / std

    def to_dict(self) -> dict[str, Any]:
        """The values as JSON; `from_dict` is the inverse."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Preprocess":
        """The preprocessing that `to_dict` wrote.

        Raises:
            BadInput: a value is missing, unknown or not usable.
        """
        names = {"channels", "height", "width", "mean", "std"}
        if set(values) != names:
            raise BadInput(f"preprocessing has the values {sorted(values)}; it needs {sorted(names)}")
        lists = {name: values[name] for name in ("mean", "std")}
        for name, value in lists.items():
            if not isinstance(value, list | tuple):
                raise BadInput(f"preprocessing {name} is {value!r}; it must be a list of numbers")
        mean, std = (tuple(float(v) if type(v) is int else v for v in value) for value in lists.values())
        return cls(values["channels"], values["height"], values["width"], mean, std)
