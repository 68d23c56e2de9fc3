import hashlib
import json
import os
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sprat import artifact, codec
from sprat.artifact import Manifest
from sprat.artifact.container import MAGIC
from sprat.errors import BadArtifact, BadInput

MANIFEST = Manifest(
    architecture={"family": "mobilenet_v1", "width": 0.25, "dropout": 0.0},
    image=(3, 32, 32),
    classes=("cat", "dog", "Möwe"),
    preprocessing={"mean": [125.3, 123.0, 113.9], "std": [63.0, 62.1, 66.7]},
    scores={"val_accuracy": 0.9375},
    licence="Apache-2.0",
)


def small_state() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    levels = np.array([-0.5, -0.125, 0, 0, 0, 0.25, 0.75], np.float32)
    return {
        "stem.0.weight": levels[random.integers(0, 7, (8, 3, 3, 3))],
        "stem.1.weight": (random.integers(20, 90, 8) / 64).astype(np.float32),
        "stem.1.running_mean": np.zeros(8, np.float32),
        "stem.1.num_batches_tracked": np.array(371),
        "head.weight": random.normal(size=(3, 8)).astype(np.float32),
        "head.bias": np.array([0.1, -0.0, np.nan], np.float32),
    }


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    artifact.save(tmp_path / "model.sprat", MANIFEST, small_state())
    return tmp_path / "model.sprat"


def test_what_is_saved_is_loaded(saved: Path) -> None:
    manifest, state = artifact.load(saved)
    wanted = small_state()
    assert list(state) == list(wanted)
    for name, array in wanted.items():
        assert (state[name].dtype, state[name].shape) == (array.dtype, array.shape)
        assert state[name].tobytes() == array.tobytes()
    assert manifest == replace(MANIFEST, state_sha256=artifact.state_sha256(wanted))
    assert artifact.read_manifest(saved) == manifest


def test_the_artifact_tells_the_file(saved: Path) -> None:
    found = artifact.save(saved, MANIFEST, small_state())
    assert found.path == saved
    assert found.size_bytes == os.path.getsize(saved)  # noqa: PTH202
    assert found.sha256 == hashlib.sha256(saved.read_bytes()).hexdigest()
    assert found.manifest == artifact.read_manifest(saved)
    assert [path.name for path in saved.parent.iterdir()] == ["model.sprat"]
    assert saved.read_bytes() == artifact.pack(MANIFEST, small_state())


def test_describe_adds_up_to_the_file(saved: Path) -> None:
    rows = artifact.describe(saved)
    assert [row["name"] for row in rows] == list(small_state())
    assert sum(row["bytes"] for row in rows) + artifact.container_bytes(saved) == saved.stat().st_size
    stem = rows[0]
    assert (stem["shape"], stem["dtype"], stem["code"], stem["params"]) == ([8, 3, 3, 3], "float32", "levels", 216)
    weight = small_state()["stem.0.weight"]
    assert stem["nonzero"] == np.count_nonzero(weight)
    assert stem["levels"] == 5
    assert rows[3]["shape"] == []
    json.dumps(rows)


def test_the_overhead_of_a_mobilenet_is_small() -> None:
    """27 convolutions with their norms: manifest, names, lengths, heads, constants."""
    state: dict[str, np.ndarray] = {}
    for block in range(27):
        state[f"stages.{block // 6}.{block % 6}.0.0.weight"] = np.zeros((1, 1, 3, 3), np.float32)
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            state[f"stages.{block // 6}.{block % 6}.0.1.{name}"] = np.full(128, value, np.float32)
        state[f"stages.{block // 6}.{block % 6}.0.1.num_batches_tracked"] = np.array(1000 + 7 * 0)
    assert len(state) == 162
    assert len(artifact.pack(MANIFEST, state)) < 1800


