"""TensorFlow Lite: the constants of a .tflite file, quantised ones as the floats they stand for.

Source: tensorflow/lite/schema/schema.fbs, version 3.

Names in files are those of whatever the converter fused, so tensors are named by their operator here, counted by kind
in running order: "conv2d_0/weights", "depthwise_conv2d_3/bias". Weights are (O, H, W, I) of a convolution, (1, H, W, C)
of a depthwise one, (O, I) of a fully-connected layer. Sparse tensors, 4-bit ones and shuffled weights are refused.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprat.errors import BadInput
from sprat.weights.foreign import Foreign, reader
from sprat.weights.parse.dequantise import Quantisation, quantisation
from sprat.weights.parse.flatbuffer import MAX_BYTES, Flatbuffer
from sprat.weights.parse.tflite_graph import Graph, Tensor
from sprat.weights.parse.tflite_operators import Operator

IDENTIFIER = b"TFL3"  # bytes 4 to 8
MAX_SIDE = 16_384  # pixels of an input that is an image

# Inputs of operators that are weights. Other constants are where they are floats or have a scale: "mul_0/input_1".
ROLES: Mapping[str, Mapping[int, str]] = {
    "CONV_2D": {1: "weights", 2: "bias"},
    "DEPTHWISE_CONV_2D": {1: "weights", 2: "bias"},
    "FULLY_CONNECTED": {1: "weights", 2: "bias"},
    "TRANSPOSE_CONV": {1: "weights", 3: "bias"},
    "PRELU": {1: "alpha"},
}


@reader(
    "tflite",
    understands="TensorFlow Lite .tflite",
    recognises=lambda _path, head: head[4:8] == IDENTIFIER,
)
def read(path: Path) -> Foreign:
    """The constants of a .tflite file by operator; the graph in the notes.

    Notes: "description"; "names" (our name -> name in the file); "inputs", "outputs" and "operators"; "constants",
    those left out, as they are shapes or paddings, or no operator uses them; "image" (C, H, W) where the input is one;
    "pixels", the mean and std by which a quantised input takes pixels 0..255.

    Raises:
        BadInput: the file is damaged or hostile, or holds what is not read.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(f"{path} has over {MAX_BYTES:,} bytes; no .tflite file has")
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    graph = Graph(Flatbuffer(data, path.name))
    tensors: dict[str, NDArray[np.float32]] = {}
    names: dict[str, str] = {}
    constants: list[dict[str, Any]] = []
    made: dict[int, NDArray[np.float32]] = {}
    used: set[int] = set()
    for layer, operator, place, index in _constants(graph):
        tensor = graph.tensors[index]
        used.add(index)
        role = ROLES.get(operator.op, {}).get(place)
        if role is None and not (tensor.type.startswith("FLOAT") or tensor.is_quantised()):
            constants.append({**tensor.facts(), "operator": layer})
            continue
        if index not in made:
            made[index] = tensor.values(
                tensor.quantisation() or (_of_bias(graph, operator, tensor) if role == "bias" else None)
            )
        name = f"{layer}/{role or f'input_{place}'}"
        tensors[name], names[name] = made[index], tensor.facts()["name"]
    for index, tensor in enumerate(graph.tensors):
        if index not in used and tensor.size_bytes():
            constants.append({**tensor.facts(), "operator": None})
    return Foreign("tflite", tensors, {**_notes(graph), "names": names, "constants": constants})


def _constants(graph: Graph) -> Iterator[tuple[str, Operator, int, int]]:
    """(layer, operator, place among its inputs, number of the tensor) of every constant that an operator takes.

    Files with 16-bit weights widen them by a DEQUANTIZE each: its constant counts as that of the operator behind it.
    """
    widened = {
        operator.outputs[0]: operator.inputs[0]
        for operator in graph.operators
        if operator.op == "DEQUANTIZE" and len(operator.inputs) == len(operator.outputs) == 1
    }
    counts: Counter[str] = Counter()
    for operator in graph.operators:
        kind = operator.op.lower().replace("_2d", "2d")
        layer = f"{kind}_{counts[kind]}"
        counts[kind] += 1
        if operator.op == "DEQUANTIZE":
            continue
        for place, index in enumerate(operator.inputs):
            for candidate in (index, widened.get(index, -1)):
                if candidate >= 0 and graph.tensors[candidate].size_bytes():
                    yield layer, operator, place, candidate
                    break


def _of_bias(graph: Graph, operator: Operator, bias: Tensor) -> Quantisation | None:
    """The scale of a bias that has none of its own: the scale of the operator's input times those of its weights."""
    weights_place = next(place for place, role in ROLES[operator.op].items() if role == "weights")
    source_place = 2 if operator.op == "TRANSPOSE_CONV" else 0
    indices = [operator.inputs[place] for place in (source_place, weights_place)]
    if min(indices) < 0:
        return None
    source, weights = (graph.tensors[index].quantisation() for index in indices)
    if source is None or weights is None or len(source.scale) != 1:
        return None
    scale = weights.scale.astype(np.float64) * float(source.scale[0])
    return quantisation(scale, np.zeros(1, np.int64), 0, bias.shape, bias.what)


def _notes(graph: Graph) -> dict[str, Any]:
    """What the file says of its graph, as JSON values."""
    notes: dict[str, Any] = {"description": graph.description}
    for side, tensors in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        scales = [tensor.quantisation() for tensor in tensors]
        notes[side] = [
            {**tensor.facts(), **(how.to_json() if how else {"scale": None, "zero_point": None})}
            for tensor, how in zip(tensors, scales, strict=True)
        ]
    notes["operators"] = [
        {
            "op": operator.op,
            "inputs": [graph.tensors[index].facts()["name"] for index in operator.inputs if index >= 0],
            "outputs": [graph.tensors[index].facts()["name"] for index in operator.outputs],
            **operator.options,
        }
        for operator in graph.operators
    ]
    return {**notes, **(_of_image(notes["inputs"][0]) if len(notes["inputs"]) == 1 else {})}


def _of_image(source: Mapping[str, Any]) -> dict[str, Any]:
    """The image that an input takes, and how: "image" and "pixels" of the notes, where it takes one."""
    shape = source["shape"]
    if len(shape) != 4 or shape[3] not in (1, 3) or not all(1 <= side <= MAX_SIDE for side in shape[1:3]):
        return {}
    found: dict[str, Any] = {"image": [shape[3], shape[1], shape[2]]}
    if source["type"] in ("UINT8", "INT8") and isinstance(source["scale"], float):
        black = 0 if source["type"] == "UINT8" else -128  # the integer of pixel 0
        found["pixels"] = {"mean": source["zero_point"] - black, "std": 1 / source["scale"]}
    return found
