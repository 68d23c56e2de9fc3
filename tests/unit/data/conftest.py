"""Builders of small real files: pictures that are all different, and folders of them."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Picture = Callable[..., Image.Image]
Encode = Callable[..., bytes]
Folder = Callable[..., Path]


@pytest.fixture(scope="session")
def picture() -> Picture:
    """picture(number, width, height): noise, another one for each number."""

    def make(number: int = 0, width: int = 12, height: int = 10) -> Image.Image:
        return Image.fromarray(np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8))

    return make


@pytest.fixture(scope="session")
def encode() -> Encode:
    """encode(image, format, **options): the bytes of the file."""

    def make(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
        stream = BytesIO()
        image.save(stream, kind, **options)
        return stream.getvalue()

    return make


@pytest.fixture
def folder(tmp_path: Path, picture: Picture) -> Folder:
    """folder({"cat": 5, "train/dog": 3}): that many different PNG files in each sub-folder; returns the root."""

    def make(counts: dict[str, int], root: Path = tmp_path / "photos") -> Path:
        number = 0
        for name, count in counts.items():
            (root / name).mkdir(parents=True, exist_ok=True)
            for index in range(count):
                picture(number).save(root / name / f"{index:03d}.png")
                number += 1
        return root

    return make
