"""resize: pixels brought to a network's input, as sprat.preprocess does it but rounded to whole bytes."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sprat.errors import BadInput
from sprat.image import ImageSpec


def to_channels(array: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """uint8 (H, W, channels): grey repeated to RGB, or RGB weighted to grey (ITU-R 601, as Pillow does)."""
    if array.shape[2] == channels:
        return array
    if channels == 3:
        return np.repeat(array, 3, axis=2)
    if channels == 1:
        return np.asarray(Image.fromarray(np.ascontiguousarray(array)).convert("L"))[:, :, None]
    raise BadInput(f"images have 1 or 3 channels; {channels} were asked for")


def resize(array: NDArray[np.uint8], image: ImageSpec) -> NDArray[np.uint8]:
    """uint8 (H, W, C) of the spec: bilinear with antialias, straight to its height and width; unchanged if it fits."""
    array = to_channels(array, image.channels)
    if array.shape[:2] == (image.height, image.width):
        return array
    flat = np.ascontiguousarray(array[:, :, 0] if image.channels == 1 else array)
    done = np.asarray(Image.fromarray(flat).resize((image.width, image.height), Image.Resampling.BILINEAR))
    return done[:, :, None] if image.channels == 1 else done
