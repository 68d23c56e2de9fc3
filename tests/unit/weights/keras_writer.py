"""Files as Keras writes them, with h5py and zipfile alone.

Layouts after keras-team/keras: keras/src/legacy/saving/legacy_h5_format.py (lists of names), keras/src/saving/
saving_lib.py (numbered variables, the archive); names of Keras 1 after the files released for it.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sprat.weights.foreign import Foreign

OLD = {"kernel": "W", "bias": "b", "moving_mean": "running_mean", "moving_variance": "running_std"}
LIMIT = 64512  # bytes of an attribute, HDF5_OBJECT_HEADER_LIMIT


@dataclass
class Layer:
    name: str
    kind: str
    weights: Mapping[str, np.ndarray] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    inner: Sequence["Layer"] = ()  # of a nested model


def config_of(layers: Iterable[Layer], name: str = "net", kind: str = "Functional") -> dict[str, Any]:
    listed = [
        config_of(layer.inner, layer.name, layer.kind)
        if layer.inner
        else {"class_name": layer.kind, "name": layer.name, "config": {"name": layer.name, **layer.config}}
        for layer in layers
    ]
    return {"class_name": kind, "config": {"name": name, "layers": listed}}


def write_list(group: h5py.Group, name: str, values: Sequence[str], limit: int = LIMIT) -> None:
    data = np.asarray([value.encode() for value in values])
    pieces = 1
    while any(piece.nbytes > limit for piece in np.array_split(data, pieces)):
        pieces += 1
    if pieces == 1:
        group.attrs[name] = data
        return
    for index, piece in enumerate(np.array_split(data, pieces)):
        group.attrs[f"{name}{index}"] = piece


def stored_names(layer: Layer, version: int) -> dict[str, np.ndarray]:
    """Weight name -> array, as a version of Keras names them in its lists."""
    found: dict[str, np.ndarray] = {}
    for part in layer.inner or [layer]:
        for short, array in part.weights.items():
            if version == 1:
                found[f"{part.name}_{OLD.get(short, short)}:0"] = array
            elif version == 2:
                found[f"{part.name}/{short}:0"] = array
            else:
                own = "kernel" if (part.kind, short) == ("DepthwiseConv2D", "depthwise_kernel") else short
                found[f"{part.name}/{own}"] = array
    return found


def write_h5(
    path: Path, layers: Sequence[Layer], *, whole: bool = True, version: int = 2, limit: int = LIMIT, **options: Any
) -> Path:
    """A .h5 of Keras 1, 2 or 3; whole models have their config and what the optimiser keeps beside the weights."""
    with h5py.File(path, "w") as file:
        group = file
        if whole:
            file.attrs["model_config"] = json.dumps(config_of(layers))
            group = file.create_group("model_weights")
            kept = file.create_group("optimizer_weights/Adam")
            kept["iter:0"] = np.int64(3)
            kept["m:0"] = np.zeros((4, 4), np.float32)
        group.attrs["keras_version"] = f"{version}.4.0".encode()
        group.attrs["backend"] = b"tensorflow"
        write_list(group, "layer_names", [layer.name for layer in layers], limit)
        for layer in sorted(layers, key=lambda layer: layer.name):
            inside = group.create_group(layer.name)
            stored = stored_names(layer, version)
            write_list(inside, "weight_names", list(stored), limit)
            for name, array in stored.items():
                inside.create_dataset(name, data=array, **(options if array.ndim else {}))
    return path


def snake(kind: str) -> str:
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", kind)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _numbered(group: h5py.Group, layers: Iterable[Layer], container: str, named: bool) -> None:
    used: dict[str, int] = {}
    for layer in layers:
        name = snake(layer.kind)
        used[name] = used.get(name, -1) + 1
        inside = group.create_group(f"{container}/{name}_{used[name]}" if used[name] else f"{container}/{name}")
        own = inside.create_group("vars")
        if named:
            own.attrs["name"] = layer.name
        for index, array in enumerate(layer.weights.values()):
            own[str(index)] = array
        if layer.kind == "Dropout":
            inside.create_group("seed_generator/vars")["0"] = np.zeros(2, np.uint32)
        if layer.inner:
            _numbered(inside, layer.inner, container, named)


def write_numbered(file: h5py.File, layers: Sequence[Layer], *, container: str = "layers", named: bool = False) -> None:
    file.create_group("vars")
    _numbered(file, layers, container, named)
    file.create_group("optimizer/vars")["0"] = np.int64(7)


def write_weights_h5(path: Path, layers: Sequence[Layer], *, container: str = "layers", named: bool = False) -> Path:
    """The .weights.h5 of Keras 3; before 3.0 with another container, since 3.6 with the layers' names."""
    with h5py.File(path, "w") as file:
        write_numbered(file, layers, container=container, named=named)
    return path


