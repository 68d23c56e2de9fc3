import numpy as np
import pytest
from PIL import Image

from sprat.errors import BadInput
from sprat.export.batch import MAX_IMAGES, by_size, in_order, with_channels


class Once:
    """Images that may be read one time each."""

    def __init__(self, images: list[np.ndarray]) -> None:
        self.images = images
        self.reads: list[int] = []

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> np.ndarray:
        self.reads.append(index)
        return self.images[index]


def test_equal_sizes_go_together_and_every_image_comes_once(pictures):
    seen: dict[int, np.ndarray] = {}
    batches = list(by_size(pictures, 3))
    for places, batch in batches:
        assert len(places) == len(batch)
        seen.update(zip(places, batch, strict=True))
    assert len(batches) == 4
    assert sorted(seen) == list(range(len(pictures)))
    assert all(np.array_equal(seen[i], with_channels(p, 3)) for i, p in enumerate(pictures))


def test_no_batch_is_large():
    assert [len(b) for _, b in by_size([np.zeros((2, 2, 1), np.uint8)] * 150, 1)] == [MAX_IMAGES, MAX_IMAGES, 22]
    assert [len(b) for b in in_order([np.zeros((3000, 2000, 3), np.uint8)] * 3)] == [1, 1, 1]


def test_in_order_keeps_the_order_and_reads_each_image_once(pictures):
    once = Once(pictures)
    flat = [image for batch in in_order(once) for image in batch]
    assert once.reads == list(range(len(pictures)))
    assert all(np.array_equal(a, b) for a, b in zip(flat, pictures, strict=True))


def test_colour_becomes_grey_as_in_pillow_and_grey_becomes_colour():
    colour = np.random.default_rng(0).integers(0, 256, (50, 40, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(colour).convert("L"))
    np.testing.assert_array_equal(with_channels(colour, 1)[:, :, 0], expected)
    grey = expected[:, :, None]
    np.testing.assert_array_equal(with_channels(grey, 3), np.stack([expected] * 3, axis=2))


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)],
)
def test_other_arrays_are_refused(image: np.ndarray):
    with pytest.raises(BadInput, match=r"uint8 \(H, W, 1 or 3\)"):
        list(by_size([image], 3))
