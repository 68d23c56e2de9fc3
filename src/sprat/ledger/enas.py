"""ENAS: sizes of the search spaces, the released macro network, and the language model of the found cell."""

import math
from collections.abc import Mapping

import torch

from sprat.errors import BadInput
from sprat.language import FIGURE_6, LanguageModel
from sprat.ledger.quantity import Value, quantity
from sprat.zoo.enas_macro import RELEASED

OPS = {"conv3": "conv3x3", "sep3": "sep3x3", "conv5": "conv5x5", "sep5": "sep5x5", "avg3": "avg3x3", "max3": "max3x3"}


def _size(value: int) -> dict[str, Value]:
    return {"size": value, "formula": value}


@quantity("recurrent_space", status="formula")
def recurrent_space(nodes: int) -> Mapping[str, Value]:
    """4^N x N! cells, as printed."""
    return _size(4**nodes * math.factorial(nodes))


@quantity("macro_space", status="formula")
def macro_space(layers: int) -> Mapping[str, Value]:
    """6^L x 2^(L(L-1)/2) networks."""
    return _size(6**layers * 2 ** (layers * (layers - 1) // 2))


@quantity("micro_space", status="formula")
def micro_space(nodes: int) -> Mapping[str, Value]:
    """(5 x (B-2)!)^4 networks, as printed."""
    return _size((5 * math.factorial(nodes - 2)) ** 4)


@quantity("enas_layer", status="definition")
def enas_layer(layer: int) -> Mapping[str, Value]:
    """Code, operation and skips of a layer, counted from 0, of the released macro network."""
    if not 0 <= layer < len(RELEASED):
        raise BadInput(f"the released macro network has layers 0 to {len(RELEASED) - 1}; asked was {layer}")
    entry = RELEASED[layer]
    columns: dict[str, Value] = {"code": list(OPS).index(entry.op), "op": OPS[entry.op]}
    return {**columns, "skips": " ".join(map(str, entry.skips))}


@quantity("enas_language_model", status="exact")
def enas_language_model(hidden: int) -> Mapping[str, Value]:
    """Parameters of the language model around the cell of figure 6, tied embeddings of 10,000 words."""
    with torch.device("meta"):
        net = LanguageModel(FIGURE_6, hidden)
    return {"params": sum(parameter.numel() for parameter in net.parameters())}
