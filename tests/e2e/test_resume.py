"""Killed at any moment, the finished run ships the same bytes: tests/e2e/kill_points.py, as people run it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc: the points are found through it"),
]

PHASES = ("planning", "training", "pruning", "sharing", "tuning", "encoding", "export", "verify", "report")


def test_killed_anywhere_the_finished_run_has_the_same_sha256():
    script = Path(__file__).with_name("kill_points.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stderr == ""
    first, *others = done.stdout.splitlines()
    digest = re.search(r"uninterrupted +([0-9a-f]{16})  equal", first)
    assert digest, first
    equal = [line for line in others if f" {digest[1]}  equal " in line]
    assert len(equal) == len(others) >= 12
    assert {line.split(":")[0] for line in equal} == set(PHASES)
