"""load(): a predictor from a .sprat, .safetensors or .onnx file, told apart by content."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sprat import artifact
from sprat.artifact import Manifest
from sprat.artifact.container import MAGIC
from sprat.errors import BadArtifact, BadInput, SpratError
from sprat.export.batch import Images, by_size
from sprat.export.safetensors import (
    describe_safetensors,
    first_bytes,
    is_safetensors,
    read_safetensors,
    read_safetensors_manifest,
)
from sprat.export.session import INPUT, OUTPUT, open_session
from sprat.image import ImageSpec
from sprat.preprocess import Preprocess

if TYPE_CHECKING:
    from torch import nn


class Predictor(Protocol):
    """A loaded file: its class names, its manifest where it carries one, and its probabilities for images."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the probabilities."""

    @property
    def manifest(self) -> Manifest | None:
        """What the file says of itself; None for an .onnx file of a network from outside sprat's zoo."""

    def predict(self, images: Images) -> NDArray[np.float32]:
        """Probabilities (N, classes), each row summing to 1, of uint8 images (H, W, 1 or 3), each of any size."""


def load(path: str | Path, *, threads: int = 1) -> Predictor:
    """The predictor of a .sprat, .safetensors or .onnx file; which it is is seen from its first bytes, not its name.

    Args:
        path: the file.
        threads: for ONNX Runtime; PyTorch keeps its own number.

    Raises:
        BadInput: there is no such file, or it is neither format, or onnxruntime is needed and missing.
        BadArtifact: the file is damaged.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            first = stream.read(16)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}; give a file made by sprat") from None
    if first.startswith(MAGIC) or is_safetensors(first):
        return SpratPredictor(path)
    if first[:1] == b"\x08" and first[2:3] in (
        b"\x12",
        b"\x42",
        b"\x3a",
    ):  # protobuf: ir_version, then a string or graph
        return OnnxPredictor(path, threads)
    raise BadInput(
        f"{path} is no .sprat, .safetensors or .onnx file (it starts with {first[:8]!r}); give one made by sprat, or "
        f"bring weights of another library in with `sprat import {path}`"
    )


def read_network(path: Path) -> tuple[Manifest, dict[str, NDArray[Any]]]:
    """Manifest and weights of a .sprat or .safetensors file.

    Raises:
        BadArtifact: there is no such file, or it is damaged, or was not written by sprat.
    """
    manifest, state = read_safetensors(path) if is_safetensors(first_bytes(path)) else artifact.load(path)
    if manifest.preprocessing:
        _check_size(path, manifest)
    return manifest, state


def read_manifest(path: Path) -> Manifest:
    """What a .sprat or .safetensors file says of itself.

    Raises:
        BadArtifact: as `read_network`.
    """
    if is_safetensors(first_bytes(path)):
        return read_safetensors_manifest(path)
    return artifact.read_manifest(path)


def describe(path: Path) -> list[dict[str, Any]]:
    """One dict a tensor of a .sprat or .safetensors file: name, shape, dtype, code, params, nonzero, levels, bytes.

    Raises:
        BadArtifact: as `read_network`.
    """
    if is_safetensors(first_bytes(path)):
        return describe_safetensors(path)
    return artifact.describe(path)


class SpratPredictor:
    """A .sprat or .safetensors file: its network rebuilt by the zoo, run by PyTorch in inference mode."""

    def __init__(self, path: Path) -> None:
        self.manifest, state = read_network(path)
        self.classes = self.manifest.classes
        try:
            self.preprocess = Preprocess.from_dict(self.manifest.preprocessing)
            self.network = network_of(self.manifest, state)
        except SpratError as error:
            raise BadArtifact(f"{path} cannot be rebuilt: {error}") from None

    def predict(self, images: Images) -> NDArray[np.float32]:
        """Probabilities (N, classes) of uint8 images (H, W, 1 or 3), each of any size."""
        import torch

        result = np.zeros((len(images), len(self.classes)), np.float32)
        for places, batch in by_size(images, self.preprocess.channels):
            with torch.inference_mode():
                result[places] = torch.softmax(self.network(self.preprocess.apply(batch)), 1).numpy()
        return result


class OnnxPredictor:
    """An .onnx file made by sprat, run by ONNX Runtime on the CPU."""

    def __init__(self, path: Path, threads: int) -> None:
        self._session = open_session(path, threads=threads)
        notes = self._session.get_modelmeta().custom_metadata_map
        self._channels: Any = self._session.get_inputs()[0].shape[3]
        try:
            self.classes = tuple(str(name) for name in json.loads(notes["classes"]))
            self.manifest = Manifest.from_dict(json.loads(notes["manifest"])) if "manifest" in notes else None
        except (KeyError, TypeError, json.JSONDecodeError):
            raise BadArtifact(f"{path} carries no class names in its metadata; export it again with sprat") from None
        except BadArtifact as error:
            raise BadArtifact(f"{path}: {error}") from None
        width = self._session.get_outputs()[0].shape[-1]
        if width != len(self.classes):
            raise BadArtifact(
                f"{path} gives {width} probabilities but names {len(self.classes)} classes; export it again"
            )

    def predict(self, images: Images) -> NDArray[np.float32]:
        """Probabilities (N, classes) of uint8 images (H, W, 1 or 3), each of any size."""
        result = np.zeros((len(images), len(self.classes)), np.float32)
        for places, batch in by_size(images, self._channels):
            result[places] = self._session.run([OUTPUT], {INPUT: batch})[0]
        return result


def network_of(manifest: Manifest, state: dict[str, NDArray[Any]]) -> "nn.Module":
    """The network of a manifest with the weights `state`, in inference mode. Batch counters may be left out.

    Raises:
        BadArtifact: the weights are not those of that architecture.
        BadInput, UnknownName: no network has that architecture.
    """
    import torch

    from sprat.zoo import build, config_from_dict

    config, image = config_from_dict(manifest.architecture), ImageSpec(*manifest.image)
    try:
        with torch.device("meta"):  # takes no memory, whatever sizes the file claims
            wanted = build(config, image, len(manifest.classes)).state_dict()
    except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
        raise BadArtifact(f"no network can be built from {manifest.architecture} for {image}: {error}") from None
    given = {name: torch.from_numpy(np.array(value)) for name, value in state.items()}
    for name, value in wanted.items():
        if name.endswith("num_batches_tracked"):
            given.setdefault(name, torch.zeros(value.shape, dtype=value.dtype))
    wrong = [
        name
        for name in sorted(wanted.keys() | given.keys())
        if name not in wanted or name not in given or wanted[name].shape != given[name].shape
    ]
    if wrong:
        raise BadArtifact(
            f"{len(wrong)} tensors do not fit {manifest.architecture}, the first is {wrong[0]}: "
            f"the file has {_shape(given, wrong[0])}, the network needs {_shape(wanted, wrong[0])}"
        )
    with torch.random.fork_rng(devices=[]):
        net = build(config, image, len(manifest.classes))
    net.load_state_dict(given, strict=True)
    return net.eval().requires_grad_(False)


def _check_size(path: Path, manifest: Manifest) -> None:
    try:
        preprocess = Preprocess.from_dict(manifest.preprocessing)
    except BadInput as error:
        raise BadArtifact(f"{path} cannot be rebuilt: {error}") from None
    size = (preprocess.channels, preprocess.height, preprocess.width)
    if size != tuple(manifest.image):
        raise BadArtifact(
            f"{path} cannot be rebuilt: its network takes images {tuple(manifest.image)} and its preprocessing makes "
            f"{size}; they must be equal"
        )


def _shape(state: dict[str, Any], name: str) -> str:
    return str(tuple(state[name].shape)) if name in state else "none of that name"
