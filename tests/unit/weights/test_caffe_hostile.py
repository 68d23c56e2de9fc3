"""Caffe models that are damaged or made to hurt: an error in words, in little time and memory."""

import re
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from caffe_writer import Layer, blob, legacy_shape_of, nested, net_bytes, number, shape_of, string, varint

from sprat.errors import BadInput
from sprat.weights.foreign import READERS, first_bytes
from sprat.weights.formats.caffe import read
from sprat.weights.parse import caffe_blob

MUTATIONS = 4000


def small_net(generation: int) -> bytes:
    numbers = np.random.default_rng(0)
    layers = [
        Layer("conv1", "Convolution", [numbers.random((2, 1, 2, 2), np.float32), numbers.random(2, np.float32)]),
        Layer("relu1", "ReLU"),
        Layer("fc2", "InnerProduct", [numbers.random((2, 3), np.float32)]),
    ]
    if generation == 2:
        layers.append(
            Layer("bn", "BatchNorm", [np.ones(2, np.float32), np.ones(2, np.float32), np.ones(1, np.float32)])
        )
        layers.append(Layer("scale", "Scale", [np.ones(2, np.float32)]))
    return net_bytes(layers, generation=generation, inputs=True)


def refused(content: bytes, path: Path) -> str:
    """The message a file is refused with."""
    path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


def one_blob(content: bytes, kind: str = "Convolution") -> bytes:
    return net_bytes([Layer("c", kind, [content])])


@pytest.mark.parametrize("generation", [1, 2])
def test_a_file_cut_anywhere_is_refused_or_ends_between_two_layers(generation: int, tmp_path: Path) -> None:
    content, path = small_net(generation), tmp_path / "net"
    whole = read_tensors(content, path)
    ends = 0
    for end in range(len(content)):
        path.write_bytes(content[:end])
        try:
            found = read(path).tensors
        except BadInput:
            continue
        ends += 1
        assert list(found) == list(whole)[: len(found)]
        assert all(np.array_equal(found[name], whole[name]) for name in found)
    assert ends <= 12  # after each layer, and the inputs that follow


def read_tensors(content: bytes, path: Path) -> dict[str, np.ndarray]:
    path.write_bytes(content)
    return dict(read(path).tensors)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff" * 40, "over 10 bytes"),
        (string(1, "net"), "no layers"),
        (varint(100 << 3 | 2) + varint(2**62) + b"rest", "are left"),
        (nested(100, varint(7 << 3 | 2) + varint(2**40)), "are left"),
        (nested(100, number(1, 5)), "name of a layer is a number"),
        (nested(100, nested(1, b"\xff\xfe")), "not UTF-8"),
        (nested(100, string(1, "n" * 5000)), "5,000 characters"),
        (nested(100, nested(7, blob(np.ones(2, np.float32)))), "has no name"),
        (nested(100, string(1, "a") + number(7, 1)), "blob of layer 'a' is a number"),
        (number(100, 1), "a layer is a number"),
        (varint(100 << 3 | 3), "wire type 3"),
        (nested(2, string(4, "a")) + nested(100, string(1, "a")), "both generations"),
        (nested(2, nested(1, string(1, "conv1") + string(2, "conv"))), "V0LayerParameter"),
        (nested(2, string(4, "a") + string(5, "CONVOLUTION")), "type of layer 'a' is bytes"),
        (nested(100, string(1, "a") + string(117, "x")), "left|number|wire"),
        (nested(100, string(1, "a") + b"".join(nested(7, b"") for _ in range(1001))), "over 1,000 blobs"),
        (one_blob(b""), "holds 0"),
        (one_blob(shape_of((4,))), r"shape \(4,\), 16 bytes, but the file holds 0"),
        (one_blob(nested(5, bytes(8)) + shape_of((3,))), "12 bytes, but the file holds 8"),
        (one_blob(nested(5, bytes(7)) + shape_of((2,))), "holds 7"),
        (one_blob(nested(5, bytes(4)) + shape_of((-1,))), "not usable"),
        (one_blob(nested(5, bytes(4)) + shape_of((-1, -1))), "not usable"),
        (one_blob(nested(5, bytes(4)) + legacy_shape_of((1, -1, 1, -1))), "not usable"),
        (one_blob(nested(5, bytes(4)) + shape_of((2**31 - 1, 2**31 - 1))), "over 4,294,967,296 bytes"),
        (one_blob(nested(5, bytes(4)) + shape_of((2**62, 4))), "not usable"),
        (one_blob(nested(5, bytes(4)) + shape_of((2**40, 0))), "not usable"),
        (one_blob(nested(5, bytes(4)) + shape_of([1] * 9)), "over 8 dimensions"),
        (one_blob(nested(5, bytes(4)) + shape_of([1] * 9, packed=False)), "over 8 dimensions"),
        (one_blob(nested(5, bytes(4)) + nested(7, nested(1, varint(1) * 1_000_000))), "over 8 dimensions"),
        (one_blob(nested(5, bytes(4)) + nested(7, nested(1, b"\x80"))), "truncated"),
        (one_blob(nested(5, bytes(4)) + number(7, 1)), "shape of weights of layer 'c' is a number"),
        (one_blob(number(5, 1) + shape_of((1,))), "wire type 0"),
        (one_blob(varint(5 << 3 | 1) + bytes(8) + shape_of((2,))), "wire type 1"),
        (one_blob(nested(5, bytes(4)) + nested(8, bytes(8)) + shape_of((1,))), "numbers of 2 types"),
        (one_blob(number(10, 9) + nested(12, bytes(4)) + shape_of((1,))), "NVIDIA's type 9"),
        (one_blob(number(10, 2) + nested(12, bytes(4)) + shape_of((1,))), "2 bytes, but the file holds 4"),
        (one_blob(string(10, "2") + nested(12, bytes(4))), "bytes where a number"),
        (net_bytes([Layer("c", "Convolution", [blob(np.ones(1, np.float32))] * 3)]), "3 blobs; Caffe's has 2"),
    ],
)
def test_damage_is_named(content: bytes, says: str, tmp_path: Path) -> None:
    message = refused(content, tmp_path / "net.caffemodel")
    assert re.search(says, message), message
    assert len(message) < 600


