"""The ONNX nodes before the network: uint8 NHWC images of any size to its normalised NCHW input.

The resize is written as two matrix multiplications whose triangle-filter weights are computed in the graph from the
image's size. ONNX has Resize with antialias=1, but ONNX Runtime's (1.32) is up to 19 grey levels away from
PyTorch's and Pillow's; this one differs by 1e-4. The float32 steps are in PyTorch's order (UpSampleKernel.cpp), as
a weight computed in another order is off by up to 4e-3 grey levels at 224 pixels.
"""

from typing import Any

import numpy as np

from sprat.needed import import_late
from sprat.preprocess import Preprocess


def preprocess_nodes(preprocess: Preprocess, source: str, target: str) -> tuple[list[Any], list[Any]]:
    """Nodes and initializers that turn `source`, uint8 (N, H, W, C), into `target`, float32 (N, C, height, width).

    An image that has the network's size already takes the short branch of an If, without any multiplication, unless
    the preprocessing crops.
    """
    helper = import_late("onnx.helper")
    node, tensors = helper.make_node, _Constants()
    height, width = preprocess.height, preprocess.width
    mean, std = (np.array(v, np.float64).reshape(1, -1, 1, 1) for v in (preprocess.mean, preprocess.std))
    tensors.add("pre_size", np.array([height, width], np.int64))
    tensors.add("pre_scale", (1 / std).astype(np.float32))
    tensors.add("pre_shift", (-mean / std).astype(np.float32))
    normalise = [
        node("Mul", ["pre_pixels", "pre_scale"], ["pre_scaled"]),
        node("Add", ["pre_scaled", "pre_shift"], [target]),
    ]
    if preprocess.resize:
        return [*_resize(source, "pre_pixels", preprocess, tensors), *normalise], tensors.values
    nodes = [
        node("Shape", [source], ["pre_seen"], start=1, end=3),
        node("Equal", ["pre_seen", "pre_size"], ["pre_equal"]),
        node("Cast", ["pre_equal"], ["pre_equal_ints"], to=_dtype("INT64")),
        node("ReduceMin", ["pre_equal_ints"], ["pre_fits_int"], keepdims=0),
        node("Cast", ["pre_fits_int"], ["pre_fits"], to=_dtype("BOOL")),
        node(
            "If",
            ["pre_fits"],
            ["pre_pixels"],
            then_branch=_same_size(source, preprocess),
            else_branch=_resized(source, preprocess, tensors),
        ),
        *normalise,
    ]
    return nodes, tensors.values


