"""The fresh process of a measurement: a model, an input of the stated size, and JSON back."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprat.errors import BadArtifact
from sprat.export.fresh import fresh_command, fresh_environment
from sprat.needed import import_late


def measure_fresh(module: str, path: Path, *numbers: int) -> dict[str, Any]:
    """What `main()` of a module printed as JSON, run in a fresh process with the file and the numbers as arguments.

    Raises:
        BadInput: onnxruntime is not installed.
        BadArtifact: the process failed; with what it said.
    """
    import_late("onnxruntime")
    command = fresh_command(module, str(path), *map(str, numbers))
    done = subprocess.run(command, capture_output=True, text=True, env=fresh_environment(), check=False)
    if done.returncode != 0:
        words = done.stderr.strip().splitlines() or ["no message"]
        raise BadArtifact(f"{path} could not be measured (exit code {done.returncode}): {words[-1]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def noise_image(height: int, width: int, channels: int) -> NDArray[np.uint8]:
    """One image (1, height, width, channels) of random pixels, the same every time."""
    return np.random.default_rng(0).integers(0, 256, (1, height, width, channels), dtype=np.uint8)