def test_the_hash_is_the_documented_one() -> None:
    state = {"a": np.array([[1.0, 2.0]], np.float32), "b": np.array(7)}
    text = b"a\0float32\x001,2\0" + bytes.fromhex("0000803f00000040") + b"b\0int64\0\0" + b"\7" + bytes(7)
    assert artifact.state_sha256(state) == hashlib.sha256(text).hexdigest()
    assert artifact.state_sha256({"a": state["a"].astype(">f4"), "b": state["b"]}) == artifact.state_sha256(state)
    assert artifact.state_sha256({"b": state["b"], "a": state["a"]}) != artifact.state_sha256(state)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"image": [3, 32]}, "image"),
        ({"image": [3, 32, 0]}, "image"),
        ({"image": [3, 32, True]}, "image"),
        ({"image": [3, 32, 32.0]}, "image"),
        ({"classes": "cat"}, "classes"),
        ({"classes": ["cat", 3]}, "classes"),
        ({"architecture": []}, "architecture"),
        ({"preprocessing": None}, "preprocessing"),
        ({"scores": 0.9}, "scores"),
        ({"licence": 7}, "licence"),
        ({"sprat_version": None}, "sprat_version"),
        ({"format_version": 2}, "format version 2"),
        ({"format_version": True}, "format version True"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_wrong_manifest_is_refused(change: dict[str, object], what: str) -> None:
    values = MANIFEST.to_dict()
    assert Manifest.from_dict(values) == MANIFEST
    with pytest.raises(BadArtifact, match=what):
        Manifest.from_dict({**values, **change})
    rest = dict(values)
    del rest["classes"]
    with pytest.raises(BadArtifact, match="no classes"):
        Manifest.from_dict(rest)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":1e5,"a":2}',
        b'{"scores":NaN}',
        b"9" * 5000,
    ],
)
def test_a_header_that_is_no_manifest_is_refused(text: bytes) -> None:
    with pytest.raises(BadArtifact, match="manifest"):
        artifact.unpack(with_header(text, b""))


def test_a_deflate_bomb_is_refused() -> None:
    bomb = deflate(b" " * 10**7)
    start = MAGIC + bytes([1]) + codec.varint(0) + bytes(32)
    for claim in (10**7, 10**6, 100):
        content = start + codec.varint(claim) + codec.varint(len(bomb)) + bomb
        with pytest.raises(BadArtifact, match=r"inflates|at most 1000000"):
            artifact.unpack(content)


def test_names_must_fit() -> None:
    header = json.dumps({k: v for k, v in MANIFEST.to_dict().items() if k != "state_sha256"}).encode()
    payload = codec.encode(np.zeros(3, np.float32))
    body = (codec.varint(len(payload)) + payload) * 2
    for names in (b"a\na", b"a", b"a\n", b"a\nb\nc", b"\xff\nb"):
        with pytest.raises(BadArtifact, match="names"):
            artifact.unpack(with_header(header, names, 2) + body)
    with pytest.raises(BadArtifact, match="sha256"):
        artifact.unpack(with_header(header, b"a\nb", 2) + body)
    with pytest.raises(BadArtifact, match="too many"):
        artifact.unpack(with_header(header, b"a\nb", 2) + body + b"x")


def test_limits_hold_over_all_tensors_together() -> None:
    content = artifact.pack(MANIFEST, {str(number): np.zeros(1000, np.float32) for number in range(5)})
    artifact.unpack(content, codec.Limits(max_elements=5000))
    with pytest.raises(BadArtifact, match="5,000 elements"):
        artifact.unpack(content, codec.Limits(max_elements=4999))
    with pytest.raises(BadArtifact, match="at most 4"):
        artifact.unpack(content, codec.Limits(max_tensors=4))


def test_files_that_are_none_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadArtifact, match=r"nothing\.sprat cannot be read"):
        artifact.load(tmp_path / "nothing.sprat")
    with pytest.raises(BadArtifact, match="cannot be read"):
        artifact.load(tmp_path)
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(BadArtifact, match=r"photo\.png: it does not begin like a \.sprat"):
        artifact.read_manifest(tmp_path / "photo.png")
    with (tmp_path / "large.sprat").open("wb") as stream:
        stream.truncate(10**9)  # sparse
    with pytest.raises(BadArtifact, match="not read"):
        artifact.load(tmp_path / "large.sprat")


def test_what_cannot_be_stored_is_named() -> None:
    with pytest.raises(BadInput, match="conv: a tensor of type complex64"):
        artifact.pack(MANIFEST, {"conv": np.zeros(2, np.complex64)})
    for name in ("", "a\nb", "\ud800"):
        with pytest.raises(BadInput, match="called"):
            artifact.pack(MANIFEST, {name: np.zeros(2, np.float32)})
    with pytest.raises(BadInput, match="JSON"):
        artifact.pack(replace(MANIFEST, scores={"loss": float("nan")}), {})
    with pytest.raises(BadInput, match="JSON"):
        artifact.pack(replace(MANIFEST, scores={"loss": np.float32(1)}), {})


def test_a_network_without_tensors_round_trips() -> None:
    manifest, state = artifact.unpack(artifact.pack(MANIFEST, {}))
    assert state == {}
    assert manifest.classes == MANIFEST.classes


def with_header(text: bytes, names: bytes, num_tensors: int = 0) -> bytes:
    """A file up to its tensors, all lengths and the checksum right."""
    start = MAGIC + bytes([1]) + codec.varint(num_tensors) + bytes(32)
    for part in (text, names):
        packed = deflate(part)
        start += codec.varint(len(part)) + codec.varint(len(packed)) + packed
    return start + zlib.crc32(start).to_bytes(4, "little")


def deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()