def write_keras(path: Path, layers: Sequence[Layer], *, compression: int = zipfile.ZIP_STORED, **more: bytes) -> Path:
    """The .keras archive of Keras 3.

    Args:
        path: of the archive.
        layers: of the model.
        compression: of its members.
        more: members by name, "__" for the dot; in place of those that Keras writes where they have their names.
    """
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        write_numbered(file, layers)
    members = {
        "metadata.json": json.dumps({"keras_version": "3.4.1", "date_saved": "2024-07-01@10:00:00"}).encode(),
        "config.json": json.dumps(config_of(layers)).encode(),
        "model.weights.h5": stream.getvalue(),
        **{name.replace("__", "."): data for name, data in more.items()},
    }
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


# A small network with a layer of every class that is known.
RANDOM = np.random.default_rng(1)


def some(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def norm(name: str, channels: int, *names: str) -> Layer:
    parts = names or ("gamma", "beta", "moving_mean", "moving_variance")
    config = {"epsilon": 0.001, "scale": "gamma" in parts, "center": "beta" in parts}
    return Layer(name, "BatchNormalization", {part: some(channels) for part in parts}, config)


LAYERS = [
    Layer("input_3", "InputLayer", config={"batch_shape": [None, 40, 32, 3]}),
    Layer("conv2d_7", "Conv2D", {"kernel": some(3, 3, 3, 4), "bias": some(4)}, {"strides": [2, 2], "padding": "same"}),
    norm("batch_normalization_9", 4, "beta", "moving_mean", "moving_variance"),
    Layer("re_lu", "ReLU", config={"max_value": 6.0}),
    Layer("conv2d_8", "Conv2D", {"kernel": some(1, 1, 4, 6)}),
    norm("second_bn", 6),
    Layer("dw", "DepthwiseConv2D", {"depthwise_kernel": some(3, 3, 6, 2), "bias": some(12)}),
    Layer("sep", "SeparableConv2D", {"depthwise_kernel": some(3, 3, 12, 1), "pointwise_kernel": some(1, 1, 12, 5)}),
    norm("batch_normalization_10", 5, "gamma", "moving_mean", "moving_variance"),
    Layer("dropout", "Dropout"),
    Layer("logits", "Dense", {"kernel": some(5, 2), "bias": some(2)}, {"activation": "softmax"}),
]
NEWS = {"conv2d_7": "conv2d_0", "conv2d_8": "conv2d_1"}
NEWS |= {"batch_normalization_9": "batch_normalization_0", "batch_normalization_10": "batch_normalization_1"}
EXPECTED = {
    f"{NEWS.get(layer.name, layer.name)}/{'kernel' if layer.name == 'dw' and 'kernel' in part else part}": array
    for layer in LAYERS
    for part, array in layer.weights.items()
}


def assert_same(foreign: Foreign, expected: Mapping[str, np.ndarray] = EXPECTED) -> None:
    assert set(foreign.tensors) == set(expected)
    for name, array in expected.items():
        assert foreign.tensors[name].dtype == np.float32
        np.testing.assert_array_equal(foreign.tensors[name], array, err_msg=name)
