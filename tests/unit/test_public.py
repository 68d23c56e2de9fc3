"""The public names: listed, importable, and free until they are used."""

import subprocess
import sys

import pytest

import sprat


@pytest.mark.parametrize("name", sprat.__all__)
def test_every_public_name_is_there(name):
    assert getattr(sprat, name) is not None
    assert name in dir(sprat)


def test_fit_stays_a_function():
    import sprat.job

    assert callable(sprat.fit)
    assert sprat.fit is sprat.job.fit


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        sprat.fitt  # noqa: B018


def test_import_takes_no_torch():
    code = "import sys, sprat, sprat.cli; sys.exit('torch' in sys.modules or 'onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
