"""Keras: whole models and weights in .h5 of all versions, .weights.h5 and the .keras archive of Keras 3.

Source: keras-team/keras, keras/src/legacy/saving/legacy_h5_format.py (groups of layers with lists of their weights) and
keras/src/saving/saving_lib.py (numbered variables at the place of their layer; an archive of these and the config).
"""

import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprat.errors import BadInput
from sprat.weights.foreign import MAX_BYTES, Foreign, first_bytes, reader
from sprat.weights.parse.hdf5 import MAX_RATIO, MAX_TEXT, SIGNATURE, Hdf5, opened
from sprat.weights.parse.keras_names import (
    CONTAINERS,
    Layer,
    check_count,
    image_of,
    layers_of,
    parsed,
    ranked,
    renumbered,
    short,
    variables,
    word_of,
)

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
Tensors = dict[str, NDArray[np.float32]]


def _recognises(path: Path, head: bytes) -> bool:
    """HDF5, or an archive with a model's config in it."""
    if head.startswith(SIGNATURE):
        return True
    if not head.startswith(b"PK\x03\x04"):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return False
    return CONFIG in names and bool(names & {METADATA, WEIGHTS})


@reader("keras", understands="Keras .h5, .weights.h5 and .keras", recognises=_recognises)
def read(path: Path) -> Foreign:
    """The weights, named "<layer>/<kernel, bias, gamma, beta, moving_mean, moving_variance>".

    A separable convolution has "depthwise_kernel" and "pointwise_kernel"; a depthwise one has "kernel", as in Keras 3.
    Layers that Keras numbered itself are numbered anew, from 0 in each class: conv2d, conv2d_1, ... and conv2d_95,
    conv2d_96, ... are conv2d_0, conv2d_1, .... A file without config that tells layers by their classes alone has only
    such names. What optimisers keep is left out.

    Notes: "layout" ("model" or "weights" with lists of names, "numbered" by class, "archive"), "keras_version" and,
    where the file has a config, "layers" ([[name, class, {strides, padding, epsilon, ...}], ...]) and "image"
    ([C, H, W]).

    Raises:
        BadInput: no Keras file, damaged, or hostile.
    """
    if not first_bytes(path).startswith(SIGNATURE):
        config, version, weights = _unpacked(path)
        layers = _layers(config, path.name)
        with opened(weights, path.name) as file:
            tensors = _numbered(file, layers)
        return _foreign(tensors, layers, "archive", version, path.name)
    with opened(path, path.name) as file:
        group = file.find(file.root, "model_weights") or file.root
        text = file.text(file.root, "model_config")
        layers = _layers(None if text is None else parsed(text, f"{path.name}: model_config"), path.name)
        version = file.text(group, "keras_version") or file.text(file.root, "keras_version")
        if names := file.texts(group, "layer_names"):
            tensors, layout = _listed(file, group, names), "weights" if group is file.root else "model"
        else:
            tensors, layout = _numbered(file, layers), "numbered"
    return _foreign(tensors, layers, layout, version, path.name)


def _layers(config: Any, what: str) -> list[Layer]:
    """The layers of a model's config; none where the file has no config."""
    layers = list(layers_of(config))
    check_count(len(layers), what)
    return layers


def _foreign(tensors: Tensors, layers: list[Layer], layout: str, version: str | None, what: str) -> Foreign:
    """The result: depthwise kernels and numbered layers by their common names."""
    if not tensors:
        raise BadInput(f"{what} holds no weights of Keras layers; save the network with its weights (model.save)")
    named: Tensors = {}
    for name, tensor in tensors.items():
        layer, _, last = name.rpartition("/")
        if last == "depthwise_kernel" and f"{layer}/pointwise_kernel" not in tensors:
            last = "kernel"
        named[f"{layer}/{last}"] = tensor
    news = renumbered(name.rpartition("/")[0] for name in named)
    final = {f"{news[name.rpartition('/')[0]]}/{name.rpartition('/')[2]}": tensor for name, tensor in named.items()}
    if len(final) != len(tensors):
        raise BadInput(f"{what} holds {len(tensors)} tensors under {len(final)} names; the file is damaged")
    notes: dict[str, Any] = {"layout": layout, "keras_version": version}
    if layers:
        notes["layers"] = [[news.get(layer.name, layer.name), layer.kind, dict(layer.values)] for layer in layers]
    if image := image_of(layers):
        notes["image"] = image
    return Foreign("keras", final, notes)


