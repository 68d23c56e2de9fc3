"""The operators of a TensorFlow Lite graph: what they are, what they take, and how they stride and pad.

Source: tensorflow/lite/schema/schema.fbs, version 3: BuiltinOperator, BuiltinOptions and the tables of the options.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sprat.errors import BadInput
from sprat.weights.parse.flatbuffer import Table

MAX_OPERANDS = 1000
PADDINGS = ("SAME", "VALID")
ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT")

# Operators of convolutional networks by number; others are called by their number.
NAMES: Mapping[int, str] = {
    0: "ADD",
    1: "AVERAGE_POOL_2D",
    2: "CONCATENATION",
    3: "CONV_2D",
    4: "DEPTHWISE_CONV_2D",
    6: "DEQUANTIZE",
    9: "FULLY_CONNECTED",
    11: "L2_NORMALIZATION",
    13: "LOCAL_RESPONSE_NORMALIZATION",
    14: "LOGISTIC",
    17: "MAX_POOL_2D",
    18: "MUL",
    19: "RELU",
    21: "RELU6",
    22: "RESHAPE",
    23: "RESIZE_BILINEAR",
    25: "SOFTMAX",
    28: "TANH",
    32: "CUSTOM",
    34: "PAD",
    39: "TRANSPOSE",
    40: "MEAN",
    41: "SUB",
    42: "DIV",
    43: "SQUEEZE",
    45: "STRIDED_SLICE",
    49: "SPLIT",
    54: "PRELU",
    60: "PADV2",
    67: "TRANSPOSE_CONV",
    74: "SUM",
    82: "REDUCE_MAX",
    98: "LEAKY_RELU",
    114: "QUANTIZE",
    117: "HARD_SWISH",
    124: "DENSIFY",
}


@dataclass(frozen=True, slots=True)
class _Fields:
    """Which fields of an operator's options hold what: numbers of fields, (height, width) for pairs."""

    union: int
    activation: int
    padding: int | None = None
    pairs: tuple[tuple[str, int, int], ...] = ()


_POOL = _Fields(5, 5, 0, (("stride", 2, 1), ("kernel", 4, 3)))
_OPTIONS: Mapping[str, _Fields] = {
    "CONV_2D": _Fields(1, 3, 0, (("stride", 2, 1), ("dilation", 5, 4))),
    "DEPTHWISE_CONV_2D": _Fields(2, 4, 0, (("stride", 2, 1), ("dilation", 6, 5))),
    "AVERAGE_POOL_2D": _POOL,
    "MAX_POOL_2D": _POOL,
    "FULLY_CONNECTED": _Fields(8, 0),
    "CONCATENATION": _Fields(10, 1),
    "ADD": _Fields(11, 0),
    "MUL": _Fields(21, 0),
    "SUB": _Fields(28, 0),
    "DIV": _Fields(29, 0),
    "TRANSPOSE_CONV": _Fields(49, 3, 0, (("stride", 2, 1),)),
}


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator.

    Args:
        op: its name in the schema, "CONV_2D".
        inputs: numbers of tensors; -1 for one left out.
        outputs: numbers of tensors.
        options: "stride", "kernel" and "dilation" as [height, width], "padding" and "activation", where it has them.
    """

    op: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any]


def read_operators(codes: Sequence[Table], operators: Sequence[Table], num_tensors: int) -> list[Operator]:
    """The operators of a graph in running order.

    Args:
        codes: OperatorCode tables of the model.
        operators: Operator tables of the graph.
        num_tensors: of the graph.

    Raises:
        BadInput: one refers to a code or tensor that is not there, or its options are of another kind.
    """
    names = [_name(code) for code in codes]
    return [_operator(table, names, num_tensors) for table in operators]


def _name(code: Table) -> str:
    """The number is in a byte of old files, in a larger field of newer ones: the larger of the two counts."""
    number = max(code.integer(0, "b"), code.integer(3, "i"))
    return NAMES.get(number, f"OPERATOR_{number}")


def _operator(table: Table, names: Sequence[str], num_tensors: int) -> Operator:
    code = table.integer(0, "I")
    if code >= len(names):
        raise BadInput(f"{table.file.what} has an operator of code {code} of {len(names)}; it is damaged")
    op = names[code]
    sides = []
    for field, least in ((1, -1), (2, 0)):
        indices = tuple(table.numbers(field, "<i4", MAX_OPERANDS).tolist())
        if any(not least <= index < num_tensors for index in indices):
            raise BadInput(f"{table.file.what}: {op} refers to a tensor that is not among {num_tensors}; it is damaged")
        sides.append(indices)
    return Operator(op, sides[0], sides[1], _options(table, op))


def _options(table: Table, op: str) -> dict[str, Any]:
    fields, options = _OPTIONS.get(op), table.table(4)
    if fields is None or options is None:
        return {}
    what = table.file.what
    if table.integer(3, "B") != fields.union:
        raise BadInput(f"{what}: {op} has the options of another operator; it is damaged")
    if op == "FULLY_CONNECTED" and options.integer(1, "b"):
        raise BadInput(f"{what}: the weights of a FULLY_CONNECTED are shuffled, which is not read")
    found: dict[str, Any] = {}
    for name, height, width in fields.pairs:
        default = int(name == "dilation")
        found[name] = [options.integer(height, "i", default), options.integer(width, "i", default)]
    if fields.padding is not None:
        found["padding"] = _word(PADDINGS, options.integer(fields.padding, "b"), what, op)
    found["activation"] = _word(ACTIVATIONS, options.integer(fields.activation, "b"), what, op)
    return found


def _word(words: Sequence[str], number: int, what: str, op: str) -> str:
    if not 0 <= number < len(words):
        raise BadInput(f"{what}: {op} has an option of value {number} where at most {len(words) - 1} is known")
    return words[number]
