"""Writes .caffemodel files of both generations byte by byte, from caffe.proto, for tests.

Source: BVLC/caffe, src/caffe/proto/caffe.proto (NetParameter, LayerParameter, V1LayerParameter, BlobProto, BlobShape);
protobuf.dev, "Encoding".
"""

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

VARINT, LENGTH, FIXED32 = 0, 2, 5
# Names of the second generation -> numbers of V1LayerParameter.LayerType, of those that the tests use.
V1_NUMBERS = {
    "Concat": 3,
    "Convolution": 4,
    "Data": 5,
    "Dropout": 6,
    "InnerProduct": 14,
    "LRN": 15,
    "Pooling": 17,
    "ReLU": 18,
    "Softmax": 20,
    "Split": 22,
    "Eltwise": 25,
    "Deconvolution": 39,
}
DEFAULT_TYPE = 1  # NVIDIA's FLOAT


class Layer(NamedTuple):
    """A layer: its name, type and blobs, and fields that are written as they are."""

    name: str
    kind: str
    blobs: Sequence[bytes | NDArray[np.float32]] = ()
    more: bytes = b""


def varint(value: int) -> bytes:
    value &= 2**64 - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3 | VARINT) + varint(value)


def nested(field: int, content: bytes) -> bytes:
    return varint(field << 3 | LENGTH) + varint(len(content)) + content


def string(field: int, value: str) -> bytes:
    return nested(field, value.encode())


def shape_of(sides: Iterable[int], *, packed: bool = True) -> bytes:
    """BlobProto.shape."""
    if packed:
        return nested(7, nested(1, b"".join(map(varint, sides))))
    return nested(7, b"".join(number(1, side) for side in sides))


def legacy_shape_of(sides: Sequence[int]) -> bytes:
    """BlobProto.num, channels, height and width: four, ones in front."""
    assert len(sides) <= 4
    return b"".join(number(place + 1, side) for place, side in enumerate([1] * (4 - len(sides)) + list(sides)))


def blob(array: NDArray[np.float32], *, legacy: bool = False, packed: bool = True, double: bool = False) -> bytes:
    """A BlobProto with its numbers as floats or doubles, in one piece or one field each."""
    field, letter = (8, "d") if double else (5, "f")
    numbers = array.astype(f"<{'f8' if double else 'f4'}").tobytes()
    if packed:
        data = nested(field, numbers)
    else:
        width = struct.calcsize(letter)
        key = varint(field << 3 | (1 if double else FIXED32))
        data = b"".join(key + numbers[start : start + width] for start in range(0, len(numbers), width))
    return data + (legacy_shape_of(array.shape) if legacy else shape_of(array.shape))


def raw_blob(array: NDArray[np.generic], raw_type: int) -> bytes:
    """A BlobProto of NVIDIA's fork."""
    return number(10, raw_type) + nested(12, array.tobytes()) + shape_of(array.shape)


def layer_bytes(layer: Layer, generation: int) -> bytes:
    """One field of a NetParameter."""
    blobs = [item if isinstance(item, bytes) else blob(item, legacy=generation == 1) for item in layer.blobs]
    if generation == 1:
        kind = number(5, V1_NUMBERS[layer.kind])
        wiring = string(2, "input") + string(3, layer.name)
        content = wiring + string(4, layer.name) + kind + b"".join(nested(6, item) for item in blobs)
        return nested(2, content + layer.more)
    wiring = string(3, "input") + string(4, layer.name)
    content = string(1, layer.name) + string(2, layer.kind) + wiring + b"".join(nested(7, item) for item in blobs)
    return nested(100, content + layer.more)


def net_bytes(layers: Iterable[Layer], *, generation: int = 2, name: str = "net", inputs: bool = False) -> bytes:
    """A NetParameter; `inputs`: with the input and its dimensions, as the nets of 2014 have them."""
    start = string(1, name)
    after = string(3, "data") + b"".join(number(4, side) for side in (1, 3, 224, 224)) if inputs else b""
    listed = b"".join(layer_bytes(layer, generation) for layer in layers)
    return start + (listed + after if generation == 1 else after + listed)
