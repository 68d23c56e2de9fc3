"""The wheel carries all it needs: built from the tree, installed into an empty environment, the demo runs from it."""

import json
import os
import shutil
import site
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"


def ran(*command: str | Path, cwd: Path, **variables: str) -> str:
    """Stdout of a command that must succeed, in an environment that knows neither this tree nor its .venv."""
    hidden = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env={**environment, "OMP_NUM_THREADS": "1", **variables},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    ran(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    (built,) = out.glob("sprat-*.whl")
    return built


def test_the_wheel_holds_every_file_of_the_package_and_no_other(wheel):
    wanted = {
        path.relative_to(SOURCE).as_posix()
        for path in (SOURCE / "sprat").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == wanted
    assert {"sprat/py.typed", "sprat/report/page/report.html", "sprat/report/page/style.css"} <= held


def test_the_wheel_has_licence_and_command(wheel):
    archive = zipfile.ZipFile(wheel)
    (notes,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
    assert "sprat = sprat.cli:main" in archive.read(notes).decode()
    (licence,) = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
    assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """bin/ of a new environment with the wheel in it; the dependencies are those of this one, seen through a .pth file.

    The path file adds this environment's packages after its own, and no path files of theirs are read: not the one
    that leads to this tree.
    """
    base = tmp_path_factory.mktemp("empty")
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        pytest.skip("no uv, which `make setup` installs: the wheel is not installed")
    quiet = ("--offline", "--no-cache", "--no-config", "-q")
    ran(uv, "venv", *quiet, "--python", sys.executable, base / "venv", cwd=base)
    python = base / "venv" / "bin" / "python"
    ran(uv, "pip", "install", *quiet, "--no-deps", "--python", python, wheel, cwd=base)
    own = Path(ran(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=base).strip())
    others = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()}
    (own / "dependencies.pth").write_text("\n".join(sorted(others)) + "\n")
    return python.parent


def test_sprat_comes_from_the_new_environment(installed, tmp_path):
    code = "import sprat, sprat.report.write, sys; print(sprat.__file__); print(*sys.path, sep='\\n')"
    place, *paths = ran(installed / "python", "-c", code, cwd=tmp_path).splitlines()
    assert Path(place).is_relative_to(installed.parent)
    assert str(SOURCE) not in paths


def test_installed_it_fits_a_network_in_another_folder(installed, tmp_path):
    command = ("fit", "digits", "--epochs", "2", "--max-size", "24KB", "--model", "mobilenet_v1_0.125", "--json")
    result = json.loads(ran(installed / "sprat", *command, cwd=tmp_path))
    run = tmp_path / "runs" / "digits"
    assert result["fits"]
    assert result["size_bytes"] == len((run / "model.sprat").read_bytes()) <= 24_000
    assert "</html>" in (run / "report.html").read_text()
    assert str(ROOT) not in (run / "report.html").read_text()
    answer = json.loads(ran(installed / "sprat", "eval", run / "model.onnx", "digits", "--json", cwd=tmp_path))
    assert answer["accuracy"] == pytest.approx(result["test_accuracy"], abs=0.011)
