"""The ONNX graph of a network: exported by PyTorch, its channel shuffles turned into gathers, its names made plain."""

import copy
import logging
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from sprat.errors import BadInput
from sprat.needed import import_late

if TYPE_CHECKING:
    from torch import nn

OPSET, IR_VERSION = 18, 8  # what the exporter can write at the least; ONNX Runtime reads both since 1.14


def network_graph(net: "nn.Module", shape: tuple[int, int, int], source: str, target: str) -> Any:
    """onnx.GraphProto of a network in inference mode: `source`, float32 (N, C, H, W) for any N, to its logits `target`.

    Batch norm is folded into the convolutions, channel shuffles are Gather nodes, weights lie inside. `net` is left as
    it is.

    Args:
        net: from images (N, C, H, W) to logits (N, num_classes).
        shape: (C, H, W).
        source: name of the input.
        target: name of the output.

    Raises:
        BadInput: PyTorch cannot export the network; or onnx and onnxscript are not installed.
    """
    import torch

    for name in ("onnx", "onnxscript"):
        import_late(name)
    twin = copy.deepcopy(net).eval().to(device="cpu", dtype=torch.float32)
    for parameter in twin.parameters():
        parameter.data = parameter.data.contiguous()  # whatever memory format it was trained in
    with _quiet():
        try:
            program = torch.onnx.export(
                twin,
                (torch.zeros(2, *shape),),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("N", min=1)},),
                opset_version=OPSET,
                input_names=[source],
                output_names=[target],
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            reason = str(error).strip().splitlines()[0]
            raise BadInput(
                f"PyTorch cannot export this {type(net).__name__} for {shape} images to ONNX: {reason}"
            ) from error
    assert program is not None
    graph = program.model_proto.graph
    gather_shuffles(graph)
    explicit_pools(graph)
    plain_names(graph)
    return graph


def gather_shuffles(graph: Any) -> int:
    """The number of channel shuffles of the graph (an onnx.GraphProto) rewritten, in place, as Gather over channels.

    A shuffle by g arrives as Reshape (N, g, C/g, H, W), Transpose, Reshape (N, C, H, W): a 5-D tensor that many
    converters refuse. As a Gather with constant indices it is one copy (ASKS 23).
    """
    helper, numpy_helper = import_late("onnx.helper"), import_late("onnx.numpy_helper")
    shapes = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    uses = Counter(name for node in graph.node for name in node.input)
    uses.update(output.name for output in graph.output)
    maker = {name: node for node in graph.node for name in node.output}
    gone: set[str] = set()
    nodes: list[Any] = []
    num_rewritten = 0
    for node in graph.node:
        chain = _shuffle_chain(node, maker, shapes, uses)
        if chain is None:
            nodes.append(node)
            continue
        first, second, groups, per_group = chain
        order = np.arange(groups * per_group, dtype=np.int64).reshape(groups, per_group).T.ravel()
        name = f"shuffle_{num_rewritten}"
        graph.initializer.append(numpy_helper.from_array(order, name))
        nodes.append(helper.make_node("Gather", [first.input[0], name], list(node.output), axis=1))
        gone |= {first.output[0], second.output[0]}
        num_rewritten += 1
    kept = [node for node in nodes if node.output[0] not in gone]
    del graph.node[:]
    graph.node.extend(kept)
    return num_rewritten


def _shuffle_chain(node: Any, maker: dict[str, Any], shapes: dict[str, Any], uses: Counter[str]) -> Any:
    """(first Reshape, Transpose, groups, channels a group) where `node` is the last Reshape of a shuffle, else None."""
    if node.op_type != "Reshape" or node.input[1] not in shapes or len(shapes[node.input[1]]) != 4:
        return None
    transpose = maker.get(node.input[0])
    if transpose is None or transpose.op_type != "Transpose" or uses[transpose.output[0]] != 1:
        return None
    first = maker.get(transpose.input[0])
    if first is None or first.op_type != "Reshape" or uses[first.output[0]] != 1:
        return None
    inner, outer = shapes.get(first.input[1]), shapes[node.input[1]]
    perm = [list(a.ints) for a in transpose.attribute if a.name == "perm"]
    if inner is None or len(inner) != 5 or perm != [[0, 2, 1, 3, 4]] or min(inner[1:]) < 1:
        return None
    if outer[1] not in (-1, inner[1] * inner[2]) or not np.array_equal(outer[2:], inner[3:]):
        return None
    return first, transpose, int(inner[1]), int(inner[2])


def explicit_pools(graph: Any) -> int:
    """The number of max pools of the graph rewritten, in place, from ceil_mode to explicit padding at the end.

    ceil_mode is an option that runtimes read differently (ASKS 26). The sizes are known, so the extra row that rounding
    up asks for is a number; padding counts as minus infinity.
    """
    helper = import_late("onnx.helper")
    sizes = {
        v.name: [d.dim_value for d in v.type.tensor_type.shape.dim]
        for v in [*graph.value_info, *graph.input, *graph.output]
    }
    num_rewritten = 0
    for node in graph.node:
        values = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        known = len(sizes.get(node.input[0], [])) == 4 if node.input else False
        if node.op_type != "MaxPool" or not values.get("ceil_mode") or not known:
            continue
        sides, kernel, strides, pads = (
            sizes[node.input[0]][2:],
            *(values[k] for k in ("kernel_shape", "strides", "pads")),
        )
        wide = [dilation != 1 for dilation in values.get("dilations", [1, 1])]
        if any(wide) or 0 in sides:
            continue
        for axis in range(2):
            room = sides[axis] + pads[axis] + pads[axis + 2] - kernel[axis]
            outputs = -(-room // strides[axis]) + 1
            if (outputs - 1) * strides[axis] >= sides[axis] + pads[axis]:
                outputs -= 1  # the last window would lie in the padding alone
            pads[axis + 2] = max(
                pads[axis + 2], (outputs - 1) * strides[axis] + kernel[axis] - sides[axis] - pads[axis]
            )
        rest = {k: v for k, v in values.items() if k not in ("ceil_mode", "pads", "auto_pad")}
        node.CopyFrom(helper.make_node("MaxPool", list(node.input), list(node.output), pads=pads, **rest))
        num_rewritten += 1
    return num_rewritten


def plain_names(graph: Any) -> None:
    """Name nodes and what lies between them by operator and position, in place; drop notes, shapes and unused weights.

    The exporter's names hold counters, and its notes the paths of source files; the same network shall give the same
    bytes.
    """
    fixed = {v.name for v in [*graph.input, *graph.output]} | {i.name for i in graph.initializer} | {""}
    renamed: dict[str, str] = {}
    for index, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{index}"
        node.doc_string = ""
        del node.metadata_props[:]
        for position, name in enumerate(node.output):
            if name not in fixed:
                renamed[name] = node.name if position == 0 else f"{node.name}_{position}"
    used: set[str] = set()
    for node in graph.node:
        for names in (node.input, node.output):
            for position, name in enumerate(names):
                names[position] = renamed.get(name, name)
        used.update(node.input)
    kept = [i for i in graph.initializer if i.name in used]
    del graph.initializer[:], graph.value_info[:], graph.metadata_props[:]
    for value in [*kept, *graph.input, *graph.output]:
        value.doc_string = ""
        del value.metadata_props[:]
    graph.initializer.extend(kept)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter: it warns of torchvision's absence and of its own use of old functions."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
