"""Batches: images of equal size put together, so that any mixture of sizes is predicted in few calls."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sprat.errors import BadInput

Images = Sequence[NDArray[np.uint8]]
MAX_IMAGES, MAX_PIXEL_BYTES = 64, 16_000_000


def check_image(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image itself, uint8 (H, W, 1 or 3).

    Raises:
        BadInput: it is anything else.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3) or 0 in image.shape:
        raise BadInput(f"an image must be uint8 (H, W, 1 or 3); got {image.dtype} {image.shape}")
    return image


def with_channels(image: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """The image (H, W, C) with 1 or 3 channels: grey repeated, or colour to luma (ITU-R 601-2, as Pillow rounds)."""
    if image.shape[2] == channels:
        return image
    if channels == 3:
        return np.repeat(image, 3, axis=2)
    if channels != 1:
        raise BadInput(
            f"an image of {image.shape[2]} channels cannot be made one of {channels}; give it as the network wants it"
        )
    weights = np.array([19595, 38470, 7471], np.uint32)
    luma = (image.astype(np.uint32) @ weights + 0x8000) >> 16
    return luma.astype(np.uint8)[:, :, None]


def in_order(images: Images) -> Iterator[NDArray[np.uint8]]:
    """Batches (n, H, W, C) of neighbouring images of equal shape, in the order given; each is read once."""
    waiting: list[NDArray[np.uint8]] = []
    for index in range(len(images)):
        image = check_image(images[index])
        full = len(waiting) >= MAX_IMAGES or len(waiting) * image.nbytes >= MAX_PIXEL_BYTES
        if waiting and (waiting[0].shape != image.shape or full):
            yield np.stack(waiting)
            waiting = []
        waiting.append(image)
    if waiting:
        yield np.stack(waiting)


def by_size(images: Images, channels: int) -> Iterator[tuple[list[int], NDArray[np.uint8]]]:
    """(places in `images`, batch (n, H, W, channels)) until every image has been in one batch; equal sizes go together.

    Raises:
        BadInput: an image is not uint8 (H, W, 1 or 3).
    """
    waiting: dict[tuple[int, ...], tuple[list[int], list[NDArray[np.uint8]]]] = {}
    for index in range(len(images)):
        image = with_channels(check_image(images[index]), channels)
        places, batch = waiting.setdefault(image.shape, ([], []))
        places.append(index)
        batch.append(image)
        if len(batch) >= MAX_IMAGES or len(batch) * image.nbytes >= MAX_PIXEL_BYTES:
            yield places, np.stack(batch)
            del waiting[image.shape]
    for places, batch in waiting.values():
        yield places, np.stack(batch)
