"""A realistic run folder for the tests of the report."""

from pathlib import Path

import pytest
from report_fixture import make_run


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")
