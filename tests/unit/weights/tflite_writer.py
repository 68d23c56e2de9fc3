"""Writes .tflite files with the flatbuffers package, table by table, from plain values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from numpy.typing import NDArray

TYPES = {"float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int64": 4, "int16": 7, "int8": 9, "float64": 10}
CODES = {
    "ADD": 0,
    "AVERAGE_POOL_2D": 1,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 4,
    "DEQUANTIZE": 6,
    "FULLY_CONNECTED": 9,
    "MUL": 18,
    "RESHAPE": 22,
    "TRANSPOSE_CONV": 67,
}


@dataclass
class Tensor:
    """A tensor of the file; `data` of a constant."""

    name: str
    shape: Sequence[int]
    type: str | int = "float32"
    data: NDArray[Any] | bytes | None = None
    scale: Sequence[float] = ()
    zero_point: Sequence[int] = ()
    axis: int = 0
    details: int = 0
    sparse: bool = False
    buffer: int | None = None


@dataclass
class Op:
    """An operator; `options` are (slot, kind, value) of its options table, `union` the number of its type."""

    code: str | int
    inputs: Sequence[int]
    outputs: Sequence[int]
    options: Sequence[tuple[int, str, int]] | None = None
    union: int = 0
    custom: str = ""


@dataclass
class Model:
    """A file."""

    tensors: Sequence[Tensor]
    ops: Sequence[Op]
    inputs: Sequence[int] = (0,)
    outputs: Sequence[int] = (-1,)
    version: int = 3
    external: bool = False
    graphs: int = 1
    opcode_offset: int = 0
    identifier: bytes = b"TFL3"


def conv(stride: int = 1, padding: int = 0, activation: int = 0) -> list[tuple[int, str, int]]:
    """Conv2DOptions."""
    return [(0, "Int8", padding), (1, "Int32", stride), (2, "Int32", stride), (3, "Int8", activation)]


def depthwise(stride: int = 1, padding: int = 0, activation: int = 0) -> list[tuple[int, str, int]]:
    """DepthwiseConv2DOptions."""
    return [*conv(stride, padding)[:3], (3, "Int32", 1), (4, "Int8", activation)]


def written(model: Model) -> bytes:
    """The bytes of the file."""
    builder = flatbuffers.Builder(1024)
    buffers = [_table(builder, [])]
    tensors, outside = [], b""
    for tensor in model.tensors:
        data = tensor.data.tobytes() if isinstance(tensor.data, np.ndarray) else tensor.data
        number = 0
        if data is not None and model.external:
            outside_start = 2**20 + len(outside)  # replaced below
            buffers.append(_table(builder, [(1, "Uint64", outside_start), (2, "Uint64", len(data))]))
            outside += data
            number = len(buffers) - 1
        elif data is not None:
            buffers.append(_table(builder, [(0, "UOffset", builder.CreateByteVector(data))]))
            number = len(buffers) - 1
        tensors.append(_tensor(builder, tensor, number if tensor.buffer is None else tensor.buffer))
    codes = []
    for op in model.ops:
        code = CODES[op.code] if isinstance(op.code, str) else op.code
        custom = [(1, "UOffset", builder.CreateString(op.custom))] if op.custom else []
        codes.append(_table(builder, [(0, "Int8", min(code, 127)), *custom, (3, "Int32", code)]))
    ops = [_op(builder, op, index + model.opcode_offset) for index, op in enumerate(model.ops)]
    last = len(model.tensors) - 1
    graph = [
        (0, "UOffset", _offsets(builder, tensors)),
        (1, "UOffset", _numbers(builder, model.inputs, "Int32")),
        (2, "UOffset", _numbers(builder, [last if i == -1 else i for i in model.outputs], "Int32")),
        (3, "UOffset", _offsets(builder, ops)),
    ]
    graphs = [_table(builder, graph) for _ in range(model.graphs)]
    root = [
        (0, "Uint32", model.version),
        (1, "UOffset", _offsets(builder, codes)),
        (2, "UOffset", _offsets(builder, graphs)),
        (3, "UOffset", builder.CreateString("made in a test")),
        (4, "UOffset", _offsets(builder, buffers)),
    ]
    builder.Finish(_table(builder, root), file_identifier=model.identifier)
    content = bytes(builder.Output())
    if model.external:  # the bytes lie behind the flatbuffer: their true places replace those above
        end, position = len(content), 0
        for tensor in model.tensors:
            if tensor.data is not None:
                size = len(tensor.data) if isinstance(tensor.data, bytes) else tensor.data.nbytes
                old, new = 2**20 + position, end + position
                content = content.replace(old.to_bytes(8, "little"), new.to_bytes(8, "little"))
                position += size
    return content + outside


def _tensor(builder: Any, tensor: Tensor, number: int) -> int:
    fields: list[tuple[int, str, int]] = [
        (0, "UOffset", _numbers(builder, tensor.shape, "Int32")),
        (1, "Int8", TYPES[tensor.type] if isinstance(tensor.type, str) else tensor.type),
        (2, "Uint32", number),
        (3, "UOffset", builder.CreateString(tensor.name)),
    ]
    if len(tensor.scale) or tensor.details:
        quantisation: list[tuple[int, str, int]] = [(2, "UOffset", _numbers(builder, tensor.scale, "Float32"))]
        if len(tensor.zero_point):
            quantisation.append((3, "UOffset", _numbers(builder, tensor.zero_point, "Int64")))
        quantisation += [(4, "Uint8", tensor.details), (6, "Int32", tensor.axis)]
        fields.append((4, "UOffset", _table(builder, quantisation)))
    if tensor.sparse:
        fields.append((6, "UOffset", _table(builder, [])))
    return _table(builder, fields)


def _op(builder: Any, op: Op, code: int) -> int:
    fields = [
        (0, "Uint32", code),
        (1, "UOffset", _numbers(builder, op.inputs, "Int32")),
        (2, "UOffset", _numbers(builder, op.outputs, "Int32")),
    ]
    if op.options is not None:
        fields += [(3, "Uint8", op.union), (4, "UOffset", _table(builder, op.options))]
    return _table(builder, fields)


def _table(builder: Any, fields: Sequence[tuple[int, str, int]]) -> int:
    builder.StartObject(1 + max((slot for slot, _, _ in fields), default=0))
    for slot, kind, value in fields:
        if kind == "UOffset":
            builder.PrependUOffsetTRelativeSlot(slot, value, 0)
        else:
            getattr(builder, f"Prepend{kind}Slot")(slot, value, 0)
    return int(builder.EndObject())


def _offsets(builder: Any, places: Sequence[int]) -> int:
    builder.StartVector(4, len(places), 4)
    for place in reversed(places):
        builder.PrependUOffsetTRelative(place)
    return int(builder.EndVector())


def _numbers(builder: Any, values: Sequence[float], kind: str) -> int:
    size = {"Int32": 4, "Int64": 8, "Float32": 4}[kind]
    builder.StartVector(size, len(values), size)
    for value in reversed(values):
        getattr(builder, f"Prepend{kind}")(value)
    return int(builder.EndVector())
