import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from sprat.errors import BadInput
from sprat.export.onnx_graph import explicit_pools, gather_shuffles, network_graph


def run(graph, x: np.ndarray) -> np.ndarray:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def shuffle_graph(perm=(0, 2, 1, 3, 4), inner=(-1, 3, 4, 2, 5), outer=(-1, 12, 2, 5), outputs=("y",)):
    nodes = [
        helper.make_node("Reshape", ["x", "inner"], ["five"]),
        helper.make_node("Transpose", ["five"], ["turned"], perm=list(perm)),
        helper.make_node("Reshape", ["turned", "outer"], ["y"]),
    ]
    constants = [numpy_helper.from_array(np.array(v, np.int64), n) for n, v in (("inner", inner), ("outer", outer))]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 12, 2, 5])
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    return helper.make_graph(nodes, "g", [x], made, constants)


def test_a_shuffle_becomes_one_gather_with_the_same_result():
    x = np.random.default_rng(0).normal(size=(3, 12, 2, 5)).astype(np.float32)
    before = run(shuffle_graph(), x)
    graph = shuffle_graph()
    assert gather_shuffles(graph) == 1
    assert [node.op_type for node in graph.node] == ["Gather"]
    np.testing.assert_array_equal(run(graph, x), before)
    assert not np.array_equal(before, x)


@pytest.mark.parametrize(
    "graph",
    [
        shuffle_graph(perm=(0, 1, 2, 4, 3)),
        shuffle_graph(outer=(-1, 6, 4, 5)),
        shuffle_graph(outputs=("y", "turned")),
        shuffle_graph(outputs=("y", "five")),
    ],
    ids=["other permutation", "other shape", "transpose is used elsewhere", "reshape is used elsewhere"],
)
def test_what_only_looks_like_a_shuffle_is_left(graph):
    assert gather_shuffles(graph) == 0
    assert [node.op_type for node in graph.node] == ["Reshape", "Transpose", "Reshape"]


@pytest.mark.parametrize("pool", [(3, 2, 0), (3, 2, 1), (2, 2, 0), (3, 3, 1), (2, 3, 0)])
@pytest.mark.parametrize("size", [(5, 6), (7, 8), (9, 10), (11, 12)])
def test_a_pool_that_rounds_up_gets_explicit_padding(pool: tuple[int, int, int], size: tuple[int, int]):
    kernel, stride, pad = pool
    x = -torch.rand(2, 3, *size) - 1  # all below 0, so that padding with 0 would show
    expected = nn.MaxPool2d(kernel, stride, pad, ceil_mode=True)(x).numpy()
    attributes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4, "ceil_mode": 1}
    graph = helper.make_graph(
        [helper.make_node("MaxPool", ["x"], ["y"], **attributes)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, *size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    assert explicit_pools(graph) == 1
    assert "ceil_mode" not in [a.name for a in graph.node[0].attribute]
    np.testing.assert_array_equal(run(graph, x.numpy()), expected)


def test_a_network_that_cannot_be_exported_is_an_error_with_the_reason():
    class Wild(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if float(x.sum()) > 0 else x + 1

    with pytest.raises(BadInput, match="cannot export this Wild"):
        network_graph(Wild(), (3, 8, 8), "x", "y")
