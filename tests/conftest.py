"""Fixtures every test may use. Threads are pinned before torch is imported, as shared cores make OpenMP spin."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and weights beside the project; tests that need it skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("no folder `shared` beside the project: real data for this test is not here")
    return folder
