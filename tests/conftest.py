"""Fixtures every test may use. Threads are pinned before torch is imported, as shared cores make OpenMP spin.

The cache folder is a fresh one, so that no test reads what another version counted.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
if "PYTEST_XDIST_WORKER" not in os.environ:  # workers share the folder of the process that started them
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="sprat-cache-")
    atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and weights beside the project; tests that need it skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("no folder `shared` beside the project: real data for this test is not here")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that no worker is left alone with one of them at the end."""
    longest = ("test_resume.py", "test_import.py", "test_exporters.py")
    items.sort(key=lambda item: longest.index(item.path.name) if item.path.name in longest else len(longest))
