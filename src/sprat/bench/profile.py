"""Profile: what each kernel of an .onnx file takes in ONNX Runtime, in its natural surroundings."""

import json
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sprat.bench.worker import noise_image
from sprat.export.session import INPUT
from sprat.latency import Kind, Row, conv_kind, slice_extra, under_pressure
from sprat.needed import import_late

_SUFFIX = "_kernel_time"
_SUMS = frozenset({"Add", "Mul", "Sub", "Div", "Max", "Min"})
_KINDS = {
    "ReorderInput": Kind.TO_BLOCKS,
    "ReorderOutput": Kind.FROM_BLOCKS,
    "Concat": Kind.CONCAT,
    "BatchNormalization": Kind.BATCH_NORM,
    "Gather": Kind.GATHER,
    "Transpose": Kind.GATHER,
    "Slice": Kind.SLICE,
    "Split": Kind.SLICE,
    "Pad": Kind.PAD,
    "Reshape": Kind.RESHAPE,
    "Flatten": Kind.RESHAPE,
    "Softmax": Kind.SOFTMAX,
    **dict.fromkeys(("Sigmoid", "Tanh", "Erf", "Gelu", "QuickGelu"), Kind.TRANSCENDENTAL),
    **dict.fromkeys(("Elu", "Selu", "Celu", "Exp", "Log", "Softplus", "Mish", "Pow"), Kind.POWER),
    "GlobalAveragePool": Kind.REDUCE,
    "GlobalMaxPool": Kind.REDUCE,
    "Gemm": Kind.LINEAR,
    "FusedGemm": Kind.LINEAR,
    "MatMul": Kind.LINEAR,
}


@dataclass(frozen=True)
class Profiled:
    """What a file's kernels took.

    Args:
        rows: one a kernel, in order of execution.
        us: microseconds of each, with what measuring them adds.
        block: channels in a block of the runtime's layout, 1 where no convolution is blocked.
    """

    rows: tuple[Row, ...]
    us: tuple[float, ...]
    block: int


def profile(path: Path, size: tuple[int, int], *, repeats: int = 30) -> Profiled:
    """The kernels of an .onnx file made by sprat, and the time of each over `repeats` calls on one thread.

    Args:
        path: of the file.
        size: (height, width) of the image.
        repeats: calls; the time of a kernel is the mean of its faster half, as the clock ticks in whole microseconds.
    """
    runtime, onnx = import_late("onnxruntime"), import_late("onnx")
    with tempfile.TemporaryDirectory() as folder:
        optimised = Path(folder) / "optimised.onnx"
        options = runtime.SessionOptions()  # as in sprat.export.session, and watched
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 3
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        options.optimized_model_filepath = str(optimised)
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        feed = {INPUT: noise_image(*size, session.get_inputs()[0].shape[3])}
        for _ in range(repeats + 2):
            session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_text())
        nodes = {node.name: node for node in onnx.load(str(optimised)).graph.node}
    return _read(events, nodes)


def _read(events: Sequence[dict[str, Any]], nodes: dict[str, Any]) -> Profiled:
    times: dict[str, list[int]] = defaultdict(list)
    shapes: dict[str, tuple[list[list[int]], list[list[int]]]] = {}
    for event in events:
        name = event["name"].removesuffix(_SUFFIX)
        if event.get("cat") == "Node" and event["name"].endswith(_SUFFIX) and name in nodes:
            times[name].append(event["dur"])
            shapes[name] = (_sides(event["args"]["input_type_shape"]), _sides(event["args"]["output_type_shape"]))
    block = _block(nodes, shapes)
    rows: list[Row] = []
    us: list[float] = []
    before = 0.0
    last = next((name for name in reversed(times) if name.startswith("preprocess_")), "")
    for name, samples in times.items():
        taken = _typical(samples)
        if name.startswith("preprocess_"):
            before += taken
            if name == last:
                _, channels, height, width = shapes[name][1][0]
                rows.append((int(Kind.INPUT), channels, channels, 1, 1, 1, 1, height, width, 0))
                us.append(before)
            continue
        rows.append(_row(nodes[name], *shapes[name], block))
        us.append(taken)
    return Profiled(under_pressure(rows), tuple(us), block)


