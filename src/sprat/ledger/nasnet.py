"""NASNet: the operations and the size of the search space."""

import math
from collections.abc import Mapping

from sprat.errors import BadInput
from sprat.ledger.quantity import Value, quantity
from sprat.zoo.nasnet_cell import OPS

# What the slide calls the operations of the code.
NAMES = {
    "identity": "identity",
    "conv1x3_3x1": "1x3 then 3x1 convolution",
    "conv1x7_7x1": "1x7 then 7x1 convolution",
    "dilated3": "3x3 dilated convolution",
    "avg3": "3x3 average pooling",
    "max3": "3x3 max pooling",
    "max5": "5x5 max pooling",
    "max7": "7x7 max pooling",
    "conv1": "1x1 convolution",
    "conv3": "3x3 convolution",
    "sep3": "3x3 depthwise-separable conv",
    "sep5": "5x5 depthwise-separable conv",
    "sep7": "7x7 depthwise-separable conv",
}


@quantity("nasnet_op", status="definition")
def nasnet_op(op: str) -> Mapping[str, Value]:
    """An operation of the search space that cells in the code can have."""
    if op not in OPS or op not in NAMES:
        raise BadInput(f"cells of NASNet have no operation {op!r}; they have {', '.join(OPS)}")
    return {"op": NAMES[op]}


@quantity("nasnet_space", status="formula")
def nasnet_space(blocks: int, ops: int, combiners: int) -> Mapping[str, Value]:
    """Product over b = 1..B of (b+1)^2 x ops^2 x combiners: one cell of NASNet, two inputs and two ops a block."""
    return {"formula": math.prod((block + 1) ** 2 * ops**2 * combiners for block in range(1, blocks + 1))}