def test_nesting_is_not_followed(tmp_path: Path) -> None:
    """Layers within layers a thousand times are bytes that nobody asks for."""
    deep = b""
    for _ in range(1000):
        deep = nested(100, deep)
    path = tmp_path / "net"
    path.write_bytes(net_bytes([Layer("a", "ReLU", (), deep)]))
    assert read(path).notes["layers"] == [["a", "ReLU"]]


@pytest.mark.parametrize(
    "content",
    [
        nested(100, b"") * 1_000_000,
        b"\x28\x01" * 5_000_000,  # force_backward
        nested(100, string(1, "a") + b"\x50\x01" * 5_000_000),  # phase
        one_blob(b"\x08\x01" * 5_000_000),  # num
        one_blob(b"\x2d\x00\x00\x80\x3f" * 4_500_000 + shape_of((4_500_000,))),
    ],
    ids=["layers", "of the net", "of a layer", "of a blob", "numbers that are not packed"],
)
def test_millions_of_fields_are_refused_soon(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caffe_blob, "MAX_FIELDS", 200_000)
    started = time.process_time()
    message = refused(content, tmp_path / "net")
    assert "over 100,000 layers" in message or "over 200,000 fields" in message
    assert time.process_time() - started < 5


def test_memory_is_that_of_the_numbers(tmp_path: Path) -> None:
    """A file of 16 MB of floats, of which half are gradients, takes 8 MB."""
    weights = np.ones((1024, 2048), np.float32)
    path = tmp_path / "net"
    path.write_bytes(net_bytes([Layer("fc", "InnerProduct", [blob(weights) + nested(6, weights.tobytes())])]))
    tracemalloc.start()
    found = read(path).tensors
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found["fc/weights"].nbytes == 8 * 2**20
    assert peak < 9 * 2**20


def test_lengths_that_lie_take_no_memory(tmp_path: Path) -> None:
    tracemalloc.start()
    for content in (
        one_blob(shape_of((2**15, 2**15))),
        one_blob(nested(5, bytes(4)) + shape_of((2**30,))),
        nested(100, string(1, "a") + varint(7 << 3 | 2) + varint(2**33)),
    ):
        refused(content, tmp_path / "net")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize("generation", [1, 2])
def test_files_changed_at_random_are_read_or_refused(generation: int, tmp_path: Path) -> None:
    content, path = small_net(generation), tmp_path / "net"
    chance = np.random.default_rng(2024 + generation)
    read_whole = 0
    for _ in range(MUTATIONS // 2):
        changed = bytearray(content)
        for _ in range(int(chance.integers(1, 6))):
            place = int(chance.integers(len(changed)))
            action = int(chance.integers(4))
            if action == 0:
                changed[place] = int(chance.integers(256))
            elif action == 1:
                changed[place] ^= 1 << int(chance.integers(8))
            elif action == 2:
                del changed[place : place + int(chance.integers(1, 9))]
            else:
                changed[place:place] = chance.integers(0, 256, int(chance.integers(1, 9)), np.uint8).tobytes()
            changed = changed or bytearray(b"\x00")
        path.write_bytes(changed)
        READERS.get("caffe").recognises(path, first_bytes(path))
        try:
            foreign = read(path)
        except BadInput:
            continue
        read_whole += 1
        assert sum(array.nbytes for array in foreign.tensors.values()) <= 2 * len(changed)
        assert all(array.dtype == np.float32 for array in foreign.tensors.values())
    assert MUTATIONS // 100 < read_whole < MUTATIONS // 2


def test_noise_is_read_or_refused(tmp_path: Path) -> None:
    chance = np.random.default_rng(7)
    path = tmp_path / "net"
    for start in (b"", b"\x0a\x03net", b"\xa2\x06", b"\x12", b"\x0a\x03net\xa2\x06\x30\x0a\x01a\x12\x09BatchNorm\x3a"):
        for _ in range(200):
            path.write_bytes(start + chance.integers(0, 256, 60, np.uint8).tobytes())
            READERS.get("caffe").recognises(path, first_bytes(path))
            with pytest.raises(BadInput):
                read(path)
