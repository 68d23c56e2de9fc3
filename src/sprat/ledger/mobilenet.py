"""MobileNet: what tables 1 and 2 say of the layers, computed from the network that is built."""

from collections.abc import Mapping
from fractions import Fraction

from sprat.cost import LayerCost
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.ledger.measure import Measured, measure
from sprat.ledger.quantity import Value, quantity
from sprat.zoo import get_preset

KINDS = {"Conv 1x1": "pointwise", "Conv DW 3x3": "depthwise", "Conv 3x3": "conv", "Fully Connected": "linear"}


def _net() -> Measured:
    return measure(get_preset("mobilenet_v1_1.0"), ImageSpec(3, 224, 224), 1000)


@quantity("mobilenet_share", status="exact")
def mobilenet_share(layers: str) -> Mapping[str, Value]:
    """Share of one type of layer in the multiply-adds and in the weights; batch norm and biases are left out."""
    if layers not in KINDS:
        raise BadInput(f"table 2 has no layers of type {layers!r}; it has {', '.join(KINDS)}")
    net = _net()
    weights = {kind: sum(_weights(layer) for layer in net.layers if layer.kind == kind) for kind in KINDS.values()}
    kind = KINDS[layers]
    macs = net.of_kind(kind)[1]
    return {"macs": Fraction(macs, net.macs), "params": Fraction(weights[kind], sum(weights.values()))}


def _weights(layer: LayerCost) -> int:
    """Parameters without the bias; only the classifier has one, an element a class."""
    return layer.params - (layer.out_shape[0] if layer.kind == "linear" else 0)


@quantity("mobilenet_line", status="definition")
def mobilenet_line(layer: int, times: int = 1, every: int = 2) -> Mapping[str, Value]:
    """Line of table 1 for the multiplying layer of that index, which stands `times` times, every so many layers."""
    layers = [entry for entry in _net().layers if entry.macs]
    lines = {_line(layers[layer + repeat * every]) for repeat in range(times)}
    if len(lines) != 1:
        raise BadInput(f"the {times} layers from number {layer} on are not alike: {sorted(lines)}")
    kind, shape, size = lines.pop()
    return {"type": f"{times}x {kind}" if times > 1 else kind, "filter": shape, "input": size}


def _line(layer: LayerCost) -> tuple[str, str, str]:
    if layer.kind == "linear":
        inputs, outputs = layer.in_shape[0], layer.out_shape[0]
        return "FC / s1", f"{inputs}x{outputs}", f"1x1x{inputs}"
    inputs, height, width = layer.in_shape
    outputs, out_height, _ = layer.out_shape
    stride = round(height / out_height)
    kernel = 1 if layer.kind == "pointwise" else 3
    depthwise = layer.kind == "depthwise"
    shape = f"{kernel}x{kernel}x{inputs} dw" if depthwise else f"{kernel}x{kernel}x{inputs}x{outputs}"
    return f"Conv{' dw' if depthwise else ''} / s{stride}", shape, f"{height}x{width}x{inputs}"
