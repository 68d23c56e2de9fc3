import io

import numpy as np
import pytest
from PIL import Image

from sprat.errors import BadInput
from sprat.report import overlay
from sprat.report.heat import COLORS, OPACITY, colorize


def opened(content: bytes) -> np.ndarray:
    assert content.startswith(b"\x89PNG")
    return np.asarray(Image.open(io.BytesIO(content))).astype(np.int64)


def test_zero_map_is_the_plain_picture_enlarged_without_smoothing() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    shown = opened(overlay(picture, np.zeros((8, 8), np.float32)))
    assert shown.shape == (160, 160, 3)
    assert (shown == picture.repeat(5, 0).repeat(5, 1)).all()


def test_full_map_mixes_in_the_last_color() -> None:
    picture = np.full((160, 160, 3), 100, np.uint8)
    shown = opened(overlay(picture, np.ones((4, 4), np.float32)))
    assert np.abs(shown[80, 80] - (100 * (1 - OPACITY) + np.array(COLORS[-1]) * OPACITY)).max() <= 1


def test_map_is_laid_where_it_belongs() -> None:
    cam = np.zeros((8, 8))
    cam[:4, :4] = 1
    shown = opened(overlay(np.zeros((40, 40, 3), np.uint8), cam))
    assert shown[10, 10].sum() > 300
    assert shown[150, 150].sum() == 0
    assert shown[10, 150].sum() == 0


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1)])
def test_grey_pictures(shape: tuple[int, ...]) -> None:
    shown = opened(overlay(np.full(shape, 7, np.uint8), np.zeros((8, 8))))
    assert shown.shape == (160, 160, 3)
    assert (shown == 7).all()


def test_large_pictures_are_reduced_keeping_their_aspect() -> None:
    assert opened(overlay(np.zeros((300, 600, 3), np.uint8), np.zeros((7, 7)))).shape == (112, 224, 3)


def test_colors_rise_evenly_in_lightness() -> None:
    lightness = colorize(np.linspace(0, 1, 101)) @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(lightness) > 0).all()
    assert np.allclose(colorize(np.array([0.0, 1.0])), [COLORS[0], COLORS[-1]])


@pytest.mark.parametrize(
    ("image", "cam"),
    [
        (np.zeros((4, 4, 3), np.float32), np.zeros((4, 4))),
        (np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4))),
        (np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4))),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 1))),
        (np.zeros((4, 4, 3), np.uint8), np.full((4, 4), 1.5)),
        (np.zeros((4, 4, 3), np.uint8), np.full((4, 4), np.nan)),
    ],
)
def test_wrong_input_is_refused(image: np.ndarray, cam: np.ndarray) -> None:
    with pytest.raises(BadInput, match="overlay takes"):
        overlay(image, cam)
