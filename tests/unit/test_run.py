"""Run: claims, locks and files that are whole or absent."""

import subprocess
import sys

import pytest

from sprat.atomic import write_atomic
from sprat.errors import BadInput, RunConflict
from sprat.run import Run


def test_same_request_continues_and_another_is_refused(tmp_path):
    run = Run(tmp_path / "run")
    run.claim({"data": "digits", "seed": 0}, {"command": "first"})
    run.claim({"data": "digits", "seed": 0}, {"command": "second"})
    assert run.read_json("spec.json")["command"] == "first"
    run.write_json("plan.json", {})
    with pytest.raises(RunConflict, match=r"seed: 0 there, 1 asked"):
        run.claim({"data": "digits", "seed": 1}, {})


def test_a_request_that_came_to_no_plan_gives_way(tmp_path):
    run = Run(tmp_path / "run")
    run.claim({"data": "digits", "seed": 0}, {})
    run.write_json("data.json", {"fingerprint": "old"})
    run.claim({"data": "digits", "seed": 1}, {})
    assert run.read_json("spec.json")["request"]["seed"] == 1
    assert not run.has("data.json")


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(RunConflict, match=r"holiday\.jpg"):
        Run(tmp_path).claim({"data": "digits"}, {})
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_one_process_at_a_time(tmp_path):
    run = Run(tmp_path)
    use = f"with Run(Path({str(tmp_path)!r})).lock(): print('locked')"
    code = f"from sprat.run import Run; from pathlib import Path\n{use}"
    with run.lock():
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "in use by another process" in other.stderr
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "locked\n"


def test_half_written_files_are_cleared_and_never_seen(tmp_path):
    (tmp_path / ".result.json.abc.tmp").write_bytes(b"half")
    run = Run(tmp_path)
    run.sweep()
    assert not list(tmp_path.glob(".*.tmp"))
    assert not run.has("result.json")


def test_a_folder_that_is_refused_is_not_swept(tmp_path):
    stranger = tmp_path / ".important.tmp"
    stranger.write_bytes(b"mine")
    (tmp_path / "photo.jpg").write_bytes(b"x")
    run = Run(tmp_path)
    with run.lock(), pytest.raises(RunConflict):
        run.claim({"data": "digits"}, {})
    assert stranger.read_bytes() == b"mine"


def test_a_file_is_no_run_folder(tmp_path):
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(BadInput, match="cannot be a run folder"), Run(tmp_path / "out").lock():
        pass


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "model.sprat"
    write_atomic(target, b"old")

    def no_space(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        write_atomic(target, b"new")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["model.sprat"]


def test_damaged_json_is_named(tmp_path):
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(BadInput, match=r"plan\.json"):
        Run(tmp_path).read_json("plan.json")


def test_lines_round_trip(tmp_path):
    run = Run(tmp_path)
    run.write_lines("metrics.jsonl", [{"epoch": 1}, {"epoch": 2}])
    assert run.read_lines("metrics.jsonl") == [{"epoch": 1}, {"epoch": 2}]
    assert run.read_lines("nothing.jsonl") == []
