import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from sprat.report.picture import data_uri


def opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_small_png_goes_in_as_it_is(tmp_path: Path) -> None:
    Image.new("RGB", (160, 160), (3, 4, 5)).save(tmp_path / "a.png")
    uri = data_uri(tmp_path / "a.png")
    assert uri is not None
    assert base64.b64decode(uri.removeprefix("data:image/png;base64,")) == (tmp_path / "a.png").read_bytes()


def test_large_picture_becomes_a_small_jpeg(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 800, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    uri = data_uri(tmp_path / "a.png")
    assert uri is not None
    assert uri.startswith("data:image/jpeg;base64,")
    assert opened(uri).size == (224, 112)


def test_what_is_no_picture_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("text")
    assert data_uri(tmp_path / "a.png") is None
    assert data_uri(tmp_path / "none.png") is None
