"""overlay(): a picture with a heat map laid over it."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sprat.errors import BadInput

SHOWN_SIDE = 160  # pixels a small picture is enlarged to, about
LARGEST_SIDE = 224  # pixels a large picture is reduced to
OPACITY = 0.72  # of the colour where the map is 1; 0 where it is 0

# Dark violet over red to pale yellow: lightness rises evenly, so the order shows in grey and to colour-blind eyes too.
COLORS = (
    (20, 11, 53),
    (66, 10, 104),
    (114, 24, 110),
    (159, 42, 99),
    (203, 65, 73),
    (234, 105, 39),
    (250, 153, 15),
    (250, 203, 60),
    (252, 250, 160),
)


def overlay(image: NDArray[np.uint8], cam: NDArray[np.floating]) -> bytes:
    """PNG of the picture with the map over it, small ones enlarged without smoothing to about 160 pixels.

    A map that is 0 everywhere gives the plain picture.

    Args:
        image: uint8 (H, W, 3), (H, W, 1) or (H, W).
        cam: (h, w) of any size, 0 to 1; stretched over the picture.

    Raises:
        BadInput: a shape or type that is not as stated, or values outside 0 to 1.
    """
    pixels = image[:, :, None] if image.ndim == 2 else image
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise BadInput(f"overlay takes a uint8 picture (H, W, 1 or 3); got {image.dtype} {image.shape}")
    if cam.ndim != 2 or 0 in cam.shape or not np.isfinite(cam).all() or cam.min() < 0 or cam.max() > 1:
        raise BadInput(f"overlay takes a map (H, W) of values 0 to 1; got {cam.dtype} {cam.shape}")
    picture = _shown(Image.fromarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)).copy()))
    stretched = Image.fromarray(cam.astype(np.float32)).resize(picture.size, Image.Resampling.BILINEAR)
    heat = np.asarray(stretched, np.float32).clip(0, 1)
    opacity = OPACITY * heat[:, :, None]
    mixed = np.asarray(picture, np.float32) * (1 - opacity) + colorize(heat) * opacity
    stream = io.BytesIO()
    Image.fromarray(mixed.round().astype(np.uint8)).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def colorize(heat: NDArray[np.floating]) -> NDArray[np.float32]:
    """Colours (..., 3) from 0 to 255 of values 0 to 1, linear between the entries of COLORS."""
    table = np.array(COLORS, np.float32)
    place = heat * (len(table) - 1)
    low = np.minimum(place.astype(np.int64), len(table) - 2)
    part = (place - low)[..., None].astype(np.float32)
    colors: NDArray[np.float32] = table[low] * (1 - part) + table[low + 1] * part
    return colors


def _shown(picture: Image.Image) -> Image.Image:
    """The picture at the size it is shown."""
    longest = max(picture.size)
    if longest > LARGEST_SIDE:
        scale = LARGEST_SIDE / longest
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        return picture.resize(size, Image.Resampling.LANCZOS)
    factor = max(1, round(SHOWN_SIDE / longest))
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
