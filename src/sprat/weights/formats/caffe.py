"""Reader of Caffe's trained networks (.caffemodel), in both generations of its layers, without Caffe.

Source: BVLC/caffe, src/caffe/proto/caffe.proto. The file is one NetParameter: `layers` (2, V1LayerParameter, types as
numbers) up to 2014, `layer` (100, LayerParameter, types as names) since. It has no magic number.
"""

import math
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sprat.errors import BadInput
from sprat.weights.foreign import MAX_BYTES, Foreign, reader
from sprat.weights.parse.caffe_blob import Fields, read_blob
from sprat.weights.parse.wire import LENGTH, VARINT, message, signed, text, varint

MAX_LAYERS = 100_000
MAX_NOTED = 4096  # layers in the notes
MAX_NAME = 1024  # characters
MAX_BLOBS = 1000  # of a layer; those of Caffe have 5 at most
START = 4096  # bytes within which the first layer must begin

NET_NAME = 1  # NetParameter
TRANSPOSE = 6  # InnerProductParameter
V0_LAYER = 1  # V1LayerParameter: a layer of 2013
FIRST = (1, 2, 3, 4)  # with which a layer of either generation begins: its name, type, inputs or outputs


@dataclass(frozen=True, slots=True)
class Generation:
    """Which 1 or 2, and the numbers that fields have in its layers."""

    which: int
    name: int
    kind: int
    blobs: int
    inner_product: int


# By the field of NetParameter that holds the layers.
GENERATIONS = {
    2: Generation(1, name=4, kind=5, blobs=6, inner_product=17),
    100: Generation(2, name=1, kind=2, blobs=7, inner_product=117),
}

# V1LayerParameter.LayerType, by the names that the second generation gives them.
# fmt: off
V1_TYPES = (
    "None", "Accuracy", "BNLL", "Concat", "Convolution", "Data", "Dropout", "EuclideanLoss", "Flatten", "HDF5Data",
    "HDF5Output", "Im2col", "ImageData", "InfogainLoss", "InnerProduct", "LRN", "MultinomialLogisticLoss", "Pooling",
    "ReLU", "Sigmoid", "Softmax", "SoftmaxWithLoss", "Split", "TanH", "WindowData", "Eltwise", "Power",
    "SigmoidCrossEntropyLoss", "HingeLoss", "MemoryData", "ArgMax", "Threshold", "DummyData", "Slice", "MVN",
    "AbsVal", "Silence", "ContrastiveLoss", "Exp", "Deconvolution",
)
# fmt: on

# What the blobs of a layer are; those of other types are called 0, 1, ....
_WEIGHTS = ("weights", "bias")
BLOBS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("Convolution", "Deconvolution", "InnerProduct"), _WEIGHTS),
    **dict.fromkeys(("ConvolutionDepthwise", "DepthwiseConvolution"), _WEIGHTS),  # of forks
    "BatchNorm": ("mean", "variance", "factor"),
    "Scale": ("weight", "bias"),
}
VECTORS = {"bias", "weight", "mean", "variance", "factor"}


def _recognises(path: Path, head: bytes) -> bool:
    """Whether the fields from the start on are those of a NetParameter, up to the beginning of a first layer."""
    if head[:1] not in (b"\x0a", b"\x12", b"\x1a") and head[:2] != b"\xa2\x06":
        return False
    try:
        with path.open("rb") as stream:
            start = memoryview(stream.read(START))
        return _begins_net(start)
    except (OSError, BadInput):
        return False


def _begins_net(data: memoryview) -> bool:
    """Whether a net's own fields lead to a layer; the data may end anywhere after that.

    Raises:
        BadInput: it is cut short before, or no protocol buffer.
    """
    # Strings of a net, its numbers, and its messages: input_shape, state.
    strings, numbers, messages = (NET_NAME, 3), (4, 5, 7), (6, 8)
    position = 0
    while position < len(data):
        key, position = varint(data, position)
        number, kind = key >> 3, key & 7
        if number in numbers and kind == VARINT:
            _, position = varint(data, position)
            continue
        size, position = varint(data, position)
        if kind != LENGTH or number not in (*strings, *messages, *GENERATIONS):
            return False
        if number in GENERATIONS:
            first, _ = varint(data, position)
            return size > 0 and first & 7 == LENGTH and first >> 3 in FIRST
        if number in strings and not text(data[position : position + size], "a name").isprintable():
            return False
        position += size
    return False


@reader("caffe", understands="Caffe models (.caffemodel)", recognises=_recognises)
def read(path: Path) -> Foreign:
    """The tensors of a .caffemodel as float32, in the order of its layers.

    Convolutions, deconvolutions and fully-connected layers have "<layer>/weights" and "<layer>/bias", of shapes
    (O, I / groups, kh, kw) or (O, I), and (O,). BatchNorm has "<layer>/mean" and "<layer>/variance" (C,), already
    divided by their factor, Scale "<layer>/weight" and "<layer>/bias". The blobs of other layers are "<layer>/0" and
    so on, as they lie. The notes hold the `net`'s name, the `generation`, 1 or 2, and `layers` as [name, type].

    Raises:
        BadInput: the file is damaged, hostile, or of 2013; the message names the layer.
    """
    try:
        return _read(_bytes(path))
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None


def _bytes(path: Path) -> memoryview:
    """The file, mapped, not read."""
    try:
        if not path.is_file():
            raise BadInput("there is no such file; give a .caffemodel")
        with path.open("rb") as stream:
            if path.stat().st_size == 0:
                raise BadInput("it is empty; a .caffemodel was expected")
            return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        raise BadInput(f"it cannot be read: {error}") from None


