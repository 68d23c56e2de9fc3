"""The .onnx export: one graph from a uint8 image of any size to probabilities, preprocessing included."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import sprat
from sprat.atomic import write_atomic
from sprat.errors import BadInput
from sprat.export.onnx_graph import IR_VERSION, OPSET, network_graph
from sprat.export.onnx_input import preprocess_nodes
from sprat.export.session import INPUT, OUTPUT
from sprat.needed import import_late
from sprat.preprocess import Preprocess

if TYPE_CHECKING:
    from torch import nn


def to_onnx(
    net: "nn.Module", preprocess: Preprocess, classes: Sequence[str], path: Path, *, manifest_json: str | None = None
) -> Path:
    """`path`, now an ONNX file that takes what a camera gives: any application predicts as sprat does.

    Input "image": uint8 (N, H, W, C) with N, H, W free. Output "probabilities": float32 (N, classes). The class names
    are in the file's metadata as the JSON list "classes", the manifest of the .sprat file as "manifest". The same
    network gives the same bytes. ONNX Runtime 1.14 and later opens it.

    Args:
        net: any module from (N, C, height, width) to logits (N, num_classes); exported in inference mode.
        preprocess: what the network was trained behind.
        classes: class names in the order of the logits.
        path: file to write, in one step.
        manifest_json: the .sprat file's manifest, where there is one.

    Raises:
        BadInput: the network gives another number of logits than there are classes, or PyTorch cannot export it, or the
            onnx and onnxscript are not installed.
    """
    onnx = import_late("onnx")
    helper, float32, uint8 = import_late("onnx.helper"), onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8
    shape = (preprocess.channels, preprocess.height, preprocess.width)
    network = network_graph(net, shape, "pixels", "logits")
    logits = [d.dim_value for d in network.output[0].type.tensor_type.shape.dim]
    if len(logits) != 2 or logits[1] != len(classes):
        raise BadInput(
            f"the network's output has shape (N, {str(logits[1:])[1:-1]}) but there are {len(classes)} class names"
        )
    before, constants = preprocess_nodes(preprocess, INPUT, "pixels")
    for position, node in enumerate(before):
        node.name = f"preprocess_{node.op_type}_{position}"
    graph = helper.make_graph(
        [*before, *network.node, helper.make_node("Softmax", ["logits"], [OUTPUT], name="softmax", axis=-1)],
        "sprat",
        [helper.make_tensor_value_info(INPUT, uint8, ["N", "H", "W", preprocess.channels])],
        [helper.make_tensor_value_info(OUTPUT, float32, ["N", len(classes)])],
        [*constants, *network.initializer],
        value_info=[
            helper.make_tensor_value_info("pre_pixels", float32, ["N", *shape]),
            helper.make_tensor_value_info("pixels", float32, ["N", *shape]),
            helper.make_tensor_value_info("logits", float32, ["N", len(classes)]),
        ],
    )
    model = helper.make_model(
        graph,
        producer_name="sprat",
        producer_version=sprat.__version__,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    notes = {"classes": json.dumps(list(classes), ensure_ascii=False), "manifest": manifest_json}
    helper.set_model_props(model, {name: text for name, text in notes.items() if text is not None})
    onnx.checker.check_model(model, full_check=True)
    write_atomic(Path(path), model.SerializeToString(deterministic=True))
    return Path(path)
