"""The table of Keras networks: every weight of every one accounted for, and the answers of the real files."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from keras_branched import inception_resnet_v2, inception_v3, nasnet
from keras_networks import (
    Entry,
    Session,
    densenet,
    mlperf_resnet,
    mlperf_vww,
    mobilenet,
    mobilenet_v2,
    numbered,
    resnet,
    resnet50_keras2,
    resnet_v2,
    vgg,
    xception,
)
from keras_writer import Layer, write_h5
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.preprocess import Preprocess
from sprat.weights.convert import config_of, parameters_of, side_of, skeleton
from sprat.weights.importing import Imported, import_weights
from sprat.weights.layout import arranged
from sprat.weights.parse.keras_names import renumbered
from sprat.weights.rules import pair
from sprat.weights.table import networks_of
from sprat.zoo import build, config_from_dict, get_preset, published_input

# Entry of the table, preset, layers of the file, parameters that Keras says the network has (keras.io/api/applications,
# mlcommons/tiny), where it says so.
CASES: list[tuple[str, str, Callable[[], Iterator[Entry]], int]] = [
    ("mobilenet", "mobilenet_v1_1.0_relu6", lambda: mobilenet(1.0), 4_253_864),
    ("mobilenet", "mobilenet_v1_0.75_relu6", lambda: mobilenet(0.75), 0),
    ("mobilenet", "mobilenet_v1_0.5_relu6", lambda: mobilenet(0.5), 0),
    ("mobilenet", "mobilenet_v1_0.25_relu6", lambda: mobilenet(0.25), 0),
    *[
        ("mobilenet_v2", f"mobilenet_v2_{alpha}", lambda alpha=alpha: mobilenet_v2(alpha), count)
        for alpha, count in ((1.4, 0), (1.0, 3_538_984), (0.75, 0), (0.5, 0), (0.35, 0))
    ],
    ("mobilenet_v2_logits", "mobilenet_v2_1.0", lambda: mobilenet_v2(1.0, "Logits"), 0),
    ("mobilenet_v2_first", "mobilenet_v2_1.0", lambda: mobilenet_v2(1.0, "Logits", first=True), 0),
    ("mobilenet_v2_numbered", "mobilenet_v2_1.0", lambda: numbered(mobilenet_v2(1.0)), 0),
    ("mobilenet_numbered", "mobilenet_v1_0.5_relu6", lambda: numbered(mobilenet(0.5)), 0),
    *[
        (
            f"densenet{suffix}",
            f"densenet{depth}",
            lambda depth=depth, suffix=suffix: densenet(depth, bool(suffix)),
            count,
        )
        for suffix in ("", "_keras2")
        for depth, count in ((121, 8_062_504), (169, 14_307_880), (201, 20_242_984))
    ],
    *[
        (f"densenet{depth}_numbered", f"densenet{depth}", lambda depth=depth: numbered(densenet(depth)), 0)
        for depth in (121, 169, 201)
    ],
    *[
        ("resnet", f"resnet{depth}", lambda depth=depth: resnet(depth), count)
        for depth, count in ((50, 25_636_712), (101, 44_707_176), (152, 60_419_944))
    ],
    ("resnet_probs", "resnet101", lambda: resnet(101, "probs"), 0),
    ("resnet50_keras2", "resnet50_paper", resnet50_keras2, 25_636_712),
    *[
        ("resnet_v2", f"resnet_v2_{depth}_slim", lambda depth=depth: resnet_v2(depth), count)
        for depth, count in ((50, 25_613_800), (101, 44_675_560), (152, 60_380_648))
    ],
    *[
        (name, f"vgg{depth}", lambda depth=depth, name=name: numbered(vgg(depth)) if "_" in name else vgg(depth), count)
        for depth, count in ((16, 138_357_544), (19, 143_667_240))
        for name in ("vgg", f"vgg{depth}_numbered")
    ],
    ("xception", "xception", lambda: xception(Session(made=1)), 22_910_480),
    ("inception_v3", "inception_v3", lambda: inception_v3(Session(made=95)), 23_851_784),
    ("inception_resnet_v2", "inception_resnet_v2", lambda: inception_resnet_v2(Session(made=1)), 55_873_736),
    ("nasnet_mobile", "nasnet_a_4_1056", lambda: nasnet(4, 1056, 32, False), 5_326_716),
    ("nasnet_large", "nasnet_a_6_4032", lambda: nasnet(6, 4032, 96, True), 88_949_818),
    ("mlperf_tiny_vww", "mobilenet_v1_0.25", lambda: mlperf_vww(Session()), 221_794),
    ("mlperf_tiny_resnet", "resnet_cifar_8", lambda: mlperf_resnet(Session()), 78_666),
]
TABLE = {network.name: network for network in networks_of("keras")}


def test_every_entry_is_tested() -> None:
    assert {case[0] for case in CASES} == set(TABLE)


@pytest.mark.parametrize(("entry", "model", "layers", "count"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES])
def test_every_weight_is_accounted_for(
    entry: str, model: str, layers: Callable[[], Iterator[Entry]], count: int
) -> None:
    network = TABLE[entry]
    listed = list(layers())
    news = renumbered(name for name, _, _ in listed)
    shapes = {
        f"{news[name]}/{'kernel' if kind == 'DepthwiseConv2D' and part == 'depthwise_kernel' else part}": shape
        for name, kind, weights in listed
        for part, shape in weights.items()
    }
    if count:
        assert sum(int(np.prod(shape)) for shape in shapes.values()) == count, "the layers are not Keras's"
    side = side_of(network.side, model)
    outputs = next(reversed(listed))[2]["bias"][0]
    net = skeleton(
        config_of(network, model, get_preset(model), ImageSpec(3, side, side)), ImageSpec(3, side, side), outputs
    )
    found = pair(network, list(shapes), parameters_of(net))
    assert found.complete, found.faults()
    wanted = {name: tuple(value.shape) for name, value in net.state_dict().items() if value.ndim}
    zero = np.float32(0)
    for name, source in found.sources.items():
        if source.names:
            array = np.broadcast_to(zero, shapes[source.names[0]])  # takes no memory
            assert arranged(array, source.transform, name).shape == wanted[name], name
    assert set(found.sources) == set(wanted)


@pytest.mark.parametrize("entry", [name for name in TABLE if not name.startswith("mlperf")])
def test_the_published_input_is_that_of_the_preset(entry: str) -> None:
    for pattern in TABLE[entry].models:
        assert TABLE[entry].side["*"] == published_input(pattern)[0].height


@pytest.fixture(scope="module")
def weights() -> dict[str, dict[str, np.ndarray]]:
    """MobileNet 0.25 with values that let signals through."""
    random = np.random.default_rng(3)
    made: dict[str, dict[str, np.ndarray]] = {}
    for name, _, shapes in mobilenet(0.25, classes=7):
        made[name] = {}
        for part, shape in shapes.items():
            fan_in = int(np.prod(shape[:2])) if part == "depthwise_kernel" else int(np.prod(shape[:-1]))
            array = random.normal(size=shape) * ((2 / fan_in) ** 0.5 if len(shape) == 4 else 0.1)
            made[name][part] = (array + (part in ("gamma", "moving_variance"))).astype(np.float32)
            if part == "moving_variance":
                made[name][part] = np.abs(made[name][part]) + 1e-4  # so small that epsilon matters
    return made


def keras_mobilenet(weights: dict[str, dict[str, np.ndarray]], x: Tensor) -> Tensor:
    """The forward pass of keras/src/applications/mobilenet.py, step by step."""

    def get(layer: str, part: str) -> Tensor:
        return torch.from_numpy(weights[layer][part])

    def norm_relu6(x: Tensor, layer: str) -> Tensor:
        mean, variance = get(layer, "moving_mean"), get(layer, "moving_variance")
        y = (x - mean.view(1, -1, 1, 1)) / torch.sqrt(variance + 1e-3).view(1, -1, 1, 1)
        return (y * get(layer, "gamma").view(1, -1, 1, 1) + get(layer, "beta").view(1, -1, 1, 1)).clamp(0, 6)

    x = functional.pad(x, (0, 1, 0, 1))  # SAME of a 3x3 of stride 2 on an even side
    x = norm_relu6(functional.conv2d(x, get("conv1", "kernel").permute(3, 2, 0, 1), stride=2), "conv1_bn")
    for block in range(1, 14):
        stride = 2 if block in (2, 4, 6, 12) else 1
        x = functional.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
        kernel = get(f"conv_dw_{block}", "depthwise_kernel").permute(2, 3, 0, 1)
        x = norm_relu6(functional.conv2d(x, kernel, stride=stride, groups=x.shape[1]), f"conv_dw_{block}_bn")
        kernel = get(f"conv_pw_{block}", "kernel").permute(3, 2, 0, 1)
        x = norm_relu6(functional.conv2d(x, kernel), f"conv_pw_{block}_bn")
    x = x.mean((2, 3), keepdim=True)
    return functional.conv2d(x, get("conv_preds", "kernel").permute(3, 2, 0, 1), get("conv_preds", "bias"))[:, :, 0, 0]


def built(imported: Imported) -> tuple[nn.Module, Preprocess]:
    manifest = imported.manifest
    net = build(config_from_dict(manifest.architecture), ImageSpec(*manifest.image), len(manifest.classes))
    missing, unexpected = net.load_state_dict({k: torch.from_numpy(v) for k, v in imported.state.items()}, strict=False)
    assert not unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing)
    return net.eval(), Preprocess.from_dict(manifest.preprocessing)


def test_mobilenet_answers_as_in_keras(weights: dict[str, dict[str, np.ndarray]], tmp_path: Path) -> None:
    layers = [Layer("input_1", "InputLayer", config={"batch_input_shape": [None, 128, 128, 3]})]
    layers += [Layer(name, kind, weights[name]) for name, kind, _ in mobilenet(0.25, classes=7)]
    imported = import_weights(write_h5(tmp_path / "net.h5", layers))
    assert (imported.model, imported.manifest.image) == ("mobilenet_v1_0.25_relu6", (3, 128, 128))
    net, preprocess = built(imported)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), dtype=np.uint8)
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        expected = keras_mobilenet(weights, x)
        assert (expected[0] - expected[1]).abs().max() > 1e-3, "the network says nothing"
        torch.testing.assert_close(net(preprocess.apply(pixels)), expected, rtol=1e-3, atol=1e-4)


def test_a_network_without_its_classifier_is_refused(weights: dict[str, dict[str, np.ndarray]], tmp_path: Path) -> None:
    layers = [Layer(name, kind, weights[name]) for name, kind, _ in mobilenet(0.25) if name != "conv_preds"]
    with pytest.raises(BadInput, match="head"):
        import_weights(write_h5(tmp_path / "no_top.h5", layers))


def test_resnet_8_of_mlperf_tiny_classifies(shared: Path) -> None:
    """75.48 % on all 10,000 images."""
    parquet = pytest.importorskip("pyarrow.parquet")
    file, data = shared / "weights" / "mlperftiny_pretrainedResnet.h5", shared / "data" / "cifar10-test.parquet"
    if not (file.is_file() and data.is_file()):
        pytest.skip("ResNet-8 or CIFAR-10 is not here")
    imported = import_weights(file)
    assert imported.model == "resnet_cifar_8"
    net, preprocess = built(imported)
    rows = parquet.read_table(data).slice(0, 500).to_pylist()
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(row["img"]["bytes"])).convert("RGB")) for row in rows])
    with torch.no_grad():
        guesses = net(preprocess.apply(pixels)).argmax(1)
    top1 = (guesses == torch.tensor([row["label"] for row in rows])).float().mean().item()
    assert top1 == pytest.approx(0.755, abs=0.04)


def test_visual_wake_words_of_mlperf_tiny_sees_people(shared: Path) -> None:
    """110 of the 128 images; a person counts from 0.5 % of the image's area."""
    file, data = shared / "weights" / "mlperftiny_vww_96.h5", shared / "data" / "coco128"
    if not (file.is_file() and data.is_dir()):
        pytest.skip("the network or coco128 is not here")
    imported = import_weights(file)
    assert (imported.model, imported.manifest.image) == ("mobilenet_v1_0.25", (3, 96, 96))
    assert imported.manifest.classes == ("no person", "person")
    net, preprocess = built(imported)
    assert net.features(torch.zeros(1, 3, 96, 96))[-1].shape[2:] == (3, 3)
    table = json.loads((data / "instances.json").read_text())
    person = next(entry["id"] for entry in table["categories"] if entry["name"] == "person")
    areas = {image["id"]: 0.0 for image in table["images"]}
    for box in table["annotations"]:
        if box["category_id"] == person:
            areas[box["image_id"]] = max(areas[box["image_id"]], box["bbox"][2] * box["bbox"][3])
    hits = 0
    for image in table["images"]:
        pixels = np.asarray(Image.open(data / "images" / image["file_name"]).convert("RGB"))
        with torch.no_grad():
            guess = net(preprocess.apply(pixels[None])).argmax(1).item()
        hits += guess == (areas[image["id"]] >= 0.005 * image["width"] * image["height"])
    assert hits / len(areas) >= 0.84