def _read(data: memoryview) -> Foreign:
    count = Fields()
    tensors = _Tensors()
    net, generation, num_layers = "", 0, 0
    noted: list[list[str]] = []
    for number, _, value in count.of(data):
        if number == NET_NAME:
            net = text(value, "the name of the net")[:MAX_NAME]
        if number not in GENERATIONS:
            continue
        schema = GENERATIONS[number]
        num_layers += 1
        if num_layers > MAX_LAYERS:
            raise BadInput(f"it has over {MAX_LAYERS:,} layers, more than any network; it is damaged")
        if generation not in (0, schema.which):
            raise BadInput("it has layers of both generations, `layers` and `layer`; upgrade it with Caffe's tools")
        generation = schema.which
        layer = _layer(message(value, "a layer"), schema, count)
        if len(noted) < MAX_NOTED:
            noted.append([layer.name, layer.kind])
        tensors.add(layer, count)
    if num_layers == 0:
        raise BadInput("it has no layers; a .caffemodel was expected, which holds a net with its weights")
    return Foreign("caffe", tensors.found, {"net": net, "generation": generation, "layers": noted})


@dataclass(frozen=True, slots=True)
class _Layer:
    name: str
    kind: str
    blobs: list[memoryview]
    transposed: bool


def _layer(data: memoryview, schema: Generation, count: Fields) -> _Layer:
    """A layer's name, type and blobs; the rest of it is passed over unread."""
    name, kind, blobs, transposed = "", "", [], False
    for number, _, value in count.of(data):
        if number == schema.name:
            name = text(value, "the name of a layer")
            if len(name) > MAX_NAME:
                raise BadInput(f"the name of a layer has {len(name):,} characters; it is damaged")
        elif number == schema.kind and schema.which == 1:
            index = signed(value, f"the type of layer {name!r}")
            kind = V1_TYPES[index] if 0 <= index < len(V1_TYPES) else str(index)
        elif number == schema.kind:
            kind = text(value, f"the type of layer {name!r}")[:MAX_NAME]
        elif number == schema.blobs:
            blobs.append(message(value, f"a blob of layer {name!r}"))
            if len(blobs) > MAX_BLOBS:
                raise BadInput(f"layer {name!r} has over {MAX_BLOBS:,} blobs; it is damaged")
        elif number == schema.inner_product:
            for inner, _, flag in count.of(message(value, f"the settings of layer {name!r}")):
                transposed = bool(flag) if inner == TRANSPOSE else transposed
        elif number == V0_LAYER and schema.which == 1:
            raise BadInput("its layers are of 2013 (V0LayerParameter); run Caffe's upgrade_net_proto_binary on it")
    return _Layer(name, kind, blobs, transposed)


class _Tensors:
    """The tensors of the layers so far."""

    def __init__(self) -> None:
        self.found: dict[str, NDArray[np.float32]] = {}
        self._size_bytes = 0

    def add(self, layer: _Layer, count: Fields) -> None:
        """The tensors of one more layer."""
        if not layer.blobs:
            return
        if not layer.name:
            raise BadInput("a layer with weights has no name; it is damaged")
        names = BLOBS.get(layer.kind, ())
        few = layer.kind == "BatchNorm" and len(layer.blobs) < len(names)
        if few or (names and len(layer.blobs) > len(names)):
            raise BadInput(
                f"layer {layer.name!r} of type {layer.kind} has {len(layer.blobs)} blobs; Caffe's has {len(names)}: "
                f"{', '.join(names)}"
            )
        made: dict[str, NDArray[np.float32]] = {}
        for index, data in enumerate(layer.blobs):
            part = names[index] if names else str(index)
            blob = read_blob(data, f"{part} of layer {layer.name!r}", count)
            self._size_bytes += 4 * math.prod(blob.shape)
            if self._size_bytes > MAX_BYTES:
                raise BadInput(f"its tensors take over {MAX_BYTES:,} bytes; no network here is so large")
            made[part] = _without_ones(blob.array(), part, layer)
        for part, array in (_normalised(made, layer.name) if layer.kind == "BatchNorm" else made).items():
            name = f"{layer.name}/{part}"
            if name in self.found and not _same(self.found[name], array):
                raise BadInput(f"two layers give the tensor {name!r} different values; names must be unique")
            self.found[name] = array


def _same(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    return one.shape == other.shape and one.tobytes() == other.tobytes()


def _without_ones(array: NDArray[np.float32], part: str, layer: _Layer) -> NDArray[np.float32]:
    """The array without the ones that shapes of four dimensions begin with, where it is a matrix or a vector."""
    if part == "weights" and layer.kind == "InnerProduct":
        if array.ndim == 4 and array.shape[:2] == (1, 1):
            array = array.reshape(array.shape[2:])
        return np.ascontiguousarray(array.T) if layer.transposed and array.ndim == 2 else array
    if part in VECTORS and array.ndim == 4 and array.shape[:3] == (1, 1, 1):
        return array.reshape(-1)
    return array


def _normalised(made: dict[str, NDArray[np.float32]], name: str) -> dict[str, NDArray[np.float32]]:
    """Mean and variance of a BatchNorm, which keeps sums and the factor they are to be divided by; 0 makes them 0.

    Source: batch_norm_layer.cpp, Forward_cpu: one over the factor, then the product, in float32.
    """
    factor = made.pop("factor")
    with np.errstate(all="ignore"):
        scale = np.float32(0) if factor.size == 1 and not factor.any() else np.float32(1) / factor
        if factor.size != 1 or not np.isfinite(scale).all() or (scale < 0).any():
            raise BadInput(f"factor of layer {name!r} is {factor.reshape(-1)[:4]}; one number from 0 on was expected")
        return {part: (array * scale.reshape(())).astype(np.float32, copy=False) for part, array in made.items()}
