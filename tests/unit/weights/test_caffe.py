import struct
from pathlib import Path

import numpy as np
import pytest
from caffe_writer import (
    Layer,
    blob,
    layer_bytes,
    legacy_shape_of,
    nested,
    net_bytes,
    number,
    raw_blob,
    shape_of,
    string,
    varint,
)
from numpy.typing import NDArray

from sprat.errors import BadInput
from sprat.weights.foreign import READERS, Foreign, first_bytes, read_foreign
from sprat.weights.formats.caffe import GENERATIONS, MAX_LAYERS, MAX_NOTED, read

generations = pytest.mark.parametrize("generation", [1, 2])


def numbers(*shape: int, seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def read_bytes(content: bytes, folder: Path) -> Foreign:
    path = folder / "net.caffemodel"
    path.write_bytes(content)
    return read(path)


def assert_refused(content: bytes, folder: Path, match: str) -> None:
    with pytest.raises(BadInput, match=match):
        read_bytes(content, folder)


@generations
def test_weights_come_back_to_the_bit(generation: int, tmp_path: Path) -> None:
    made = {
        "conv1": (numbers(4, 3, 5, 5), numbers(4)),
        "fc2": (numbers(6, 4), numbers(6)),
        "up3": (numbers(4, 2, 3, 3),),
    }
    layers = [
        Layer("data", "Data"),
        Layer("conv1", "Convolution", made["conv1"]),
        Layer("relu1", "ReLU"),
        Layer("fc2", "InnerProduct", made["fc2"]),
        Layer("up3", "Deconvolution", made["up3"]),
    ]
    foreign = read_bytes(net_bytes(layers, generation=generation, name="LeNet"), tmp_path)
    assert list(foreign.tensors) == ["conv1/weights", "conv1/bias", "fc2/weights", "fc2/bias", "up3/weights"]
    for layer, arrays in made.items():
        for part, array in zip(("weights", "bias"), arrays, strict=False):
            found = foreign.tensors[f"{layer}/{part}"]
            np.testing.assert_array_equal(found, array)
            assert found.dtype == np.float32
            assert found.flags.owndata or found.base.flags.owndata
    assert foreign.format == "caffe"
    listed = [[layer.name, layer.kind] for layer in layers]
    assert foreign.notes == {"net": "LeNet", "generation": generation, "layers": listed}


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize("legacy", [True, False])
def test_numbers_may_be_packed_or_not_and_floats_or_doubles(
    packed: bool, double: bool, legacy: bool, tmp_path: Path
) -> None:
    weights = numbers(3, 2, 2, 2)
    written = blob(weights, packed=packed, double=double, legacy=legacy)
    foreign = read_bytes(net_bytes([Layer("conv", "Convolution", [written])]), tmp_path)
    np.testing.assert_array_equal(foreign.tensors["conv/weights"], weights)


def test_numbers_in_several_pieces_and_a_shape_in_pieces_are_joined(tmp_path: Path) -> None:
    weights = numbers(2, 3)
    data = weights.tobytes()
    loose = b"".join(varint(5 << 3 | 5) + data[start : start + 4] for start in (8, 12))
    pieces = nested(5, data[:8]) + loose + nested(5, data[16:])
    written = nested(7, number(1, 2)) + pieces + nested(7, nested(1, varint(3)))
    foreign = read_bytes(net_bytes([Layer("fc", "InnerProduct", [written])]), tmp_path)
    np.testing.assert_array_equal(foreign.tensors["fc/weights"], weights)


@pytest.mark.parametrize("packed", [True, False])
def test_shapes_may_be_packed_or_not(packed: bool, tmp_path: Path) -> None:
    weights = numbers(2, 5)
    written = shape_of((2, 5), packed=packed) + nested(5, weights.tobytes())
    foreign = read_bytes(net_bytes([Layer("fc", "InnerProduct", [written])]), tmp_path)
    np.testing.assert_array_equal(foreign.tensors["fc/weights"], weights)


def test_gradients_and_settings_are_passed_over(tmp_path: Path) -> None:
    weights = numbers(2, 5)
    written = nested(6, b"\x00" * 40) + nested(9, b"\x00" * 80) + blob(weights) + nested(13, b"raw_diff")
    layer = Layer("fc", "InnerProduct", [written], nested(117, number(1, 2)) + nested(6, b"\xff\xff") + number(10, 1))
    foreign = read_bytes(net_bytes([layer]) + nested(6, number(1, 1)), tmp_path)
    np.testing.assert_array_equal(foreign.tensors["fc/weights"], weights)


def test_old_shapes_of_four_dimensions_lose_their_ones_where_they_are_no_convolutions(tmp_path: Path) -> None:
    layers = [
        Layer("conv", "Convolution", [numbers(1, 1, 3, 3), numbers(1)]),
        Layer("fc", "InnerProduct", [numbers(1, 7), numbers(1)]),
        Layer("other", "LRN", [numbers(3)]),
    ]
    shapes = {
        name: array.shape for name, array in read_bytes(net_bytes(layers, generation=1), tmp_path).tensors.items()
    }
    expected = {"conv/weights": (1, 1, 3, 3), "conv/bias": (1,), "fc/weights": (1, 7), "fc/bias": (1,)}
    assert shapes == {**expected, "other/0": (1, 1, 1, 3)}


def test_the_old_dimensions_count_where_there_are_both(tmp_path: Path) -> None:
    """Blob::FromProto looks for num, channels, height and width first."""
    written = legacy_shape_of((3, 2)) + shape_of((2, 3)) + nested(5, numbers(6).tobytes())
    foreign = read_bytes(net_bytes([Layer("fc", "InnerProduct", [written])]), tmp_path)
    assert foreign.tensors["fc/weights"].shape == (3, 2)


@pytest.mark.parametrize(("generation", "field"), [(1, 17), (2, 117)])
def test_transposed_fully_connected_layers_are_turned_back(generation: int, field: int, tmp_path: Path) -> None:
    weights = numbers(4, 4)
    for flag, expected in ((1, weights.T), (0, weights)):
        more = nested(field, number(1, 4) + number(6, flag))
        content = net_bytes([Layer("fc", "InnerProduct", [weights], more)], generation=generation)
        np.testing.assert_array_equal(read_bytes(content, tmp_path).tensors["fc/weights"], expected)


@pytest.mark.parametrize("factor", [999.98, 1.0, 0.0])
def test_batch_norms_are_divided_by_their_factor_as_caffe_does(factor: float, tmp_path: Path) -> None:
    mean, variance = numbers(7), np.abs(numbers(7, seed=2))
    layers = [
        Layer("bn", "BatchNorm", [mean, variance, np.array([factor], np.float32)]),
        Layer("scale", "Scale", [numbers(7, seed=3), numbers(7, seed=4)]),
    ]
    found = read_bytes(net_bytes(layers), tmp_path).tensors
    assert list(found) == ["bn/mean", "bn/variance", "scale/weight", "scale/bias"]
    by = np.float32(1) / np.float32(factor) if factor else np.float32(0)
    np.testing.assert_array_equal(found["bn/mean"], mean * by)
    np.testing.assert_array_equal(found["bn/variance"], variance * by)
    np.testing.assert_array_equal(found["scale/weight"], numbers(7, seed=3))
    assert {array.dtype for array in found.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("factor", [[np.nan], [-1.0], [np.inf - np.inf], [1e-45], [1.0, 2.0]])
def test_factors_that_are_none_are_refused(factor: list[float], tmp_path: Path) -> None:
    norm = Layer("bn", "BatchNorm", [numbers(2), numbers(2), np.array(factor, np.float32)])
    assert_refused(net_bytes([norm]), tmp_path, "factor of layer 'bn'")


@pytest.mark.parametrize("count", [1, 2, 4, 5])
def test_batch_norms_have_three_blobs(count: int, tmp_path: Path) -> None:
    norm = Layer("bn", "BatchNorm", [numbers(2)] * count)
    assert_refused(net_bytes([norm]), tmp_path, f"{count} blobs; Caffe's has 3: mean, variance, factor")


@pytest.mark.parametrize(("raw_type", "dtype"), [(0, "<f8"), (1, "<f4"), (2, "<f2")])
def test_nvidias_raw_numbers_are_read(raw_type: int, dtype: str, tmp_path: Path) -> None:
    weights = numbers(2, 3).astype(dtype)
    foreign = read_bytes(net_bytes([Layer("fc", "InnerProduct", [raw_blob(weights, raw_type)])]), tmp_path)
    np.testing.assert_array_equal(foreign.tensors["fc/weights"], weights.astype(np.float32))


def test_nvidias_whole_numbers_are_refused(tmp_path: Path) -> None:
    written = raw_blob(np.arange(6, dtype="<i4"), 3)
    assert_refused(net_bytes([Layer("fc", "InnerProduct", [written])]), tmp_path, "NVIDIA's type 3")


def test_doubles_that_are_no_floats_become_infinite_without_a_warning(tmp_path: Path) -> None:
    written = shape_of((2,)) + nested(8, struct.pack("<2d", 1e300, -1e300))
    found = read_bytes(net_bytes([Layer("x", "PReLU", [written])]), tmp_path).tensors["x/0"]
    np.testing.assert_array_equal(found, [np.inf, -np.inf])


def test_other_layers_have_numbered_tensors_and_unknown_types_their_number(tmp_path: Path) -> None:
    layer = string(4, "odd") + number(5, 77) + nested(6, blob(numbers(3))) + nested(6, blob(numbers(2)))
    foreign = read_bytes(string(1, "n") + nested(2, layer), tmp_path)
    assert list(foreign.tensors) == ["odd/0", "odd/1"]
    assert foreign.notes["layers"] == [["odd", "77"]]


def test_an_empty_blob_is_an_empty_tensor(tmp_path: Path) -> None:
    written = shape_of((0, 2**31 - 1, 2**31 - 1))
    assert read_bytes(net_bytes([Layer("x", "PReLU", [written])]), tmp_path).tensors["x/0"].shape == (0,)


def test_layers_of_one_name_may_only_say_the_same(tmp_path: Path) -> None:
    once, other = (
        Layer("c", "Convolution", [numbers(2, 2, 1, 1)]),
        Layer("c", "Convolution", [numbers(2, 2, 1, 1, seed=9)]),
    )
    assert list(read_bytes(net_bytes([once, Layer("c", "ReLU"), once]), tmp_path).tensors) == ["c/weights"]
    assert_refused(net_bytes([once, other]), tmp_path, "'c/weights' different values")
    collide = Layer("c/weights", "PReLU", [numbers(1)])
    assert set(read_bytes(net_bytes([once, collide]), tmp_path).tensors) == {"c/weights", "c/weights/0"}


def test_what_is_listed_of_a_large_net_is_bounded(tmp_path: Path) -> None:
    foreign = read_bytes(net_bytes([Layer(f"l{index}", "ReLU") for index in range(MAX_NOTED + 5)]), tmp_path)
    assert len(foreign.notes["layers"]) == MAX_NOTED
    assert not foreign.tensors
    many = nested(100, b"") * (MAX_LAYERS + 1)
    assert_refused(many, tmp_path, "over 100,000 layers")


@generations
@pytest.mark.parametrize("inputs", [True, False])
def test_files_are_told_by_their_structure(generation: int, inputs: bool, tmp_path: Path) -> None:
    for name in ("net", "", "n" * 200, "GoogleNet " * 10):
        layers = [Layer("conv1", "Convolution", [numbers(2, 2, 1, 1)])]
        content = net_bytes(layers, generation=generation, name=name, inputs=inputs)
        path = tmp_path / "anything.bin"
        path.write_bytes(content)
        assert list(read_foreign(path).tensors) == ["conv1/weights"]
        path.write_bytes(content[:-1])  # cut short, it is still Caffe's
        with pytest.raises(BadInput, match=r"damaged|truncated"):
            read_foreign(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x0a",
        b"\x08\x03\x12\x07pytorch" + bytes(60),  # ONNX
        string(2, "pytorch") + string(3, "1.13") + nested(7, string(2, "graph")),  # ONNX without its version
        b"\x1c\x00\x00\x00TFL3" + bytes(60),
        (64).to_bytes(8, "little") + b'{"a":{"dtype":"F32"}}' + bytes(60),
        (10).to_bytes(8, "little") + b'{"a":1   }' + bytes(60),
        b"PK\x03\x04" + bytes(60),
        b"\x1f\x8b\x08" + bytes(60),
        b"\x89HDF\r\n\x1a\n" + bytes(60),
        b"\x80\x02}q\x00." + bytes(60),
        b'<?xml version="1.0"?><net name="x" version="10">',
        nested(1, string(1, "input") + string(2, "Placeholder")) * 3,  # TensorFlow's GraphDef
        b'name: "net"\nlayer {\n  name: "conv1"\n}\n',  # a prototxt
        b"\n# a comment of a net that is thirty-five or more\nlayers { }\n" * 3,
        string(1, "net"),  # no layers
        string(1, "net") + number(2, 5),
        string(1, "net") + nested(2, b""),
        string(1, "net") + nested(2, b"\x08\x01"),
        string(1, "net") + string(9, "nothing of a net"),
        b"\x12\x05hello" + bytes(60),
        bytes(64),
        b"\xff" * 64,
    ],
)
def test_other_files_are_not_taken_for_caffes(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "some.caffemodel"
    path.write_bytes(content)
    assert not READERS.get("caffe").recognises(path, first_bytes(path))


def test_safetensors_of_no_length_are_taken_for_caffes(tmp_path: Path) -> None:
    """Their first byte may be that of a net: it is the low one of the header's length."""
    path = tmp_path / "net.safetensors"
    for low in (b"\x0a", b"\x12", b"\x1a", b"\xa2"):
        for high in range(256):
            length = low + bytes([high]) + bytes(6)
            path.write_bytes(length + b'{"conv1.weight":{"dtype":"F32","shape":[96,3,7,7],"data_offsets":[0,56448]},')
            assert not READERS.get("caffe").recognises(path, first_bytes(path)), length


def test_paths_that_are_no_files_are_refused(tmp_path: Path) -> None:
    recognises = READERS.get("caffe").recognises
    assert not recognises(tmp_path / "nothing", b"\x0a\x03net\xa2\x06\x02\x0a\x00")
    for path, match in ((tmp_path / "nothing", "no such file"), (tmp_path, "no such file")):
        with pytest.raises(BadInput, match=match):
            read(path)
    assert_refused(b"", tmp_path, "empty")


@generations
def test_layers_lie_where_the_schema_says(generation: int) -> None:
    """The key of a layer is 0x12 in the first generation and 0xa2 0x06 in the second."""
    start = {1: b"\x12", 2: b"\xa2\x06"}[generation]
    assert layer_bytes(Layer("a", "ReLU"), generation).startswith(start)
    assert [GENERATIONS[field].which for field in (2, 100)] == [1, 2]