def _typical(samples: list[int]) -> float:
    ordered = np.sort(np.array(samples[2:] or samples, np.float64))
    return float(ordered[: max(1, len(ordered) // 2)].mean())


def _sides(shapes: list[dict[str, list[int]]]) -> list[list[int]]:
    return [sides for shape in shapes for sides in shape.values()]


def _block(nodes: dict[str, Any], shapes: dict[str, tuple[list[list[int]], list[list[int]]]]) -> int:
    """The largest number that divides what every blocked convolution writes, up to 16."""
    written = [
        outputs[0][1]
        for name, (_, outputs) in shapes.items()
        if _is_blocked(nodes[name]) and "Conv" in nodes[name].op_type
    ]
    return min(16, int(np.gcd.reduce(written))) if written else 1


def _is_blocked(node: Any) -> bool:
    return str(node.domain) == "com.microsoft.nchwc"


def _row(node: Any, inputs: list[list[int]], outputs: list[list[int]], block: int) -> Row:
    helper = import_late("onnx.helper")
    values = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    operator, is_blocked = node.op_type, _is_blocked(node)
    channels, height, width = _chw(outputs[0])
    if operator in ("Conv", "FusedConv"):
        weight = inputs[1]
        groups, stride = int(values.get("group", 1)), int(values.get("strides", [1])[0])
        kind = conv_kind(inputs[0][1], weight[0], (weight[2], weight[3]), stride, groups, block if is_blocked else 1)
        return (
            int(kind),
            inputs[0][1],
            weight[0],
            weight[2],
            weight[3],
            stride,
            groups,
            height,
            width,
            int(len(node.input) > 3),
        )
    if operator in ("MaxPool", "AveragePool") and len(outputs[0]) == 4:
        kinds = {"MaxPool": (Kind.MAX_POOL, Kind.MAX_POOL_NCHW), "AveragePool": (Kind.AVG_POOL, Kind.AVG_POOL_NCHW)}
        kernel, stride = values["kernel_shape"], int(values.get("strides", [1])[0])
        kind = kinds[operator][0 if is_blocked else 1]
        return (int(kind), channels, channels, *map(int, kernel), stride, 1, height, width, 0)
    extra = 0
    if operator in ("Gemm", "FusedGemm", "MatMul"):
        return (
            int(Kind.LINEAR),
            inputs[0][-1],
            outputs[0][-1],
            1,
            1,
            1,
            1,
            max(1, int(np.prod(outputs[0][:-1]))),
            1,
            0,
        )
    kind = _KINDS.get(operator, Kind.UNARY)
    if operator in _SUMS:
        kind, extra = Kind.SUM, 2
    elif operator.startswith("Reduce") or operator.endswith("Pool"):
        kind = Kind.REDUCE
        channels, height, width = _chw(inputs[0])
    elif kind is Kind.SLICE:
        extra = slice_extra(inputs[0], outputs[0])
    elif kind is Kind.CONCAT:
        extra = len(inputs)
    elif kind is Kind.RESHAPE:
        channels, height, width = 1, 1, 1
    in_channels = channels
    if kind in (Kind.TO_BLOCKS, Kind.FROM_BLOCKS, Kind.SLICE):
        in_channels = inputs[0][1]
    return (int(kind), in_channels, channels, 1, 1, 1, 1, height, width, extra)


def _chw(shape: list[int]) -> tuple[int, int, int]:
    if len(shape) == 4:
        return shape[1], shape[2], shape[3]
    if len(shape) == 5:
        return shape[1] * shape[2], shape[3], shape[4]
    return max(1, int(np.prod(shape))), 1, 1
