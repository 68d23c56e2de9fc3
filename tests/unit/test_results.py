"""The README's table is made from results/fit.csv and is current; its output block is that of a real run."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def collect():
    spec = importlib.util.spec_from_file_location("collect_results", ROOT / "scripts" / "collect_results.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_is_current():
    text = (ROOT / "README.md").read_text()
    assert collect().current(text) == text


@pytest.mark.parametrize(
    "path", ["docs/report.png", "docs/how-to/own-photos.md", "docs/architecture.md", "docs/log.md"]
)
def test_what_the_readme_names_is_there(path):
    assert path in (ROOT / "README.md").read_text()
    assert (ROOT / path).is_file()
