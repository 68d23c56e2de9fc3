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

MAX_SIDE = 16_384  # of a resized image
_CROP = frozenset({"resize", "keep_aspect"})
_OPTIONAL = _CROP | {"antialias"}


@dataclass(frozen=True, slots=True)
class Preprocess:
    """uint8 pixels to float32 input: bilinear resize, centre crop, then (x - mean) / std.

    Nothing is rounded; corners are not aligned (pixel centres lie at halves). Without `resize` the image is resized
    straight to the input's size, whatever its aspect ratio, and nothing is cropped.

    Args:
        channels: 1 (grey) or 3 (RGB).
        height: of the network's input, pixels.
        width: of the network's input, pixels.
        mean: one value a channel, for pixels 0..255.
        std: one value a channel, for pixels 0..255, each above 0.
        resize: side before the centre crop, at least the larger side of the input; 0 for no crop. Published networks
            were scored so (256 before 224).
        keep_aspect: whether `resize` is of the shorter side; else the image is warped to a square of that side.
        antialias: whether a smaller image is the mean of all pixels (as Pillow and torchvision resize) or takes the
            four nearest (as OpenCV and TensorFlow 1 did, behind which older networks were trained).

    Raises:
        BadInput: a side below 1, a mean or std that is not one finite number a channel, a std not above 0, or a
            `resize` that leaves less than the input.
    """

    channels: int
    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: int = 0
    keep_aspect: bool = False
    antialias: bool = True

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
        allowed = range(max(self.height, self.width), MAX_SIDE + 1)
        if type(self.resize) is not int or (self.resize and self.resize not in allowed):
            raise BadInput(
                f"preprocessing resize {self.resize!r}: it must be 0, or from {max(self.height, self.width)} (the "
                f"input's larger side) to {MAX_SIDE}"
            )
        if type(self.antialias) is not bool:
            raise BadInput(f"preprocessing antialias {self.antialias!r}: it must be true or false")
        if type(self.keep_aspect) is not bool or (self.keep_aspect and not self.resize):
            raise BadInput(f"preprocessing keep_aspect {self.keep_aspect!r}: it must be false where resize is 0")

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of an image of that size after the resize, before the crop."""
        if not self.resize:
            return self.height, self.width
        if not self.keep_aspect:
            return self.resize, self.resize
        short = min(height, width)
        return self.resize * height // short, self.resize * width // short

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
        if self.resize or not self.antialias:
            full = self.resized(x.shape[2], x.shape[3])
            rows = self._kept(x.shape[2], full[0], self.height)
            columns = self._kept(x.shape[3], full[1], self.width)
            x = rows @ x @ columns.T
        elif x.shape[2:] != (self.height, self.width):
            size = (self.height, self.width)
            x = functional.interpolate(x, size=size, mode="bilinear", antialias=True, align_corners=False)
        mean = torch.tensor(self.mean, dtype=torch.float32).view(1, -1, 1, 1)
        std = torch.tensor(self.std, dtype=torch.float32).view(1, -1, 1, 1)
        return (x - mean) / std

    def _kept(self, length: int, resized: int, size: int) -> "Tensor":
        """Weights (size, length): each row makes one of the `size` central pixels of `length` pixels made `resized`.

        Only what is kept is computed, so that a long thin image takes no more memory than it has pixels.
        """
        import torch

        scale = torch.tensor(length, dtype=torch.float32) / torch.tensor(resized, dtype=torch.float32)
        first = (resized - size) // 2
        centres = (torch.arange(size, dtype=torch.float32) + (first + 0.5))[:, None] * scale
        distance = torch.arange(length, dtype=torch.float32) - centres + 0.5
        reach = scale.clamp(min=1) if self.antialias else torch.ones_like(scale)
        weights = (1 - (distance / reach).abs()).clamp(min=0)
        return weights / weights.sum(1, keepdim=True)

    def to_dict(self) -> dict[str, Any]:
        """The values as JSON, without those of the crop or the filter where they are the usual; `from_dict` inverts."""
        values = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}
        kept = {name: value for name, value in values.items() if self.resize or name not in _CROP}
        if self.antialias:
            del kept["antialias"]
        return kept

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Preprocess":
        """The preprocessing that `to_dict` wrote.

        Raises:
            BadInput: a value is missing, unknown or not usable.
        """
        names = {"channels", "height", "width", "mean", "std"}
        if set(values) - _OPTIONAL != names:
            raise BadInput(f"preprocessing has the values {sorted(values)}; it needs {sorted(names)}")
        lists = {name: values[name] for name in ("mean", "std")}
        for name, value in lists.items():
            if not isinstance(value, list | tuple):
                raise BadInput(f"preprocessing {name} is {value!r}; it must be a list of numbers")
        mean, std = (tuple(float(v) if type(v) is int else v for v in value) for value in lists.values())
        crop = {name: values[name] for name in _OPTIONAL & set(values)}
        return cls(values["channels"], values["height"], values["width"], mean, std, **crop)
