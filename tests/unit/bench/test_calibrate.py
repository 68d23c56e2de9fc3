"""A real calibration, as short as it can be, from measuring to a prediction."""

import json
from pathlib import Path

import pytest

from sprat.bench.calibrate import LEAST_NETWORKS, calibrate
from sprat.bench.check import check, held_out, summary, table
from sprat.bench.measure import measure_file, measure_net
from sprat.errors import BadArtifact, BadInput
from sprat.image import ImageSpec
from sprat.latency import LatencyModel
from sprat.watch import Silent
from sprat.zoo import all_presets, build, config_from_dict

TINY = {"tiny": config_from_dict({"family": "mobilenet_v1", "width": 0.25})}


@pytest.fixture(scope="module")
def model() -> LatencyModel:
    return calibrate(0.02, Silent(), max_macs=3e6)


def test_a_calibration_predicts_and_carries_its_conditions(model: LatencyModel):
    conditions = json.loads(json.dumps(model.conditions))
    assert conditions["num_networks"] >= LEAST_NETWORKS
    assert conditions["num_different_kernels"] == len(model.rows) > 100
    assert conditions["threads"] == 1
    assert conditions["runtime"].startswith("onnxruntime 1.")
    assert set(conditions["cross_validation"]) == {"num", "close", "median", "worst", "bias"}
    assert (model.us > 0).all()
    assert (model.predict_rows(model.rows) > 0).all()


def test_measured_stands_beside_predicted(model: LatencyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    image = ImageSpec(3, 32, 32)
    net = build(TINY["tiny"], image, 7)
    assert measure_net(net, image, memory=False)["predicted_ms"] is None
    model.save()
    (network,) = held_out(TINY, 1)
    (one,) = check(model, [network])
    assert one.name == "tiny"
    assert one.measured_ms > 0
    assert one.predicted_ms > 0
    assert one.error == pytest.approx(one.predicted_ms / one.measured_ms - 1, abs=0.01)
    assert summary([one]).num == 1
    assert table([one]).decode().splitlines()[1].startswith(f"tiny,{network.image},")


def test_networks_to_check_are_spread_over_the_families():
    pool = {name: config for name, config in all_presets().items() if name.startswith(("mobilenet_v1", "squeezenet"))}
    chosen = held_out(pool, 10)
    assert chosen == held_out(pool, 10)
    assert sum(network.name.startswith("mobilenet") for network in chosen) == 5
    assert len({network.image for network in chosen}) > 3


def test_a_file_is_measured_at_its_own_size(small_file: Path, tmp_path: Path):
    found = measure_file(small_file)
    assert found["image"] == [1, 12, 10]
    assert found["latency"]["median_ms"] > 0
    assert found["memory"]["peak_rss_bytes"] > 0
    with pytest.raises(BadInput, match="no file"):
        measure_file(tmp_path / "absent.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"\x08\x08\x12nonsense")
    with pytest.raises(BadArtifact, match="is not an ONNX file"):
        measure_file(tmp_path / "broken.onnx")


def test_no_time_is_refused():
    with pytest.raises(BadInput, match="0 minutes measures nothing"):
        calibrate(0, Silent())
