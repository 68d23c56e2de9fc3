import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

from sprat.artifact import Manifest
from sprat.errors import BadArtifact, BadInput
from sprat.export import load, to_onnx, to_sprat
from sprat.export.batch import with_channels
from sprat.image import ImageSpec
from sprat.preprocess import Preprocess
from sprat.zoo import build, config_to_dict
from sprat.zoo.mobilenet_v1 import MobileNetV1

CONFIG, IMAGE, NAMES = MobileNetV1(width=0.125), ImageSpec(1, 16, 12), ("nein", "ja", "vielleicht")
GREY = Preprocess(1, 16, 12, (100.0,), (50.0,))


def manifest(**changes) -> Manifest:
    values = {
        "architecture": config_to_dict(CONFIG),
        "image": IMAGE.shape,
        "classes": NAMES,
        "preprocessing": GREY.to_dict(),
        "scores": {"test_accuracy": 0.5},
        "licence": None,
    }
    return Manifest(**{**values, **changes})


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    net = build(CONFIG, IMAGE, len(NAMES)).train()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # plain averages of what is seen
    with torch.no_grad():
        for _ in range(3):
            net(torch.randn(32, 1, 16, 12))
    return net.eval()


@pytest.fixture(scope="module")
def sprat_file(network: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("load") / "model.sprat"
    assert to_sprat(network, manifest(), path).size_bytes == path.stat().st_size
    return path


def test_a_sprat_file_predicts_what_its_network_does(sprat_file: Path, network: torch.nn.Module, pictures):
    predictor = load(sprat_file)
    assert predictor.classes == NAMES
    assert predictor.manifest.scores == {"test_accuracy": 0.5}
    seen = predictor.predict(pictures)
    assert (seen.shape, seen.dtype) == ((len(pictures), 3), np.float32)
    for picture, row in zip(pictures, seen, strict=True):
        with torch.no_grad():
            expected = torch.softmax(network(GREY.apply(with_channels(picture, 1)[None])), 1)[0].numpy()
        np.testing.assert_allclose(row, expected, atol=1e-6)
    assert np.ptp(seen, axis=0).max() > 0.01


def test_rebuilding_leaves_the_random_numbers_alone(sprat_file: Path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load(sprat_file)
    assert torch.equal(torch.rand(3), expected)


def test_an_onnx_file_predicts_mixed_sizes_and_grey_as_one_by_one(onnx_file: Path, pictures, classes):
    predictor = load(onnx_file)
    assert predictor.classes == classes
    assert predictor.manifest is None
    together = predictor.predict(pictures)
    alone = np.concatenate([predictor.predict([picture]) for picture in pictures])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(together.sum(1), 1, atol=1e-5)


def test_no_images_give_no_rows(onnx_file: Path, sprat_file: Path):
    assert load(onnx_file).predict([]).shape == (0, 5)
    assert load(sprat_file).predict([]).shape == (0, 3)


def test_the_content_decides_and_not_the_name(onnx_file: Path, sprat_file: Path, tmp_path: Path):
    (tmp_path / "a.sprat").write_bytes(onnx_file.read_bytes())
    (tmp_path / "b.onnx").write_bytes(sprat_file.read_bytes())
    assert len(load(tmp_path / "a.sprat").classes) == 5
    assert load(str(tmp_path / "b.onnx")).classes == NAMES


def test_the_onnx_file_carries_the_manifest(network: torch.nn.Module, sprat_file: Path, tmp_path: Path):
    told = load(sprat_file).manifest
    path = to_onnx(network, GREY, NAMES, tmp_path / "model.onnx", manifest_json=json.dumps(told.to_dict()))
    assert load(path).manifest == told


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04zip", b"hello"])
def test_any_other_file_is_named(tmp_path: Path, content: bytes):
    path = tmp_path / "thing"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"no \.sprat, \.safetensors or \.onnx"):
        load(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path):
    with pytest.raises(BadInput, match="No such file"):
        load(tmp_path / "no.onnx")
    with pytest.raises(BadInput, match="directory"):
        load(tmp_path)


def test_damaged_files_are_named(onnx_file: Path, sprat_file: Path, tmp_path: Path):
    for path in (onnx_file, sprat_file):
        damaged = tmp_path / path.name
        damaged.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(BadArtifact, match=path.name):
            load(damaged)


def test_a_stranger_s_onnx_file_is_refused(tmp_path: Path):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    (tmp_path / "relu.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BadArtifact, match=r"made by sprat takes uint8 images"):
        load(tmp_path / "relu.onnx")


def test_weights_of_another_architecture_are_refused(network: torch.nn.Module, tmp_path: Path):
    other = config_to_dict(MobileNetV1(width=0.25))
    to_sprat(network, manifest(architecture=other), tmp_path / "model.sprat")
    with pytest.raises(BadArtifact, match=r"tensors do not fit"):
        load(tmp_path / "model.sprat")


def test_a_size_the_network_does_not_take_is_refused(network: torch.nn.Module, tmp_path: Path):
    to_sprat(network, manifest(preprocessing={**GREY.to_dict(), "height": 99}), tmp_path / "model.sprat")
    with pytest.raises(BadArtifact, match="must be equal"):
        load(tmp_path / "model.sprat")


@pytest.mark.parametrize("width", [1e5, 1e16, 1e300, -1.0])
def test_an_architecture_beyond_reason_is_refused_before_it_takes_memory(
    network: torch.nn.Module, tmp_path: Path, width: float
):
    told = {**config_to_dict(CONFIG), "width": width}
    to_sprat(network, manifest(architecture=told), tmp_path / "model.sprat")
    with pytest.raises(BadArtifact, match=r"tensors do not fit|no network can be built|must be above 0"):
        load(tmp_path / "model.sprat")


def test_a_missing_extra_says_what_to_install(onnx_file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BadInput, match="pip install onnxruntime"):
        load(onnx_file)
