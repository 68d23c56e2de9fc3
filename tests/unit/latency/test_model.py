"""The model adds up, is the same for one row and for many, and its file is refused where it is not this machine's."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sprat.errors import BadInput
from sprat.latency import Kind, LatencyModel, Measured, calibration_path, errors, fit, processor, runtime
from sprat.latency.features import work

TRUTH = {Kind.POINTWISE: (3.0, 1e-5), Kind.MAX_POOL: (2.0, 2e-5)}  # microseconds: constant, and a multiply-add


def networks(num: int) -> list[Measured]:
    """Networks whose profile is the law, and whose time is 0.9 of it, less 1.2 a kernel, and 20 a call."""
    rng = np.random.default_rng(3)
    made = []
    for _ in range(num):
        rows = []
        for _ in range(int(rng.integers(5, 60))):
            kind = Kind.POINTWISE if rng.random() < 0.7 else Kind.MAX_POOL
            side = int(rng.choice([8, 16, 32]))
            channels, wide = (int(16 * rng.integers(1, 20)) for _ in range(2))
            out = wide if kind is Kind.POINTWISE else channels
            kernel = 1 if kind is Kind.POINTWISE else 3
            rows.append((int(kind), channels, out, kernel, kernel, 1, 1, side, side, 0, 40))
        us = [TRUTH[Kind(row[0])] @ work(np.array([row]))[0, :2] for row in rows]
        made.append(Measured(tuple(rows), tuple(map(float, us)), float(0.9 * sum(us) - 1.2 * len(rows) + 20)))
    return made


CONDITIONS = {"processor": processor(), "runtime": runtime()}


@pytest.fixture(scope="module")
def model() -> LatencyModel:
    return fit(networks(60), 16, CONDITIONS)[0]


def test_a_known_machine_is_recovered(model: LatencyModel):
    _, found = fit(networks(60), 16, CONDITIONS)
    assert found.num == 60
    assert found.close == 1
    assert found.median < 0.02
    assert model.scale == pytest.approx(0.9, abs=0.02)
    assert model.per_kernel_us == pytest.approx(-1.2, abs=0.2)


def test_networks_that_were_disturbed_are_left_out():
    disturbed = [replace(n, total_us=3 * n.total_us) if place % 9 == 0 else n for place, n in enumerate(networks(60))]
    _, found = fit(disturbed, 16, CONDITIONS)
    assert found.num == 53
    assert found.median < 0.02


def test_predictions_add_up_and_do_not_depend_on_company(model: LatencyModel):
    rows = networks(1)[0].rows
    together = model.predict_rows(np.array(rows))
    alone = [float(model.predict_rows(np.array([row]))[0]) for row in rows]
    assert np.allclose(together, alone, rtol=1e-5)
    assert model.predict(rows) == pytest.approx(model.overhead_ms + together.sum())
    assert model.predict(rows + rows) == pytest.approx(model.overhead_ms + 2 * together.sum())
    assert (together > 0).all()


def test_the_file_gives_the_same_predictions(model: LatencyModel, tmp_path: Path):
    path = model.save(tmp_path / "folder" / "latency.npz")
    again = LatencyModel.load(path)
    assert again is not None
    rows = np.array(networks(1)[0].rows)
    assert np.allclose(again.predict_rows(rows), model.predict_rows(rows), rtol=1e-5)
    assert again.conditions == model.conditions
    assert (again.block, again.overhead_ms) == (16, model.overhead_ms)
    assert (again.rows == model.rows).all()


def test_the_machines_own_place_is_in_the_cache_folder(
    model: LatencyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert LatencyModel.load() is None
    assert model.save() == calibration_path()
    assert calibration_path().parent == tmp_path / "sprat"
    assert LatencyModel.load() is not None


def test_a_file_of_another_machine_or_runtime_is_refused(model: LatencyModel, tmp_path: Path):
    for name in ("processor", "runtime"):
        other = replace(model, conditions={**CONDITIONS, name: "another"})
        with pytest.raises(BadInput, match=rf"is of {name} 'another'.*sprat bench --calibrate"):
            LatencyModel.load(other.save(tmp_path / f"{name}.npz"))


def test_damaged_files_are_refused(model: LatencyModel, tmp_path: Path):
    whole = model.save(tmp_path / "whole.npz").read_bytes()
    path = tmp_path / "damaged.npz"
    with pytest.raises(BadInput, match="cannot read the calibration"):
        LatencyModel.load(path)
    for content in (b"", b"nonsense", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(BadInput, match="sprat bench --calibrate"):
            LatencyModel.load(path)
    about = {"format": 1, "columns": ["kind"], "conditions": CONDITIONS}
    np.savez(path, about=np.array(json.dumps(about)))
    with pytest.raises(BadInput, match="another format"):
        LatencyModel.load(path)
    wrong = replace(model.laws[int(Kind.POINTWISE)], weights=np.ones(2))
    with pytest.raises(BadInput, match="is damaged"):
        LatencyModel.load(replace(model, laws={int(Kind.POINTWISE): wrong}).save(path))


def test_a_kind_that_was_not_measured_is_an_error(model: LatencyModel):
    with pytest.raises(BadInput, match="no SLICE kernels"):
        model.predict([(int(Kind.SLICE), 8, 8, 1, 1, 1, 1, 8, 8, 0, 40)])


def test_errors_are_those_of_the_definition():
    found = errors([1.1, 0.8, 1.0, 2.0], [1.0, 1.0, 1.0, 1.0])
    assert (found.num, found.close) == (4, 0.5)
    assert found.median == pytest.approx(0.15)
    assert found.worst == pytest.approx(1.0)
    assert found.bias == pytest.approx(0.05)


def test_too_few_networks_are_refused():
    with pytest.raises(BadInput, match="at least 8 networks; 3 were"):
        fit(networks(3), 16, CONDITIONS)
