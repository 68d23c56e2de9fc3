"""Caffe models written by Google's protobuf library from the part of caffe.proto that holds weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from caffe_writer import V1_NUMBERS, Layer, net_bytes

from sprat.weights.foreign import read_foreign

descriptor_pb2 = pytest.importorskip("google.protobuf.descriptor_pb2")
OPTIONAL, REPEATED = 1, 3
DOUBLE, FLOAT, INT64, INT32, STRING, MESSAGE = 1, 2, 3, 5, 9, 11

# Message -> (field, number, label, type or name of message); repeated numbers are packed.
SCHEMA: dict[str, list[tuple[str, int, int, int | str]]] = {
    "BlobShape": [("dim", 1, REPEATED, INT64)],
    "BlobProto": [
        *((name, place, OPTIONAL, INT32) for place, name in enumerate(("num", "channels", "height", "width"), start=1)),
        ("data", 5, REPEATED, FLOAT),
        ("diff", 6, REPEATED, FLOAT),
        ("shape", 7, OPTIONAL, "BlobShape"),
        ("double_data", 8, REPEATED, DOUBLE),
    ],
    "V1LayerParameter": [
        *(("bottom", 2, REPEATED, STRING), ("top", 3, REPEATED, STRING), ("name", 4, OPTIONAL, STRING)),
        *(("type", 5, OPTIONAL, INT32), ("blobs", 6, REPEATED, "BlobProto")),
    ],
    "LayerParameter": [
        *(("name", 1, OPTIONAL, STRING), ("type", 2, OPTIONAL, STRING)),
        *(("bottom", 3, REPEATED, STRING), ("top", 4, REPEATED, STRING), ("blobs", 7, REPEATED, "BlobProto")),
    ],
    "NetParameter": [
        *(("name", 1, OPTIONAL, STRING), ("layers", 2, REPEATED, "V1LayerParameter")),
        *(
            ("input", 3, REPEATED, STRING),
            ("input_dim", 4, REPEATED, INT32),
            ("layer", 100, REPEATED, "LayerParameter"),
        ),
    ],
}


@pytest.fixture(scope="module")
def net_parameter() -> Any:
    """The class of NetParameter."""
    from google.protobuf import descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    for name, rows in SCHEMA.items():
        message = file.message_type.add(name=name)
        for field, number, label, kind in rows:
            added = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                added.type, added.type_name = MESSAGE, f".caffe.{kind}"
            else:
                added.type = kind
                added.options.packed = label == REPEATED and kind != STRING and field != "input_dim"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.NetParameter"))


def example() -> dict[str, list[np.ndarray]]:
    numbers = np.random.default_rng(3)
    return {
        "conv1": [numbers.standard_normal((4, 2, 3, 3), np.float32), numbers.standard_normal(4, np.float32)],
        "relu1": [],
        "fc2": [numbers.standard_normal((3, 16), np.float32), numbers.standard_normal(3, np.float32)],
    }


KINDS = {"conv1": "Convolution", "relu1": "ReLU", "fc2": "InnerProduct"}


@pytest.mark.parametrize("generation", [1, 2])
def test_what_protobuf_writes_is_read_to_the_bit(generation: int, net_parameter: Any, tmp_path: Path) -> None:
    net = net_parameter(name="net", input=["data"], input_dim=[1, 2, 4, 4])
    for name, arrays in example().items():
        kind = V1_NUMBERS[KINDS[name]] if generation == 1 else KINDS[name]
        layer = (net.layers if generation == 1 else net.layer).add(name=name, type=kind, bottom=["data"], top=[name])
        for array in arrays:
            blob = layer.blobs.add(data=array.ravel().tolist(), diff=[0.5] * array.size)
            if generation == 1:
                sides = [1] * (4 - array.ndim) + list(array.shape)
                blob.num, blob.channels, blob.height, blob.width = sides
            else:
                blob.shape.dim.extend(array.shape)
    path = tmp_path / "net.caffemodel"
    path.write_bytes(net.SerializeToString())
    foreign = read_foreign(path)
    assert (foreign.format, foreign.notes["generation"]) == ("caffe", generation)
    assert foreign.notes["layers"] == [[name, kind] for name, kind in KINDS.items()]
    for name, arrays in example().items():
        for part, array in zip(("weights", "bias"), arrays, strict=False):
            np.testing.assert_array_equal(foreign.tensors[f"{name}/{part}"], array)


@pytest.mark.parametrize("generation", [1, 2])
def test_protobuf_understands_the_writer_of_these_tests(generation: int, net_parameter: Any) -> None:
    layers = [Layer(name, KINDS[name], arrays) for name, arrays in example().items()]
    net = net_parameter.FromString(net_bytes(layers, generation=generation, inputs=True))
    assert (net.name, list(net.input), list(net.input_dim)) == ("net", ["data"], [1, 3, 224, 224])
    found = net.layers if generation == 1 else net.layer
    assert [layer.name for layer in found] == list(KINDS)
    for layer, arrays in zip(found, example().values(), strict=True):
        for blob, array in zip(layer.blobs, arrays, strict=True):
            np.testing.assert_array_equal(np.array(blob.data, np.float32), array.ravel())
            legacy = [blob.num, blob.channels, blob.height, blob.width]
            expected = [1] * (4 - array.ndim) + list(array.shape)
            assert (legacy if generation == 1 else list(blob.shape.dim)) == (
                expected if generation == 1 else list(array.shape)
            )
