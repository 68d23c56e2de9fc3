"""The .safetensors file of sprat: round trip, and headers that lie."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch

from sprat.artifact import Manifest
from sprat.artifact.manifest import write_json
from sprat.errors import BadArtifact
from sprat.export import load, read_manifest, read_network, state_of
from sprat.export.convert import convert
from sprat.export.safetensors import to_safetensors
from sprat.image import ImageSpec
from sprat.preprocess import Preprocess
from sprat.zoo import config_to_dict, create, get_preset

IMAGE = ImageSpec(3, 32, 32)
PREPROCESS = Preprocess(3, 32, 32, (120.0,) * 3, (60.0,) * 3, 36, True, False)
MANIFEST = Manifest(
    architecture=config_to_dict(get_preset("mobilenet_v1_0.125")),
    image=(3, 32, 32),
    classes=("a", "b"),
    preprocessing=PREPROCESS.to_dict(),
    origin={"file": "net.h5"},
)


@pytest.fixture
def state() -> dict[str, Any]:
    torch.manual_seed(0)
    return state_of(create("mobilenet_v1_0.125", num_classes=2, image=IMAGE))


def test_weights_and_manifest_come_back(tmp_path: Path, state: dict[str, Any]):
    written = to_safetensors(state, MANIFEST, tmp_path / "net.safetensors")
    manifest, found = read_network(tmp_path / "net.safetensors")
    assert manifest == written == read_manifest(tmp_path / "net.safetensors")
    assert replace(manifest, state_sha256="") == MANIFEST
    assert all(np.array_equal(found[name], state[name]) for name in state)
    assert Preprocess.from_dict(manifest.preprocessing) == PREPROCESS


def test_the_same_network_gives_the_same_bytes(tmp_path: Path, state: dict[str, Any]):
    contents = set()
    for index in range(8):
        to_safetensors(state, MANIFEST, tmp_path / f"{index}.safetensors")
        contents.add((tmp_path / f"{index}.safetensors").read_bytes())
    assert len(contents) == 1


def test_other_tools_read_the_tensors(tmp_path: Path, state: dict[str, Any]):
    to_safetensors(state, MANIFEST, tmp_path / "net.safetensors")
    assert safetensors.numpy.load_file(tmp_path / "net.safetensors").keys() == state.keys()


def test_changed_weights_are_noticed(tmp_path: Path, state: dict[str, Any]):
    path = tmp_path / "net.safetensors"
    to_safetensors(state, MANIFEST, path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadArtifact, match="other weights than it says"):
        load(path)


def lying(path: Path, state: dict[str, Any], **changes: Any) -> Path:
    """A file whose manifest says something else; written around our own checks."""
    values = {**json.loads(write_json(MANIFEST)), **changes}
    safetensors.numpy.save_file(state, path, {"sprat": "0" * 64 + "\n" + json.dumps(values)})
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"image": [3, 10**8, 10**8]},
        {"image": [10**12, 32, 32]},
        {"image": [3, 0, 32]},
        {"architecture": {"family": "mobilenet_v1", "width": 1e300}},
        {"architecture": {"family": "no such"}},
        {"architecture": {"family": "mobilenet_v1", "ported": {"padding": "same", "built_for": 10**9}}},
        {"preprocessing": {**PREPROCESS.to_dict(), "resize": 10**9}},
        {"preprocessing": {**PREPROCESS.to_dict(), "height": 64}},
        {"classes": "a"},
        {"format_version": 99},
    ],
)
def test_a_lying_header_is_refused_by_every_way_in(tmp_path: Path, state: dict[str, Any], changes: dict[str, Any]):
    path = lying(tmp_path / "net.safetensors", state, **changes)
    for use in (load, read_network, lambda file: convert(file, "onnx", tmp_path / "net.onnx")):
        with pytest.raises(BadArtifact):
            use(path)
    assert not (tmp_path / "net.onnx").exists()


@pytest.mark.parametrize("text", ["{", "[1]", '{"classes": NaN}', '{"a": 1, "a": 2}', "[" * 100_000, "null"])
def test_a_manifest_that_is_no_json_is_refused(tmp_path: Path, state: dict[str, Any], text: str):
    path = tmp_path / "net.safetensors"
    safetensors.numpy.save_file(state, path, {"sprat": "0" * 64 + "\n" + text})
    with pytest.raises(BadArtifact, match="manifest"):
        read_manifest(path)


@pytest.mark.parametrize("content", [b"", b"\x10\0\0\0\0\0\0\0{", b"\xff" * 64, b"\x02\0\0\0\0\0\0\0{}garbage"])
def test_damaged_files_are_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "net.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadArtifact):
        read_network(path)


def test_weights_of_another_tool_are_told_how_to_come_in(tmp_path: Path, state: dict[str, Any]):
    safetensors.numpy.save_file(state, tmp_path / "net.safetensors")
    with pytest.raises(BadArtifact, match="sprat import"):
        load(tmp_path / "net.safetensors")
