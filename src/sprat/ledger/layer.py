"""Layer: single layers, built and counted, against the formulas that papers give for them."""

from collections.abc import Mapping
from fractions import Fraction

import torch
from torch import nn

from sprat.cost import count
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.ledger.quantity import Value, quantity


def conv(in_channels: int, out_channels: int, kernel: int, side: int, groups: int = 1) -> tuple[int, int]:
    """Parameters and multiply-adds of a convolution without bias that keeps a map of side x side."""
    with torch.device("meta"):
        layer = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, groups=groups, bias=False)
    cost = count(layer, ImageSpec(in_channels, side, side))
    return cost.params, cost.macs


def chain(*convs: tuple[int, int]) -> tuple[int, int]:
    """Their sums."""
    return sum(params for params, _ in convs), sum(macs for _, macs in convs)


def proved(what: str, formula: Fraction | int, built: Fraction | int) -> Fraction | int:
    """The value of a formula, when the built layers count the same.

    Raises:
        BadInput: they do not.
    """
    if formula != built:
        raise BadInput(f"{what} evaluates to {formula}, but the layers, built, count {built}")
    return formula


@quantity("standard_conv", status="formula")
def standard_conv(kernel: int, inputs: int, outputs: int, side: int) -> Mapping[str, Value]:
    """DK * DK * M * N * DF * DF multiply-adds: MobileNets, equation 2."""
    params, macs = conv(inputs, outputs, kernel, side)
    macs = int(proved("DK*DK*M*N*DF*DF", kernel**2 * inputs * outputs * side**2, macs))
    return {"formula": macs, "macs": macs, "params": params}


@quantity("separable_conv", status="formula")
def separable_conv(kernel: int, inputs: int, outputs: int, side: int, alpha: float = 1.0) -> Mapping[str, Value]:
    """DK * DK * aM * DF^2 + aM * aN * DF^2: MobileNets, equations 3, 6 and 7; `side` is after rho."""
    m, n = int(alpha * inputs), int(alpha * outputs)
    params, macs = chain(conv(m, m, kernel, side, groups=m), conv(m, n, 1, side))
    macs = int(proved("DK*DK*aM*DF^2 + aM*aN*DF^2", kernel**2 * m * side**2 + m * n * side**2, macs))
    return {"formula": macs, "macs": macs, "params": params}


@quantity("separable_ratio", status="formula")
def separable_ratio(kernel: int, inputs: int, outputs: int, side: int) -> Mapping[str, Value]:
    """1 / N + 1 / DK^2: the separable convolution over the standard one, MobileNets, section 3.1."""
    separable = chain(conv(inputs, inputs, kernel, side, groups=inputs), conv(inputs, outputs, 1, side))[1]
    built = Fraction(separable, conv(inputs, outputs, kernel, side)[1])
    return {"formula": proved("1/N + 1/DK^2", Fraction(1, outputs) + Fraction(1, kernel**2), built)}


@quantity("resnext_unit", status="formula")
def resnext_unit(channels: int, width: int, side: int, groups: int = 1) -> Mapping[str, Value]:
    """hw(2cm + 9m^2 / g): ShuffleNet, section 3.2; with one group, the unit of ResNet."""
    c, m = channels, width
    built = chain(conv(c, m, 1, side), conv(m, m, 3, side, groups), conv(m, c, 1, side))[1]
    return {"formula": proved("hw(2cm + 9m^2/g)", side**2 * (2 * c * m + Fraction(9 * m * m, groups)), built)}


@quantity("shufflenet_unit", status="formula")
def shufflenet_unit(channels: int, width: int, side: int, groups: int) -> Mapping[str, Value]:
    """hw(2cm / g + 9m): ShuffleNet, section 3.2."""
    c, m = channels, width
    built = chain(conv(c, m, 1, side, groups), conv(m, m, 3, side, groups=m), conv(m, c, 1, side, groups))[1]
    return {"formula": proved("hw(2cm/g + 9m)", side**2 * (Fraction(2 * c * m, groups) + 9 * m), built)}


@quantity("resnext_template", status="formula")
def resnext_template(cardinality: int, width: int) -> Mapping[str, Value]:
    """C (256 d + 3 * 3 * d * d + d * 256) weights of a block: ResNeXt, equation 4 and table 2."""
    inner = cardinality * width
    built = chain(conv(256, inner, 1, 1), conv(inner, inner, 3, 1, groups=cardinality), conv(inner, 256, 1, 1))[0]
    formula = cardinality * (256 * width + 9 * width**2 + width * 256)
    return {"params": proved("C(256d + 9dd + 256d)", formula, built), "group_width": inner}
