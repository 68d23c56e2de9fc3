"""Drawing: an ONNX graph written node by node."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprat.atomic import write_atomic
from sprat.export.onnx_graph import IR_VERSION, OPSET
from sprat.export.onnx_input import preprocess_nodes
from sprat.export.session import INPUT, OUTPUT
from sprat.needed import import_late
from sprat.preprocess import Preprocess

Map = tuple[str, int, int, int]  # name, channels, height, width


class Graph:
    """An ONNX graph under construction, from the preprocessing of a colour image to probabilities.

    Args:
        rng: of the weights.
        side: of the square image, pixels.
    """

    def __init__(self, rng: np.random.Generator, side: int) -> None:
        self.rng, self.macs, self.num_weights = rng, 0, 0
        self.side = side
        self._nodes: list[tuple[str, list[str], str, dict[str, Any]]] = []
        self.values: list[tuple[str, Any]] = []

    def add(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        """A node; the name of what it gives."""
        name = f"{operator}_{len(self._nodes)}"
        self._nodes.append((operator, inputs, name, attributes))
        return name

    def weight(self, shape: tuple[int, ...], fan_in: int) -> str:
        """The name of random weights, drawn when the graph is saved; inputs that each sum has decide their size."""
        name = f"w{len(self.values)}"
        self.values.append((name, (shape, fan_in)))
        self.num_weights += int(np.prod(shape))
        return name

    def constant(self, value: NDArray[Any]) -> str:
        """The name of an array."""
        name = f"c{len(self.values)}"
        self.values.append((name, value))
        return name

    def save(self, path: Path) -> None:
        """Write the file, a softmax behind the last node."""
        onnx, helper = import_late("onnx"), import_late("onnx.helper")
        numpy_helper = import_late("onnx.numpy_helper")
        before, constants = preprocess_nodes(
            Preprocess(3, self.side, self.side, (127.5,) * 3, (64.0,) * 3), INPUT, "pixels"
        )
        for index, node in enumerate(before):
            node.name = f"preprocess_{node.op_type}_{index}"
        nodes = [
            helper.make_node(kind, inputs, [name], name=name, **attrs) for kind, inputs, name, attrs in self._nodes
        ]
        for name, value in self.values:
            if isinstance(value, tuple):
                shape, fan_in = value
                bound = (6 / max(1, fan_in)) ** 0.5  # He: activations keep their size, so nothing is denormal
                value = (self.rng.random(shape, np.float32) * 2 - 1) * np.float32(bound)
            constants.append(numpy_helper.from_array(np.asarray(value), name))
        nodes.append(helper.make_node("Softmax", [self._nodes[-1][2]], [OUTPUT], name="softmax", axis=-1))
        graph = helper.make_graph(
            [*before, *nodes],
            "synthetic",
            [helper.make_tensor_value_info(INPUT, onnx.TensorProto.UINT8, ["N", "H", "W", 3])],
            [helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, ["N", None])],
            constants,
            value_info=[
                helper.make_tensor_value_info("pixels", onnx.TensorProto.FLOAT, ["N", 3, self.side, self.side])
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        write_atomic(path, model.SerializeToString())
