"""SqueezeNet: table 1, line by line, computed from the network that is built."""

import math
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache

import torch
from torch import nn

from sprat.cost.trace import trace
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.ledger.quantity import Value, decimal, quantity
from sprat.zoo import create

IMAGE = ImageSpec(3, 227, 227)  # with which conv1 gives the printed 111x111; the table says 224x224


@lru_cache(maxsize=1)
def _modules() -> tuple[tuple[str, str, nn.Module], ...]:
    """(name of table 1, output as the table writes it, module) of every line, in order."""
    with torch.device("meta"):
        net = create("squeezenet_1.0", image=IMAGE)
    shapes = trace(net, IMAGE).shapes
    pools, fires, lines = iter(("maxpool1", "maxpool4", "maxpool8")), iter(range(2, 10)), []
    for path, module in net.named_modules():
        if path == "stem":
            name = "conv1"
        elif type(module).__name__ == "Fire":
            name = f"fire{next(fires)}"
        elif isinstance(module, nn.MaxPool2d):
            name = next(pools)
        elif path.startswith("head.") and isinstance(module, nn.Conv2d):
            name = "conv10"
        elif path.startswith("head.") and "Pool" in type(module).__name__:
            name = "avgpool10"
        else:
            continue
        channels, height, width = shapes[path][1]
        lines.append((name, f"{height}x{width}x{channels}", module))
    return tuple(lines)


def _find(line: str) -> tuple[str, nn.Module]:
    for name, output, module in _modules():
        if name == line:
            return output, module
    raise BadInput(f"table 1 has no line {line!r}; it has {', '.join(name for name, *_ in _modules())}")


def _convs(module: nn.Module) -> list[nn.Conv2d]:
    return [part for part in module.modules() if isinstance(part, nn.Conv2d)]


def _weights(convs: list[nn.Conv2d]) -> list[int]:
    return [part.weight.numel() for part in convs]


def _biases(convs: list[nn.Conv2d]) -> int:
    return sum(part.bias.numel() for part in convs if part.bias is not None)


@quantity("squeezenet_pool", status="definition")
def squeezenet_pool(line: str) -> Mapping[str, Value]:
    """Output of a pooling layer, and its filter and stride where the kernel is not the whole map."""
    output, module = _find(line)
    if isinstance(module, nn.MaxPool2d):
        return {"output": output, "filter": f"{module.kernel_size}x{module.kernel_size}/{module.stride}", "depth": 0}
    return {"output": output, "depth": 0}


@quantity("squeezenet_conv", status="exact")
def squeezenet_conv(line: str, kept: str) -> Mapping[str, Value]:
    """A single convolution: output, filter, parameters before and after pruning.

    Args:
        line: "conv1" or "conv10".
        kept: fraction of the weights that pruning keeps; biases all stay.
    """
    output, module = _find(line)
    (conv,) = _convs(module)
    (weights,), biases = _weights([conv]), _biases([conv])
    kernel, _ = conv.kernel_size
    return {
        "output": output,
        "filter": f"{kernel}x{kernel}/{conv.stride[0]} (x{conv.out_channels})",
        "depth": 1,
        "before": weights + biases,
        "after": math.ceil(decimal(kept) * weights) + biases,
    }


@quantity("squeezenet_fire", status="exact")
def squeezenet_fire(line: str, squeeze: str, expand1x1: str, expand3x3: str, after: int) -> Mapping[str, Value]:
    """A fire module: output, filters, parameters before and after pruning.

    `after` is ceil(sum of kept fraction x weights) + all biases. The column expand3x3_kept is what the printed number
    of parameters after pruning says that fraction is, given the other two.

    Args:
        line: "fire2" to "fire9".
        squeeze: fraction of the 1x1 squeeze weights that pruning keeps.
        expand1x1: of the 1x1 expand weights.
        expand3x3: of the 3x3 expand weights.
        after: parameters after pruning, as printed.
    """
    output, module = _find(line)
    convs = _convs(module)
    weights, biases = _weights(convs), _biases(convs)
    fractions = [decimal(part) for part in (squeeze, expand1x1, expand3x3)]
    kept = [fraction * weight for fraction, weight in zip(fractions, weights, strict=True)]
    return {
        "output": output,
        "depth": 2,
        "s1x1": convs[0].out_channels,
        "e1x1": convs[1].out_channels,
        "e3x3": convs[2].out_channels,
        "before": sum(weights) + biases,
        "after": math.ceil(sum(kept)) + biases,
        "expand3x3_kept": (after - biases - kept[0] - kept[1]) / Fraction(weights[2]),
    }


@quantity("squeezenet_total", status="exact")
def squeezenet_total(kept: dict[str, list[str]]) -> Mapping[str, Value]:
    """Parameters of all lines before and after pruning; `kept` names the fraction of each convolution of a line."""
    before = after = 0
    for name, _, module in _modules():
        if not (convs := _convs(module)):
            continue
        weights, biases = _weights(convs), _biases(convs)
        before += sum(weights) + biases
        parts = zip(kept[name], weights, strict=True)
        after += math.ceil(sum(decimal(fraction) * weight for fraction, weight in parts)) + biases
    return {"before": before, "after": after}
