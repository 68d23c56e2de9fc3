"""ENAS macro networks: every layer has its own operation and any subset of the earlier layers as skips.

Source: ENAS (arXiv:1802.03268), section 2.3 and table 2; the fixed network of the released code, with its 24 layers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo.blocks import FactorizedReduction, conv_bn, fit_strides
from sprat.zoo.family import family

OPS = ("conv3", "sep3", "conv5", "sep5", "avg3", "max3")  # in the order of the released code
STRIDES = (2, 2)  # of the reductions before the second and the third part


@dataclass(frozen=True, slots=True)
class MacroLayer:
    """One layer, "conv3" or "conv3 beside skips": it reads the layer just before it, and `skips` as well.

    Args:
        op: one of `OPS`.
        skips: stored maps, increasing; 0 is the stem and i is layer i - 1. Layer k chooses from 0 to k - 1, as map k is
            the one just before it.
    """

    op: str
    skips: tuple[int, ...] = ()


# The architecture that the authors released; table 2's networks are this one at 96 and 128 filters.
RELEASED = (
    MacroLayer("conv3"),
    MacroLayer("sep5"),
    MacroLayer("conv3", (0,)),
    MacroLayer("conv5", (2,)),
    MacroLayer("conv5"),
    MacroLayer("sep5", (0, 1, 3)),
    MacroLayer("conv5", (5,)),
    MacroLayer("conv5", (1, 2, 4, 5, 6)),
    # reduction
    MacroLayer("sep3", (1, 2, 3, 5, 7)),
    MacroLayer("conv3"),
    MacroLayer("conv5", (5,)),
    MacroLayer("conv3", (0, 3, 4, 9, 10)),
    MacroLayer("conv5", (1, 7, 9, 10)),
    MacroLayer("sep3", (2, 6, 7, 8, 10, 12)),
    MacroLayer("conv3", (0, 1, 3, 5, 11)),
    MacroLayer("conv5", (2, 10, 12, 14)),
    # reduction
    MacroLayer("conv5", (1, 5, 8, 9, 10, 11, 14)),
    MacroLayer("conv5", (4, 6, 8, 11, 13, 16)),
    MacroLayer("sep5", (1, 2, 4, 10, 12, 14)),
    MacroLayer("sep5", (1, 2, 12, 13, 18)),
    MacroLayer("conv3", (0, 3, 5, 6, 10, 16, 17)),
    MacroLayer("sep5", (1, 3, 4, 7, 9, 10, 12, 13, 15, 18)),
    MacroLayer("conv3", (0, 2, 4, 13, 15, 18)),
    MacroLayer("conv3", (0, 1, 5, 6, 7, 9, 13, 15, 18, 19)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnasMacro:
    """A macro architecture; the defaults are "ENAS + macro search space" of table 2.

    Args:
        layers: at least 3. Reductions follow the first and the second third (of 24 layers, after 8 and 16).
        filters: of the first part, even; they double at each reduction.
        separable: sep3 and sep5 are depthwise separable, as the paper defines them. The released fixed network runs
            them as full convolutions.
        dropout: before the classifier.
    """

    layers: tuple[MacroLayer, ...] = RELEASED
    filters: int = 96
    separable: bool = False
    dropout: float = 0.5


PRESETS = {
    "enas_macro_96": EnasMacro(),
    "enas_macro_128": EnasMacro(filters=128),
    "enas_macro_96_separable": EnasMacro(separable=True),
    "enas_macro_128_separable": EnasMacro(filters=128, separable=True),
}


def relu_conv_bn(in_channels: int, out_channels: int, kernel: int) -> nn.Sequential:
    """BN(conv(ReLU(x))): (N, in, H, W) to (N, out, H, W)."""
    return nn.Sequential(nn.ReLU(), *conv_bn(in_channels, out_channels, kernel))


def operation(op: str, channels: int, separable: bool) -> nn.Sequential:
    """BN(op(ReLU(y))) of y = BN(conv1x1(ReLU(x))): (N, C, H, W) to (N, C, H, W); averages leave out the padding.

    The released fixed network has no pooling; here it follows the form of the convolutions.
    """
    kernel = int(op[-1])
    if op == "avg3":
        run: list[nn.Module] = [nn.AvgPool2d(3, 1, 1, count_include_pad=False), nn.BatchNorm2d(channels)]
    elif op == "max3":
        run = [nn.MaxPool2d(3, 1, 1), nn.BatchNorm2d(channels)]
    elif op in ("sep3", "sep5") and separable:
        depthwise = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False)
        run = [depthwise, *conv_bn(channels, channels, 1)]
    else:
        run = [*conv_bn(channels, channels, kernel)]
    return nn.Sequential(*relu_conv_bn(channels, channels, 1), nn.ReLU(), *run)


class Layer(nn.Module):
    """BN(conv1x1(ReLU(concat(skips, operation(previous))))); the first layer of a network is its operation alone."""

    def __init__(self, number: int, layer: MacroLayer, channels: int, separable: bool) -> None:
        super().__init__()
        self.number = number
        self.skips = layer.skips
        self.run = operation(layer.op, channels, separable)
        self.merge = relu_conv_bn((len(layer.skips) + 1) * channels, channels, 1) if number else nn.Identity()

    def forward(self, stored: dict[int, Tensor]) -> Tensor:
        """The layer's map from the stored ones."""
        maps = [stored[index] for index in self.skips]
        y: Tensor = self.merge(torch.cat([*maps, self.run(stored[self.number])], dim=1))
        return y


