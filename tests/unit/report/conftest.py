"""A realistic run folder for the tests of the report, from tests/report_fixture.py."""

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("report_fixture", Path(__file__).parents[2] / "report_fixture.py")
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Path]:
    """Fills a folder: make_run(folder, classes)."""
    make: Callable[..., Path] = _module.make_run
    return make


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, make_run: Callable[..., Path]) -> Path:
    """The folder of a finished run with ten classes; not to be changed."""
    return make_run(tmp_path_factory.mktemp("finished") / "run")


@pytest.fixture
def run_folder(tmp_path: Path, finished_run: Path) -> Path:
    """A copy of it for one test."""
    return Path(shutil.copytree(finished_run, tmp_path / "run"))
