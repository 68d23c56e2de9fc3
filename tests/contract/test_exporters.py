"""Every family leaves sprat as an .onnx and a .sprat file that answer like the network itself."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from sprat.artifact import Manifest
from sprat.export import agreement, grad_cam, load, require, to_onnx, to_sprat
from sprat.export.session import open_session
from sprat.image import ImageSpec
from sprat.preprocess import Preprocess
from sprat.zoo import all_presets, build, config_to_dict, family_of, get_preset
from sprat.zoo.family import FAMILIES
from sprat.zoo.shufflenet_v1 import ChannelShuffle, ShuffleNetV1

IMAGE, CLASSES = ImageSpec(3, 40, 32), ("one", "two", "three", "four")
PREPROCESS = Preprocess(3, 40, 32, (120.0, 115.0, 105.0), (60.0, 59.0, 58.0))


FRESH = ("densenet", "mobilenet_v1", "nasnet", "shufflenet_v1", "squeezenet")
TYPICAL = {"shufflenet_v1": "shufflenet_v1_0.25_g3"}  # the smallest has one group and so nothing to shuffle
# Families whose hundred and more layers of random weights enlarge rounding: 1.1e-4 to 1.3e-4 was seen.
DEEP = ("inception_resnet_v2", "inception_v4")


def tolerance(config: Any) -> float:
    """The greatest difference of two probabilities that should be the same."""
    return 5e-4 if family_of(config).name in DEEP else 1e-4


def config_of(family: str) -> Any:
    """The config of the family's preset with the fewest parameters at IMAGE, or its typical one."""
    if family in TYPICAL:
        return get_preset(TYPICAL[family])

    def params(config: Any) -> int:
        with torch.device("meta"):
            return sum(p.numel() for p in build(config, IMAGE, len(CLASSES)).parameters())

    return min((c for c in all_presets().values() if family_of(c).name == family), key=params)


def settled(config: Any) -> nn.Module:
    """A network with batch norm statistics of real activations and answers that are not all alike."""
    torch.manual_seed(0)
    net = build(config, IMAGE, len(CLASSES))
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # plain averages
    x = PREPROCESS.apply(np.stack(pictures(24, 40, 32, seed=1)))
    with torch.no_grad():
        for _ in range(2 if norms else 0):
            net.train()(x)
        net.eval()
        last = [module for module in net.modules() if isinstance(module, nn.Linear | nn.Conv2d)][-1]
        last.weight *= 0.3 / net(x).std(0).mean()  # random deep networks enlarge a change of 1e-6 a thousandfold
        if isinstance(last, nn.Linear) and last.bias is not None:
            last.bias -= net(x).mean(0)
    return net


def pictures(count: int, height: int, width: int, seed: int = 0) -> list[np.ndarray]:
    """Smooth random pictures."""
    noise = torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(seed)) * 255
    enlarged = nn.functional.interpolate(noise, size=(height, width), mode="bicubic").clamp(0, 255)
    return list(enlarged.permute(0, 2, 3, 1).numpy().astype(np.uint8))


@pytest.fixture(scope="module", params=list(FAMILIES))
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, nn.Module, Path]:
    """(config, network, .onnx file) of a family."""
    config = config_of(request.param)
    net = settled(config)
    path = tmp_path_factory.mktemp(request.param) / "model.onnx"
    return config, net, to_onnx(net, PREPROCESS, CLASSES, path, manifest_json=json.dumps(manifest(config).to_dict()))


def manifest(config: Any) -> Manifest:
    return Manifest(
        architecture=config_to_dict(config),
        image=IMAGE.shape,
        classes=CLASSES,
        preprocessing=PREPROCESS.to_dict(),
        scores={},
        licence=None,
    )


def test_probabilities_equal_those_of_the_network_for_any_size_and_batch(exported):
    config, net, path = exported
    session = open_session(path)
    for count, height, width in [(1, 40, 32), (7, 40, 32), (3, 97, 64), (2, 20, 33), (5, 224, 300)]:
        images = np.stack(pictures(count, height, width, seed=height))
        with torch.no_grad():
            expected = torch.softmax(net(PREPROCESS.apply(images)), 1).numpy()
        seen = session.run(None, {"image": images})[0]
        assert seen.shape == (count, len(CLASSES))
        np.testing.assert_allclose(seen, expected, atol=tolerance(config))
    assert np.ptp(expected, axis=0).max() > 0.01


def test_graph_is_plain(exported):
    _, _, path = exported
    model = onnx.shape_inference.infer_shapes(onnx.load(path), strict_mode=True)
    kinds = {node.op_type for node in model.graph.node}
    assert not kinds & {"Dropout", "Identity", "Transpose", "Resize"}
    makers = {name: node for node in model.graph.node for name in node.output}
    readers = [name for node in model.graph.node for name in node.input]
    for node in model.graph.node:  # a batch norm stays only where no convolution can take it in
        if node.op_type == "BatchNormalization":
            maker = makers.get(node.input[0])
            assert maker is None or maker.op_type != "Conv" or readers.count(node.input[0]) > 1, node.name
    shapes = [v.type.tensor_type.shape.dim for v in model.graph.value_info]
    assert max(map(len, shapes)) <= 4
    assert len(shapes) >= len(model.graph.node) - 1  # every shape was inferred, so none of 5 dimensions is hidden
    attributes = [(a.name, a.i, a.s) for node in model.graph.node for a in node.attribute]
    assert not [a for a in attributes if a[0] == "ceil_mode" and a[1] == 1]
    assert not [a for a in attributes if a[0] == "auto_pad" and a[2] not in (b"NOTSET", b"")]
    assert not model.graph.initializer[0].external_data


def test_shuffles_are_gathers_with_constant_indices(exported):
    config, net, path = exported
    shuffles = [module for module in net.modules() if isinstance(module, ChannelShuffle)]
    model = onnx.load(path)
    constants = {i.name for i in model.graph.initializer}
    gathers = [node for node in model.graph.node if node.op_type == "Gather"]
    assert len(gathers) == len(shuffles) == (16 if config.__class__ is ShuffleNetV1 else 0)
    assert all(node.input[1] in constants for node in gathers)


def test_metadata_names_classes_and_manifest(exported):
    config, _, path = exported
    notes = open_session(path).get_modelmeta().custom_metadata_map
    assert json.loads(notes["classes"]) == list(CLASSES)
    predictor = load(path)
    assert predictor.classes == CLASSES
    assert predictor.manifest.architecture == config_to_dict(config)


def test_both_files_agree_in_fresh_processes(exported, tmp_path: Path):
    config, net, path = exported
    if family_of(config).name not in FRESH and not os.environ.get("SPRAT_EVERY"):
        pytest.skip("fresh processes take long: a few families here, all with SPRAT_EVERY=1 (make contract)")
    sprat_file = tmp_path / "model.sprat"
    to_sprat(net, manifest(config), sprat_file)
    seen = agreement(sprat_file, path, [*pictures(30, 40, 32, seed=2), *pictures(10, 90, 70, seed=3)])
    require(seen)
    assert seen.num == 40
    assert seen.max_abs_diff < tolerance(config)


def test_grad_cam_is_a_map_of_the_image(exported):
    _, net, _ = exported
    heat = grad_cam(net, PREPROCESS.apply(np.stack(pictures(1, 40, 32))), 1)
    assert heat.shape == (40, 32)
    assert heat.min() >= 0
    assert heat.max() <= 1
