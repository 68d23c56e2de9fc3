"""The catalogue of counted candidates: right, kept on disk, never stale, never fatal."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sprat.cost import count
from sprat.errors import BadInput, UnknownName
from sprat.image import ImageSpec
from sprat.search import catalogue as module
from sprat.search.catalogue import cache_folder, catalogue
from sprat.zoo import build, config_from_dict

IMAGE = ImageSpec(3, 32, 32)
FEW = ["mobilenet_v1_0.125", "squeezenet_1.1_bn_0.25"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.json"))


def test_entries_are_what_the_network_costs() -> None:
    for entry in catalogue(IMAGE, 10, FEW):
        cost = count(build(config_from_dict(entry.architecture), IMAGE, 10), IMAGE)
        assert (entry.params, entry.macs, entry.elementwise) == (cost.params, cost.macs, cost.elementwise)
        assert entry.peak_bytes == cost.peak_bytes
    assert [entry.name for entry in catalogue(IMAGE, 10, FEW)] == FEW


def test_a_second_question_reads_the_file(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = catalogue(IMAGE, 10, FEW)
    (path,) = files(cache)
    assert path.is_relative_to(cache_folder())
    values = json.loads(path.read_text())
    values["entries"][FEW[0]]["macs"] = 123
    path.write_text(json.dumps(values))
    assert catalogue(IMAGE, 10, FEW)[0].macs == 123
    monkeypatch.setattr(module, "_fingerprint", lambda: "of other code")
    assert catalogue(IMAGE, 10, FEW) == first


def test_what_is_missing_is_added(cache: Path) -> None:
    catalogue(IMAGE, 10, FEW[:1])
    assert len(catalogue(IMAGE, 10, FEW)) == 2
    (path,) = files(cache)
    assert set(json.loads(path.read_text())["entries"]) == set(FEW)
    catalogue(IMAGE, 11, FEW)
    assert len(files(cache)) == 2


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"entries": {"x": {"y": 1}}, "whole": true}', b"\xff\xfe"])
def test_a_damaged_file_is_counted_anew(cache: Path, damage: bytes) -> None:
    first = catalogue(IMAGE, 10, FEW)
    (path,) = files(cache)
    path.write_bytes(damage)
    assert catalogue(IMAGE, 10, FEW) == first


@pytest.mark.skipif(os.geteuid() == 0, reason="the super-user may write anywhere")
def test_a_folder_that_cannot_be_written_does_not_matter(cache: Path) -> None:
    cache.chmod(0o500)
    assert len(catalogue(IMAGE, 10, FEW)) == 2


def test_a_cache_path_that_is_a_file_does_not_matter(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache / "file"))
    assert len(catalogue(IMAGE, 10, FEW)) == 2


def test_refusals_are_remembered_and_told_each_time() -> None:
    for _ in range(2):
        with pytest.raises(BadInput, match="at least 4 pixels"):
            catalogue(ImageSpec(3, 2, 2), 10, FEW)
    with pytest.raises(UnknownName):
        catalogue(IMAGE, 10, ["nothing of that name"])


def test_a_whole_catalogue_is_answered_without_torch(cache: Path) -> None:
    catalogue(IMAGE, 10, FEW)
    (path,) = files(cache)
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "whole": True}))
    program = (
        "import sys; from sprat.image import ImageSpec; from sprat.search.catalogue import catalogue; "
        "print(len(catalogue(ImageSpec(3, 32, 32), 10)), len(catalogue(ImageSpec(3, 32, 32), 10, ['squeezenet'])), "
        "'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "1", "False"]