def _listed(file: Hdf5, group: Any, layers: list[str]) -> Tensors:
    """The weights that each layer's group lists; in the group of a nested model by the names of its own layers."""
    tensors: Tensors = {}
    for layer in layers:
        inside = file.find(group, layer)
        if inside is None:
            raise BadInput(f"{file.what} lists the layer {layer!r}, which is not in it; the file is damaged")
        weights = file.texts(inside, "weight_names")
        lasts = [short(weight, layer) for weight in weights]
        nested = len(set(lasts)) < len(lasts)
        for weight, last in zip(weights, lasts, strict=True):
            dataset = file.find(inside, weight)
            name = f"{weight.rpartition('/')[0]}/{last}" if nested else f"{layer}/{last}"
            if not file.is_dataset(dataset) or name in tensors:
                raise BadInput(
                    f"{file.what} lists the weight {weight!r} of layer {layer!r}, which is not in it or comes twice; "
                    "the file is damaged"
                )
            tensors[name] = file.tensor(dataset)
    return tensors


def _numbered(file: Hdf5, layers: list[Layer]) -> Tensors:
    """The variables at the place of each layer: layers/conv2d_3/vars/0."""
    places = {layer.place: layer for layer in layers}
    variables_of: dict[tuple[str, ...], Any] = {}
    for start in [name for name in CONTAINERS if file.is_group(file.find(file.root, name))] or [""]:
        for path, group in file.groups(file.find(file.root, start)):
            parts = path.split("/")
            if parts[-1] == "vars" and file.names(group) and not _is_state(parts):
                variables_of[tuple(part for part in parts[:-1] if part not in CONTAINERS)] = group
    named: dict[tuple[str, ...], str] = {}
    exact = all(place in places for place in variables_of)
    ranks = {place: place for place in variables_of} if exact else ranked(variables_of)
    for place, group in variables_of.items():
        layer = places.get(ranks[place])
        named[place] = layer.name if layer else file.text(group, "name") or "/".join(ranks[place][-1:]) or "model"
    twice = {name for name, count in Counter(named.values()).items() if count > 1}
    tensors: Tensors = {}
    for place, group in variables_of.items():
        layer, word = places.get(ranks[place]), word_of("/".join(place[-1:]))
        full = "/".join(ranks[place]) if named[place] in twice else named[place]
        for index, last in enumerate(variables(word, len(group), layer.values if layer else None)):
            dataset = file.find(group, str(index))
            if not file.is_dataset(dataset):
                raise BadInput(f"{file.what}: the variables of {full} are not numbered 0, 1, ...; the file is damaged")
            tensors[f"{full}/{last}"] = file.tensor(dataset)
    return tensors


def _is_state(parts: list[str]) -> bool:
    """Whether variables are those of training: of the optimiser, of metrics, of random numbers."""
    return parts[0].lstrip("_").startswith(("optimizer", "metrics", "compile", "loss")) or "seed_generator" in parts


def _unpacked(path: Path) -> tuple[Any, str | None, bytes]:
    """(config, version of Keras, bytes of the HDF5 file) of a .keras archive; nothing is unpacked to disk.

    Raises:
        BadInput: a member is missing, comes twice, is larger than it can be, or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if any(names.count(name) != 1 for name in (CONFIG, WEIGHTS)):
                raise BadInput(
                    f"{path.name} must hold {CONFIG} and {WEIGHTS} once each; it holds {', '.join(names[:8])}. "
                    'Save the network anew with model.save("name.keras")'
                )
            config = parsed(_member(archive, CONFIG, MAX_TEXT, path), f"{path.name}: {CONFIG}")
            metadata = None
            if METADATA in names:
                metadata = parsed(_member(archive, METADATA, MAX_TEXT, path), f"{path.name}: {METADATA}")
            weights = _member(archive, WEIGHTS, MAX_BYTES, path)
    except (OSError, ValueError, RuntimeError, NotImplementedError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BadInput(f"{path.name} cannot be read as a .keras archive; it is damaged ({error})") from None
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    return config, version if isinstance(version, str) else None, weights


def _member(archive: zipfile.ZipFile, name: str, limit: int, path: Path) -> bytes:
    info = archive.getinfo(name)
    fits = info.compress_size <= path.stat().st_size and info.file_size <= MAX_RATIO * info.compress_size
    if not fits or info.file_size > limit or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BadInput(
            f"{path.name}: {name} says it has {info.file_size:,} bytes, packed into {info.compress_size:,}; the "
            "file is damaged"
        )
    return archive.read(info)
