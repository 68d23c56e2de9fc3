import json
from pathlib import Path

import numpy as np
import pytest

from sprat.bench import latency
from sprat.errors import BadArtifact


def test_figures_come_from_the_samples_and_carry_their_conditions(small_file: Path):
    seen = latency(small_file, (12, 10), repeats=31, warmup=3)
    assert json.loads(json.dumps(seen)) == seen
    assert len(seen["samples_ms"]) == 31
    assert min(seen["samples_ms"]) > 0
    assert seen["median_ms"] == np.median(seen["samples_ms"])
    assert seen["p90_ms"] == np.percentile(seen["samples_ms"], 90)
    assert seen["median_ms"] <= seen["p90_ms"]
    assert seen["input"] == [12, 10, 1]
    assert (seen["warmup"], seen["threads"]) == (3, 1)
    assert seen["runtime"].startswith("onnxruntime 1.")
    assert seen["cpu"]
    assert seen["load_average"] >= 0


def test_a_larger_network_takes_longer(small_file: Path, large_file: Path):
    small = latency(small_file, (12, 10), repeats=15, warmup=3)
    large = latency(large_file, (12, 10), repeats=15, warmup=3)
    assert min(large["samples_ms"]) > 3 * min(small["samples_ms"])


def test_a_file_that_cannot_be_run_is_an_error(tmp_path: Path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x08\x12nonsense")
    with pytest.raises(BadArtifact, match=r"model\.onnx could not be measured"):
        latency(path, (12, 10), repeats=1, warmup=0)
