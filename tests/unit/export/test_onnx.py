import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

import sprat
from sprat.errors import BadInput
from sprat.export import to_onnx
from sprat.export.session import open_session

AGAIN = """
import sys, torch
from pathlib import Path
from sprat.export import to_onnx
from sprat.preprocess import Preprocess
torch.manual_seed(3)
from torch import nn
net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
to_onnx(net, Preprocess(1, 8, 8, (1.0,), (2.0,)), "abcd", Path(sys.argv[1]), manifest_json='{"a": 1}')
"""


def test_probabilities_are_those_of_the_network(net_and_file, preprocess, photos):
    net, path = net_and_file
    session = open_session(path)
    for height, width in [(24, 20), (224, 224), (51, 90), (10, 10)]:
        images = np.stack([photo[:height, :width] for photo in photos])
        seen = session.run(None, {"image": images})[0]
        with torch.no_grad():
            expected = torch.softmax(net(preprocess.apply(images)), 1).numpy()
        assert np.abs(seen - expected).max() < 1e-5
        np.testing.assert_allclose(seen.sum(1), 1, atol=1e-5)
    assert expected.max() > 0.3  # the answers are not all alike


@pytest.fixture
def net_and_file(make_net, onnx_file) -> tuple[nn.Module, Path]:
    return make_net(0), onnx_file


def test_graph_has_no_batch_norm_no_five_dimensions_no_dropout_and_its_shuffles_are_gathers(onnx_file: Path):
    model = onnx.shape_inference.infer_shapes(onnx.load(onnx_file), strict_mode=True)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("Gather") == 2
    assert not {"BatchNormalization", "Dropout", "Transpose", "Identity"} & set(kinds)
    assert all(len(v.type.tensor_type.shape.dim) <= 4 for v in model.graph.value_info)
    assert all(len(i.dims) <= 4 for i in model.graph.initializer)
    assert all(not i.external_data for i in model.graph.initializer)
    assert [p.name for p in onnx_file.parent.iterdir()] == ["model.onnx"]


def test_versions_are_readable_by_onnxruntime_1_17(onnx_file: Path):
    model = onnx.load(onnx_file)
    assert model.ir_version <= 9
    assert [(o.domain, o.version <= 20) for o in model.opset_import] == [("", True)]


def test_metadata_holds_class_names_and_manifest(make_net, preprocess, classes, tmp_path: Path):
    manifest = json.dumps({"classes": classes, "note": "ü"}, ensure_ascii=False)
    path = to_onnx(make_net(0), preprocess, classes, tmp_path / "deep" / "model.onnx", manifest_json=manifest)
    notes = open_session(path).get_modelmeta().custom_metadata_map
    assert json.loads(notes["classes"]) == list(classes)
    assert notes["manifest"] == manifest


def test_same_network_gives_the_same_bytes_here_and_in_a_fresh_process(tmp_path: Path):
    for name in ("first", "second"):
        command = [sys.executable, "-W", "error", "-c", AGAIN, str(tmp_path / name)]
        if name == "first":
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            assert done.stdout + done.stderr == ""  # the exporter is silent
        else:
            sys.argv, before = ["-", str(tmp_path / name)], sys.argv
            exec(AGAIN, {})
            sys.argv = before
    content = (tmp_path / "first").read_bytes()
    assert content == (tmp_path / "second").read_bytes()
    assert str(Path(sprat.__file__).parent).encode() not in content
    assert b".py" not in content  # the exporter's notes name source files


def test_the_network_is_left_as_it_was(make_net, preprocess, classes, tmp_path: Path):
    net = make_net(1).train().to(memory_format=torch.channels_last)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    to_onnx(net, preprocess, classes, tmp_path / "model.onnx")
    assert all(module.training for module in net.modules())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    reference = to_onnx(make_net(1), preprocess, classes, tmp_path / "reference.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == reference.read_bytes()


def test_a_wrong_number_of_class_names_is_an_error(make_net, preprocess, tmp_path: Path):
    with pytest.raises(BadInput, match="there are 2 class names"):
        to_onnx(make_net(0), preprocess, ("a", "b"), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []
