"""The Keras reader: every layout of every version read back exactly."""

import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from keras_writer import (
    EXPECTED,
    LAYERS,
    Layer,
    assert_same,
    config_of,
    some,
    write_h5,
    write_keras,
    write_weights_h5,
)

from sprat.weights.foreign import first_bytes, read_foreign
from sprat.weights.formats.keras import _recognises, read
from sprat.weights.parse.keras_names import number_of, renumbered, short, snake, variables


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("whole", [True, False])
def test_lists_of_weights_are_read_exactly(tmp_path: Path, version: int, whole: bool) -> None:
    found = read_foreign(write_h5(tmp_path / "net", LAYERS, whole=whole, version=version))
    assert_same(found)
    assert found.format == "keras"
    assert found.notes["layout"] == ("model" if whole else "weights")
    assert found.notes["keras_version"] == f"{version}.4.0"
    assert ("layers" in found.notes) == whole
    json.dumps(found.notes)


def test_notes_say_what_the_layers_compute(tmp_path: Path) -> None:
    notes = read(write_h5(tmp_path / "net.h5", LAYERS)).notes
    assert notes["layers"][1] == ["conv2d_0", "Conv2D", {"strides": [2, 2], "padding": "same"}]
    assert notes["layers"][3] == ["re_lu", "ReLU", {"max_value": 6.0}]
    assert notes["image"] == [3, 40, 32]


def test_long_lists_lie_in_pieces(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "net.h5", LAYERS, limit=60)
    with h5py.File(path) as file:
        assert "layer_names3" in file["model_weights"].attrs
        assert "layer_names" not in file["model_weights"].attrs
    assert_same(read(path))


@pytest.mark.parametrize("how", [{"compression": "gzip", "shuffle": True}, {"compression": "lzf"}, {"chunks": True}])
def test_compressed_weights_are_read(tmp_path: Path, how: dict[str, object]) -> None:
    assert_same(read(write_h5(tmp_path / "net.h5", LAYERS, **how)))


def test_half_and_double_precision_become_single(tmp_path: Path) -> None:
    layers = [Layer("a", "Dense", {"kernel": some(3, 4).astype(np.float16), "bias": some(4).astype(np.float64)})]
    found = read(write_h5(tmp_path / "net.h5", layers))
    assert_same(found, {f"a/{part}": array.astype(np.float32) for part, array in layers[0].weights.items()})


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_has_the_names_of_its_config(tmp_path: Path, compression: int) -> None:
    found = read_foreign(write_keras(tmp_path / "net", LAYERS, compression=compression))
    assert_same(found)
    assert found.notes["layout"] == "archive"
    assert found.notes["keras_version"] == "3.4.1"
    assert found.notes["image"] == [3, 40, 32]


def test_numbered_variables_may_know_their_layers(tmp_path: Path) -> None:
    layers = [layer for layer in LAYERS if layer.name != "batch_normalization_10"]  # has no beta
    found = read(write_weights_h5(tmp_path / "net.weights.h5", layers, named=True))
    left = {name: array for name, array in EXPECTED.items() if not name.startswith("batch_normalization_1/")}
    assert_same(found, left)
    assert found.notes["layout"] == "numbered"


@pytest.mark.parametrize("container", ["layers", "_layer_checkpoint_dependencies"])
def test_numbered_variables_without_names_have_those_of_their_classes(tmp_path: Path, container: str) -> None:
    found = read(write_weights_h5(tmp_path / "net.weights.h5", LAYERS, container=container))
    words = {"second_bn": "batch_normalization_1", "batch_normalization_1": "batch_normalization_2"}
    words |= {"dw": "depthwise_conv2d_0", "sep": "separable_conv2d_0", "logits": "dense_0"}
    expected = {}
    for name, array in EXPECTED.items():
        layer, part = name.split("/")
        layer = words.get(layer, layer)
        # Three variables of a norm are taken for those of one without gamma.
        part = "beta" if (layer, part) == ("batch_normalization_2", "gamma") else part
        expected[f"{layer}/{part}"] = array
    assert_same(found, expected)


def test_gaps_in_numbers_are_closed(tmp_path: Path) -> None:
    """Versions before Keras 3 may count a layer twice."""
    path = write_weights_h5(tmp_path / "a.h5", LAYERS[1:2])
    with h5py.File(path, "r+") as file:
        file.create_group("layers/conv2d_2/vars")["0"] = LAYERS[4].weights["kernel"]
    wanted = {name: EXPECTED[name] for name in ("conv2d_0/kernel", "conv2d_0/bias", "conv2d_1/kernel")}
    assert_same(read(path), wanted)
    config = json.dumps(config_of([LAYERS[1], Layer("named", "Conv2D")])).encode()
    archive = write_keras(tmp_path / "a.keras", [], config__json=config, model__weights__h5=path.read_bytes())
    wanted["named/kernel"] = wanted.pop("conv2d_1/kernel")
    assert_same(read(archive), wanted)


@pytest.mark.parametrize("kind", ["Functional", "Sequential"])
def test_layers_of_a_model_in_a_model_have_their_own_names(tmp_path: Path, kind: str) -> None:
    outer = [LAYERS[0], Layer("base", kind, inner=LAYERS[1:9]), LAYERS[10]]
    assert_same(read(write_h5(tmp_path / "net.h5", outer)))
    assert_same(read(write_keras(tmp_path / "net.keras", outer)))


def test_equal_names_in_two_models_get_their_place_before_them(tmp_path: Path) -> None:
    twins = [Layer("left", "Functional", inner=LAYERS[1:2]), Layer("right", "Functional", inner=LAYERS[1:2])]
    found = read(write_keras(tmp_path / "net.keras", twins))
    assert set(found.tensors) == {f"functional{n}/conv2d/{part}" for n in ("", "_1") for part in ("kernel", "bias")}


def test_a_model_of_a_class_of_its_own_is_read_by_its_attributes(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "net.weights.h5", "w") as file:
        for place in ("encoder/conv2d_4", "head"):
            file.create_group(f"{place}/vars")["0"] = LAYERS[4].weights["kernel"]
        file.create_group("optimizer/vars")["0"] = np.int64(3)
        file.create_group("_metrics/mean/vars")["0"] = np.float32(3)
    assert set(read(tmp_path / "net.weights.h5").tensors) == {"conv2d_0/kernel", "head/0"}


def test_names_of_all_versions_become_one() -> None:
    assert [snake(kind) for kind in ("Conv2D", "DepthwiseConv2D", "BatchNormalization", "ReLU")] == [
        "conv2d",
        "depthwise_conv2d",
        "batch_normalization",
        "re_lu",
    ]
    assert short("block1_conv1_W_1:0", "block1_conv1") == "kernel"
    assert short("bn_conv1_running_std:0", "bn_conv1") == "moving_variance"
    assert short("conv1/conv/kernel:0", "conv1/conv") == "kernel"
    assert number_of("conv2d_12") == 12
    assert renumbered(["conv2d_95", "x", "conv2d_100", "dense"]) == {
        "conv2d_95": "conv2d_0",
        "x": "x",
        "conv2d_100": "conv2d_1",
        "dense": "dense_0",
    }
    assert renumbered(["dense_0", "dense"]) == {"dense": "dense_0", "dense_0": "dense_1"}


def test_variables_of_unknown_layers_keep_their_numbers() -> None:
    assert list(variables("my_layer", 2, None)) == ["0", "1"]
    assert list(variables("conv2d", 4, None)) == ["0", "1", "2", "3"]
    assert list(variables("batch_normalization", 2, {"scale": False, "center": False})) == [
        "moving_mean",
        "moving_variance",
    ]
    assert list(variables("batch_normalization", 3, {"scale": True})) == ["0", "1", "2"]


def test_content_decides_what_is_recognised(tmp_path: Path) -> None:
    def recognised(path: Path) -> bool:
        return _recognises(path, first_bytes(path))

    assert recognised(write_h5(tmp_path / "x.bin", LAYERS))
    assert recognised(write_keras(tmp_path / "y.bin", LAYERS))
    torch.save({"a": torch.zeros(3)}, tmp_path / "net.keras")
    np.savez(tmp_path / "net.npz", a=np.zeros(3))
    (tmp_path / "net.h5").write_bytes(b"PK\x03\x04 and nothing else")
    for name in ("net.keras", "net.npz", "net.h5", "absent.h5", "."):
        assert not recognised(tmp_path / name)
