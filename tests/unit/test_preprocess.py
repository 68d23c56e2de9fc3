import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sprat.errors import BadInput
from sprat.preprocess import Preprocess

COLOUR = Preprocess(3, 40, 32, (120.5, 110.25, 100.0), (60.0, 61.5, 55.0))


def test_own_size_is_only_normalised():
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 32, 3), dtype=np.uint8)
    x = COLOUR.apply(images).numpy()
    expected = (images.astype(np.float64) - COLOUR.mean) / COLOUR.std
    assert x.shape == (2, 3, 40, 32)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, expected.transpose(0, 3, 1, 2), atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (100, 60), (300, 280), (224, 100), (8, 8)])
def test_resize_of_a_photo_is_that_of_pillow(shared: Path, height: int, width: int):
    photo = _photo(shared)
    plain = Preprocess(3, height, width, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    x = plain.apply(photo[None]).numpy()[0]
    for channel in range(3):
        plane = Image.fromarray(photo[:, :, channel].astype(np.float32), mode="F")
        expected = np.asarray(plane.resize((width, height), Image.Resampling.BILINEAR))
        assert np.abs(x[channel] - expected).max() < 0.02
    assert not np.array_equal(x, np.round(x))


def test_shrinking_averages_instead_of_skipping_pixels():
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)[None, :, :, None]
    x = Preprocess(1, 8, 8, (0.0,), (1.0,)).apply(board)
    assert (x - 127.5).abs().max() < 4


def test_read_only_pixels_are_taken_without_a_warning():
    images = np.zeros((1, 40, 32, 3), np.uint8)
    images.flags.writeable = False
    assert COLOUR.apply(images).shape == (1, 3, 40, 32)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, 40, 32, 3), np.float32),
        np.zeros((40, 32, 3), np.uint8),
        np.zeros((1, 3, 40, 32), np.uint8),
        np.zeros((1, 40, 32, 1), np.uint8),
        np.zeros((1, 0, 32, 3), np.uint8),
    ],
)
def test_other_images_are_refused(images: np.ndarray):
    with pytest.raises(BadInput, match=r"uint8 images \(N, H, W, 3\)"):
        COLOUR.apply(images)


def test_survives_json():
    assert Preprocess.from_dict(json.loads(json.dumps(COLOUR.to_dict()))) == COLOUR


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": [1.0, 2.0]}, "3 channels"),
        ({"mean": [1.0, 2.0, float("nan")]}, "finite"),
        ({"mean": "abc"}, "list of numbers"),
        ({"std": [1.0, 0.0, 1.0]}, "above 0"),
        ({"std": ["1", "1", "1"]}, "finite"),
        ({"height": 0}, "at least 1"),
        ({"width": 3.5}, "whole number"),
        ({"crop": 7}, "crop"),
    ],
)
def test_bad_values_are_named(change: dict, message: str):
    with pytest.raises(BadInput, match=message):
        Preprocess.from_dict({**COLOUR.to_dict(), **change})


def test_importing_it_leaves_torch_out():
    code = "import sys, sprat.preprocess; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _photo(shared: Path) -> np.ndarray:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.ParquetFile(shared / "data" / "imagenette224-val.parquet")
    row = next(table.iter_batches(batch_size=1)).to_pylist()[0]
    return np.asarray(Image.open(BytesIO(row["image"]["bytes"])).convert("RGB"))


@pytest.mark.parametrize(("height", "width"), [(300, 400), (400, 301), (256, 256), (100, 60), (224, 224)])
@pytest.mark.parametrize("keep_aspect", [False, True])
def test_a_crop_is_the_centre_of_the_resized_image(shared: Path, height: int, width: int, keep_aspect: bool):
    photo = np.asarray(Image.fromarray(_photo(shared)).resize((width, height)))
    short = min(height, width)
    full = (256 * height // short, 256 * width // short) if keep_aspect else (256, 256)
    whole = Preprocess(3, *full, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)).apply(photo[None])
    top, left = (full[0] - 224) // 2, (full[1] - 200) // 2
    cropped = Preprocess(3, 224, 200, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 256, keep_aspect).apply(photo[None])
    assert (cropped - whole[:, :, top : top + 224, left : left + 200]).abs().max() < 1e-3


def test_a_long_thin_image_takes_little_memory():
    thin = np.zeros((1, 2, 30_000, 3), np.uint8)
    x = Preprocess(3, 224, 224, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 256, True).apply(thin)  # 3.8 million columns
    assert x.shape == (1, 3, 224, 224)


def test_the_crop_survives_json_and_is_left_out_where_there_is_none():
    crop = Preprocess(3, 224, 224, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 256, True)
    assert Preprocess.from_dict(json.loads(json.dumps(crop.to_dict()))) == crop
    assert set(COLOUR.to_dict()) == {"channels", "height", "width", "mean", "std"}


@pytest.mark.parametrize(("resize", "keep_aspect"), [(39, False), (-1, False), (256.0, False), (0, True), (256, 1)])
def test_an_impossible_crop_is_refused(resize: int, keep_aspect: bool):
    with pytest.raises(BadInput, match=r"resize|keep_aspect"):
        Preprocess(3, 40, 32, COLOUR.mean, COLOUR.std, resize, keep_aspect)


@pytest.mark.parametrize("resize", [0, 256])
def test_without_antialias_it_takes_the_four_nearest_pixels(shared: Path, resize: int):
    from torch.nn import functional

    photo = _photo(shared)
    plain = Preprocess(3, 224, 224, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), resize, False, False)
    side = resize or 224
    x = torch.from_numpy(photo.transpose(2, 0, 1)[None].astype(np.float32))
    wanted = functional.interpolate(x, size=(side, side), mode="bilinear", align_corners=False, antialias=False)
    edge = (side - 224) // 2
    assert (plain.apply(photo[None]) - wanted[:, :, edge : edge + 224, edge : edge + 224]).abs().max() < 0.02
    assert Preprocess.from_dict(json.loads(json.dumps(plain.to_dict()))) == plain