class _Constants:
    """Initializers collected while nodes are written."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def add(self, name: str, value: np.ndarray[Any, Any]) -> str:
        self.values.append(import_late("onnx.numpy_helper").from_array(value, name))
        return name


def _dtype(name: str) -> int:
    return int(getattr(import_late("onnx").TensorProto, name))


def _branch(name: str, nodes: list[Any], output: str, preprocess: Preprocess) -> Any:
    helper = import_late("onnx.helper")
    shape = ["N", preprocess.channels, preprocess.height, preprocess.width]
    return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(output, _dtype("FLOAT"), shape)])


def _same_size(source: str, preprocess: Preprocess) -> Any:
    node = import_late("onnx.helper").make_node
    nodes = [
        node("Transpose", [source], ["same_nchw"], perm=[0, 3, 1, 2]),
        node("Cast", ["same_nchw"], ["same_pixels"], to=_dtype("FLOAT")),
    ]
    return _branch("same_size", nodes, "same_pixels", preprocess)


def _resized(source: str, preprocess: Preprocess, tensors: _Constants) -> Any:
    return _branch("resized", _resize(source, "in_pixels", preprocess, tensors), "in_pixels", preprocess)


def _resize(source: str, target: str, preprocess: Preprocess, tensors: _Constants) -> list[Any]:
    """Nodes that resize and crop `source` to `target`, float32 (N, C, height, width)."""
    node = import_late("onnx.helper").make_node
    tensors.add("pre_rows", np.array([0, 0, -1], np.int64))
    tensors.add("pre_columns", np.array([0, preprocess.height, -1, preprocess.channels], np.int64))
    for name, value in (("pre_zero", 0), ("pre_one", 1), ("pre_half", 0.5)):
        tensors.add(name, np.array(value, np.float32))
    for name, number in (("pre_first", 0), ("pre_step", 1)):
        tensors.add(name, np.array(number, np.int64))
    tensors.add("pre_last_axis", np.array([1], np.int64))
    return [
        node("Cast", [source], ["in_float"], to=_dtype("FLOAT")),
        node("Reshape", ["in_float", "pre_rows"], ["in_rows"]),  # (N, H, W * C)
        *_shortest(source, preprocess),
        *_weights("h", 1, preprocess.height, source, preprocess, tensors),
        node("MatMul", ["h_weights", "in_rows"], ["in_short"]),  # (N, height, W * C)
        node("Reshape", ["in_short", "pre_columns"], ["in_nhwc"]),
        node("Transpose", ["in_nhwc"], ["in_nchw"], perm=[0, 3, 1, 2]),  # (N, C, height, W)
        *_weights("w", 2, preprocess.width, source, preprocess, tensors),
        node("Transpose", ["w_weights"], ["w_weights_t"], perm=[1, 0]),
        node("MatMul", ["in_nchw", "w_weights_t"], [target]),  # (N, C, height, width)
    ]


def _shortest(source: str, preprocess: Preprocess) -> list[Any]:
    """Nodes for `in_short_side`, the shorter side of the image, where the aspect ratio is kept."""
    if not preprocess.keep_aspect:
        return []
    node = import_late("onnx.helper").make_node
    return [
        node("Shape", [source], ["in_sides"], start=1, end=3),
        node("ReduceMin", ["in_sides"], ["in_short_side"], keepdims=0),
    ]


def _weights(side: str, axis: int, size: int, source: str, preprocess: Preprocess, tensors: _Constants) -> list[Any]:
    """Nodes for `{side}_weights` (size, n): output pixel i is the weighted mean of the n input pixels of that axis.

    Of n pixels resized to r, of which `size` are kept from the o-th on, with scale = n / r, the weight of pixel j is
    max(0, 1 - |j - scale * (i + o + 1/2) + 1/2| / max(scale, 1)), over the sum of its row; without antialias the last
    divisor is 1.
    """
    node = import_late("onnx.helper").make_node
    half = np.arange(size, dtype=np.float32) + np.float32(0.5)
    length = [
        node("Shape", [source], [f"{side}_length"], start=axis, end=axis + 1),
        node("Squeeze", [f"{side}_length"], [f"{side}_n"]),
        node("Cast", [f"{side}_n"], [f"{side}_n_float"], to=_dtype("FLOAT")),
    ]
    if preprocess.keep_aspect:
        resize = tensors.add(f"pre_{side}_resize", np.array(preprocess.resize, np.int64))
        kept, two = tensors.add(f"pre_{side}_kept", np.array(size, np.int64)), f"pre_{side}_two"
        tensors.add(two, np.array(2, np.int64))
        first = tensors.add(f"pre_{side}_first", half[:, None])
        outputs, count = f"{side}_outputs", f"{side}_count"
        length += [
            node("Mul", [f"{side}_n", resize], [f"{side}_grown"]),
            node("Div", [f"{side}_grown", "in_short_side"], [f"{side}_r"]),  # whole numbers, rounded down
            node("Cast", [f"{side}_r"], [count], to=_dtype("FLOAT")),
            node("Sub", [f"{side}_r", kept], [f"{side}_over"]),
            node("Div", [f"{side}_over", two], [f"{side}_o"]),
            node("Cast", [f"{side}_o"], [f"{side}_o_float"], to=_dtype("FLOAT")),
            node("Add", [first, f"{side}_o_float"], [outputs]),
        ]
    else:
        resized = preprocess.resize or size
        outputs = tensors.add(f"pre_{side}_outputs", (half + np.float32((resized - size) // 2))[:, None])
        count = tensors.add(f"pre_{side}_size", np.array(resized, np.float32))
    return [
        *length,
        node("Div", [f"{side}_n_float", count], [f"{side}_scale"]),
        node("Max", [f"{side}_scale", "pre_one"], [f"{side}_support"])
        if preprocess.antialias
        else node("Identity", ["pre_one"], [f"{side}_support"]),
        node("Div", ["pre_one", f"{side}_support"], [f"{side}_inverse"]),
        node("Mul", [outputs, f"{side}_scale"], [f"{side}_centres"]),  # (size, 1)
        node("Range", ["pre_first", f"{side}_n", "pre_step"], [f"{side}_indices"]),
        node("Cast", [f"{side}_indices"], [f"{side}_inputs"], to=_dtype("FLOAT")),  # (n,)
        node("Sub", [f"{side}_inputs", f"{side}_centres"], [f"{side}_offset"]),  # (size, n)
        node("Add", [f"{side}_offset", "pre_half"], [f"{side}_distance"]),
        node("Mul", [f"{side}_distance", f"{side}_inverse"], [f"{side}_relative"]),
        node("Abs", [f"{side}_relative"], [f"{side}_absolute"]),
        node("Sub", ["pre_one", f"{side}_absolute"], [f"{side}_triangle"]),
        node("Max", [f"{side}_triangle", "pre_zero"], [f"{side}_positive"]),
        node("ReduceSum", [f"{side}_positive", "pre_last_axis"], [f"{side}_sum"], keepdims=1),
        node("Div", [f"{side}_positive", f"{side}_sum"], [f"{side}_weights"]),
    ]
