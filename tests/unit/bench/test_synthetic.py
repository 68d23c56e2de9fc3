"""Random networks are sound, repeat, and cover every kind of kernel."""

from pathlib import Path

import numpy as np
import pytest

from sprat.bench.profile import profile
from sprat.bench.synthetic import synthetic
from sprat.bench.worker import noise_image
from sprat.export.session import INPUT, open_session
from sprat.latency import Kind


def test_a_seed_is_a_network(tmp_path: Path):
    first, again, other = (tmp_path / name for name in ("first.onnx", "again.onnx", "other.onnx"))
    size = synthetic(first, 3, 1e6)
    assert synthetic(again, 3, 1e6) == size
    synthetic(other, 4, 1e6)
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()


@pytest.mark.slow
def test_networks_run_and_their_kernels_are_of_every_kind(tmp_path: Path):
    path, seen = tmp_path / "network.onnx", set()
    for seed in range(60):
        size = synthetic(path, seed, 2e7)
        session = open_session(path)
        (scores,) = session.run(None, {INPUT: noise_image(*size, 3)})
        assert np.isfinite(scores).all()
        assert scores.sum() == pytest.approx(1, abs=1e-4)
        profiled = profile(path, size, repeats=1)
        assert len(profiled.rows) == len(profiled.us)
        seen |= {Kind(row[0]) for row in profiled.rows}
        if profiled.block == 1:
            pytest.skip("this machine has no blocked layout")
    assert seen >= set(Kind)