class Part(nn.Module):
    """Layers of one resolution, behind a reduction of each stored map that a later layer reads."""

    def __init__(self, reductions: dict[int, nn.Module], layers: list[Layer]) -> None:
        super().__init__()
        self.reductions = nn.ModuleDict({str(index): module for index, module in reductions.items()})
        self.layers = nn.ModuleList(layers)

    def forward(self, stored: dict[int, Tensor]) -> dict[int, Tensor]:
        """The maps stored after the last layer; the last of them is that layer's."""
        if len(self.reductions):
            stored = {int(index): reduce(stored[int(index)]) for index, reduce in self.reductions.items()}
        else:
            stored = dict(stored)
        for layer in self.layers:
            stored[max(stored) + 1] = layer(stored)
        return stored


class EnasMacroNet(nn.Module):
    """Stem, three parts and head; `features` are the maps after the stem and after the last layer of each part."""

    def __init__(self, stem: nn.Module, parts: list[Part], head: nn.Module) -> None:
        super().__init__()
        self.stem = stem
        self.parts = nn.ModuleList(parts)
        self.head = head

    def features(self, x: Tensor) -> list[Tensor]:
        """Feature maps after the stem and after each part, each (N, C_i, H_i, W_i)."""
        maps = [self.stem(x)]
        stored = {0: maps[0]}
        for part in self.parts:
            stored = part(stored)
            maps.append(stored[max(stored)])
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, num_classes) of images x (N, C, H, W)."""
        logits: Tensor = self.head(self.features(x)[-1])
        return logits


@family("enas_macro", paper="arXiv:1802.03268", config=EnasMacro, presets=PRESETS, inputs={"enas_macro_*": (32, 10)})
def build(config: EnasMacro, image: ImageSpec, num_classes: int) -> nn.Module:
    """An ENAS macro network with strides fitted to the image; a reduction of stride 1 is BN(conv1x1(x)).

    Maps that no later layer reads are not reduced (the released network reads them all).

    Raises:
        BadInput: an unknown operation, a skip to a layer that is not earlier, odd filters, or too small an image.
    """
    _check(config)
    third = len(config.layers) // 3
    starts = (0, third, 2 * third, len(config.layers))
    channels = config.filters
    stem = conv_bn(image.channels, channels, 3)
    parts: list[Part] = []
    for start, end, stride in zip(starts, starts[1:], (1, *fit_strides(STRIDES, image, "enas_macro")), strict=False):
        reductions: dict[int, nn.Module] = {}
        if start:
            read = {start}.union(*(layer.skips for layer in config.layers[start:]))
            for index in sorted(index for index in read if index <= start):
                narrow, wide = channels, 2 * channels
                reductions[index] = FactorizedReduction(narrow, wide) if stride == 2 else conv_bn(narrow, wide, 1)
            channels *= 2
        layers = [Layer(k, config.layers[k], channels, config.separable) for k in range(start, end)]
        parts.append(Part(reductions, layers))
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(config.dropout))
    net = EnasMacroNet(stem, parts, head.append(nn.Linear(channels, num_classes, bias=False)))
    _initialise(net)
    return net


def _check(config: EnasMacro) -> None:
    if len(config.layers) < 3:
        raise BadInput(f"enas_macro of {len(config.layers)} layers: each of the three parts needs at least 1")
    if config.filters < 2 or config.filters % 2:
        raise BadInput(f"enas_macro of {config.filters} filters: a reduction has two halves; give an even number")
    if not 0 <= config.dropout < 1:
        raise BadInput(f"enas_macro: dropout is {config.dropout}; it must be a fraction below 1")
    for number, layer in enumerate(config.layers):
        if layer.op not in OPS:
            raise BadInput(f"enas_macro: layer {number} has operation {layer.op!r}; it must be one of {', '.join(OPS)}")
        if any(not 0 <= index < number for index in layer.skips):
            allowed = f"it may read 0 to {number - 1}" if number else "the first layer has none"
            raise BadInput(f"enas_macro: layer {number} has skips {layer.skips}; {allowed}")
        if any(a >= b for a, b in zip(layer.skips, layer.skips[1:], strict=False)):
            raise BadInput(f"enas_macro: layer {number} has skips {layer.skips}; give each once, increasing")


def _initialise(net: nn.Module) -> None:
    """He's normal of fan-in, as in the released code also in the classifier."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
