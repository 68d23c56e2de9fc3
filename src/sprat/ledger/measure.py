"""Measure: what the network of a row counts, under the convention that a paper uses without saying so."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from sprat.cost import LayerCost, count
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo import build

MEBIBYTES = "MB is 2^20 bytes"


@dataclass(frozen=True, slots=True)
class Measured:
    """What a network counts.

    Args:
        params: of `sprat.cost.Cost`.
        macs: likewise.
        layers: likewise.
        statistics: elements of its buffers that are not parameters: running mean and variance of batch norm.
    """

    params: int
    macs: int
    layers: tuple[LayerCost, ...]
    statistics: int

    @property
    def classifier(self) -> LayerCost:
        """The last layer that multiplies."""
        return [layer for layer in self.layers if layer.macs][-1]

    def of_kind(self, *kinds: str) -> tuple[int, int]:
        """Parameters and multiply-adds of the layers of some kinds, as `sprat.cost.LayerCost` names them."""
        chosen = [layer for layer in self.layers if layer.kind in kinds]
        return sum(layer.params for layer in chosen), sum(layer.macs for layer in chosen)


Scope = Callable[[Measured], tuple[int, int]]

# The conventions of the papers: what is counted as parameters and as multiply-adds.
SCOPES: dict[str, Scope] = {
    "all": lambda net: (net.params, net.macs),
    "convolutions only": lambda net: _less(net, *net.of_kind("linear")),
    "without the classifier": lambda net: _less(net, net.classifier.params, net.classifier.macs),
    "without batch norm": lambda net: _less(net, net.of_kind("norm")[0], 0),
    "with batch-norm statistics": lambda net: _less(net, -net.statistics, 0),
    "without the auxiliary head": lambda net: _less(
        net, sum(layer.params for layer in net.layers if not layer.out_shape), 0
    ),
    "multiply and add apart": lambda net: (net.params, 2 * net.macs),
    MEBIBYTES: lambda net: (net.params, net.macs),
}
COLUMNS = ("params", "macs", "size", "depth")


def _less(net: Measured, params: int, macs: int) -> tuple[int, int]:
    return net.params - params, net.macs - macs


def amount(net: Measured, column: str, scope: str) -> int:
    """A column of a network under a scope: params, macs, size (bytes in float32) or depth (layers that multiply).

    Raises:
        BadInput: no such column.
    """
    if column not in COLUMNS:
        raise BadInput(f"column {column!r} of a network cannot be counted; {', '.join(COLUMNS)} can")
    params, macs = SCOPES[scope](net)
    depth = sum(layer.macs > 0 for layer in net.layers)
    return {"params": params, "macs": macs, "size": 4 * params, "depth": depth}[column]


@lru_cache(maxsize=1024)
def measure(config: Any, image: ImageSpec, classes: int) -> Measured:
    """What the network of a config counts; built on the meta device, so nothing is allocated. Remembered.

    Raises:
        BadInput: the config cannot take this image or number of classes.
    """
    with torch.device("meta"), _Blank():
        net = build(config, image, classes)
    cost = count(net, image)
    statistics = sum(buffer.numel() for buffer in net.buffers() if buffer.is_floating_point())
    return Measured(cost.params, cost.macs, cost.layers, statistics)


class _Blank(TorchFunctionMode):
    """Leaves out the filling of tensors, which means nothing on the meta device and takes half of the time."""

    FILLS = frozenset({"normal_", "uniform_", "constant_", "kaiming_uniform_", "trunc_normal_", "fill_", "zero_"})

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in self.FILLS:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))
