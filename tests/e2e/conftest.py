"""The command line as a process of its own, and one real run on photos that all tests here share."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

SIDE, PER_CLASS = 24, 40
COLOURS = {"ring": (200, 60, 50), "square": (50, 90, 200), "triángulo": (60, 180, 70)}
FIT = ("fit", "photos", "--max-size", "30KB", "--epochs", "4", "--model", "mobilenet_v1_0.125", "--out", "run")


@dataclass(frozen=True)
class Said:
    """What a process said and its exit code."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)

    def line(self) -> str:
        """The one line it wrote to stderr, and nothing to stdout."""
        assert self.out == ""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("sprat: ")
        return lines[0]


def environment() -> dict[str, str]:
    dropped = ("FORCE_COLOR", "PYTHONWARNINGS", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return {**kept, "COLUMNS": "140", "NO_COLOR": "1", "TERM": "dumb", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def cli() -> Callable[..., Said]:
    """cli("fit", "digits", ..., cwd=folder): `python -m sprat` in a new process."""

    def call(*arguments: str, cwd: Path, timeout: float = 300) -> Said:
        command = [sys.executable, "-m", "sprat", *arguments]
        done = subprocess.run(
            command, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=timeout, check=False
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return call


@dataclass(frozen=True)
class Fitted:
    """A folder with `photos/` and the finished `run/`, and what the command said. Paths in it are relative."""

    folder: Path
    said: Said
    command: tuple[str, ...] = FIT

    @property
    def run(self) -> Path:
        return self.folder / "run"


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory, cli: Callable[..., Said]) -> Fitted:
    """The shared run, made once, also where several test processes ask for it; tests must leave it as it is."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, record = base / "fitted", base / "fitted.json"
    with (base / "fitted.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        if not record.exists():
            write_photos(folder / "photos")
            record.write_text(json.dumps(asdict(cli(*FIT, "--json", cwd=folder))))
    return Fitted(folder, Said(**json.loads(record.read_text())))


@pytest.fixture(scope="session")
def make_photos() -> Callable[[Path], None]:
    """make_photos(folder): the photos of the shared run, in a folder of the test's own."""
    return write_photos


@pytest.fixture
def own(fitted: Fitted, tmp_path: Path) -> Fitted:
    """A copy of the shared run, to be changed at will."""
    return Fitted(Path(shutil.copytree(fitted.folder, tmp_path / "own")), fitted.said)


def write_photos(root: Path) -> None:
    """Three classes of coloured shapes, 40 PNGs of 24x24 each, and five files as cameras and people make them."""
    rng = np.random.default_rng(7)
    for name in COLOURS:
        (root / name).mkdir(parents=True)
        for index in range(PER_CLASS):
            photo(name, rng).save(root / name / f"{index:02d}.png")
    whole = root / "ring" / "whole.jpg"
    photo("ring", rng).save(whole, quality=95)
    (root / "ring" / "cut-off.jpg").write_bytes(whole.read_bytes()[:-200])
    whole.unlink()
    (root / "square" / "notes.jpg").write_text("These are my notes about squares.\n" * 20)
    photo("square", rng).convert("CMYK").save(root / "square" / "print.jpg", quality=95)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees: stored 48 wide and 24 high, seen 24 wide and 48 high
    photo("triángulo", rng).resize((2 * SIDE, SIDE)).save(root / "triángulo" / "turned.jpg", quality=95, exif=exif)
    grey = np.asarray(photo("triángulo", rng).convert("L"), np.uint16) * 257
    Image.fromarray(grey).save(root / "triángulo" / "deep.png")


def photo(name: str, rng: np.random.Generator) -> Image.Image:
    noise = rng.integers(90, 160, (SIDE, SIDE, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    draw = ImageDraw.Draw(image)
    red, green, blue = (int(np.clip(value + rng.integers(-30, 31), 0, 255)) for value in COLOURS[name])
    half = int(rng.integers(6, 10))
    x, y = (int(value) for value in rng.integers(half, SIDE - half, 2))
    box = (x - half, y - half, x + half, y + half)
    if name == "ring":
        draw.ellipse(box, outline=(red, green, blue), width=3)
    elif name == "square":
        draw.rectangle(box, fill=(red, green, blue))
    else:
        draw.polygon([(x, y - half), (x - half, y + half), (x + half, y + half)], fill=(red, green, blue))
    return image
