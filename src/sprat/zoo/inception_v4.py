"""Inception v4: a stem of branches, and three kinds of modules with a reduction after each of the first two.

Source: Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning (arXiv:1602.07261), figures 3
to 9; sizes and initial values of TF-slim, which also has the side classifier.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

import torch
from torch import Tensor, nn

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo.blocks import ConvNet, check_width, conv_bn_act, fit_strides, pool_linear, scaled
from sprat.zoo.family import family

EPS = 1e-3  # of batch norm, as in slim
UNPADDED = 128  # pixels from which the "valid" convolutions and pools have no padding, as published
AUXILIARY = "6h"  # its map also goes to the side classifier
AUXILIARY_WEIGHT = 0.4


@dataclass(frozen=True, slots=True)
class Conv:
    """ReLU(BN(conv)) of a square kernel or (height, width); `valid`: no padding."""

    channels: int
    kernel: int | tuple[int, int] = 1
    stride: int = 1
    valid: bool = False


class Pool(Enum):
    """AVG keeps the size and averages what is inside the map; MAX halves it without padding. Both are 3x3."""

    AVG = 1
    MAX = 2


@dataclass(frozen=True, slots=True)
class Mixed:
    """Branches side by side, each a chain of steps; their outputs are concatenated."""

    branches: tuple[tuple["Step", ...], ...]


Step: TypeAlias = "Conv | Pool | Mixed"


def valid(channels: int, kernel: int, stride: int = 1) -> Conv:
    """A convolution without padding."""
    return Conv(channels, kernel, stride, valid=True)


def mixed(*branches: tuple[Step, ...]) -> Mixed:
    """Branches side by side."""
    return Mixed(branches)


A = mixed(  # figure 4, at 35x35
    (Conv(96),),
    (Conv(64), Conv(96, 3)),
    (Conv(64), Conv(96, 3), Conv(96, 3)),
    (Pool.AVG, Conv(96)),
)
B = mixed(  # figure 5, at 17x17
    (Conv(384),),
    (Conv(192), Conv(224, (1, 7)), Conv(256, (7, 1))),
    (Conv(192), Conv(192, (7, 1)), Conv(224, (1, 7)), Conv(224, (7, 1)), Conv(256, (1, 7))),
    (Pool.AVG, Conv(128)),
)
FORK = mixed((Conv(256, (1, 3)),), (Conv(256, (3, 1)),))
C = mixed(  # figure 6, at 8x8
    (Conv(256),),
    (Conv(384), FORK),
    (Conv(384), Conv(448, (3, 1)), Conv(512, (1, 3)), FORK),
    (Pool.AVG, Conv(256)),
)
REDUCE_A = mixed(  # figure 7
    (valid(384, 3, 2),),
    (Conv(192), Conv(224, 3), valid(256, 3, 2)),
    (Pool.MAX,),
)
REDUCE_B = mixed(  # figure 8
    (Conv(192), valid(192, 3, 2)),
    (Conv(256), Conv(256, (1, 7)), Conv(320, (7, 1)), valid(320, 3, 2)),
    (Pool.MAX,),
)
STEM_3 = mixed((Pool.MAX,), (valid(96, 3, 2),))
STEM_4 = mixed(
    (Conv(64), valid(96, 3)),
    (Conv(64), Conv(64, (1, 7)), Conv(64, (7, 1)), valid(96, 3)),
)
STEM_5 = mixed((valid(192, 3, 2),), (Pool.MAX,))

# Figures 3 (the stem, to 5a) and 9, with slim's names. Each stage halves the map once, 299 to 149, 73, 35, 17 and 8.
STAGES: tuple[tuple[tuple[str, Step], ...], ...] = (
    (("1a", valid(32, 3, 2)), ("2a", valid(32, 3)), ("2b", Conv(64, 3))),
    (("3a", STEM_3), ("4a", STEM_4)),
    (("5a", STEM_5), ("5b", A), ("5c", A), ("5d", A), ("5e", A)),
    (("6a", REDUCE_A), ("6b", B), ("6c", B), ("6d", B), ("6e", B), ("6f", B), ("6g", B), ("6h", B)),
    (("7a", REDUCE_B), ("7b", C), ("7c", C), ("7d", C)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InceptionV4:
    """Inception v4; the width multiplier is our addition.

    Args:
        auxiliary: a side classifier for training, after 6h.
        dropout: before the classifier.
        width: multiplies every channel count, with 8 as the least.
    """

    auxiliary: bool = False
    dropout: float = 0.2
    width: float = 1.0


PRESETS = {"inception_v4": InceptionV4()}


class Concat(nn.Module):
    """The branches' outputs one after the other: (N, in, H, W) to (N, sum of out, H', W')."""

    def __init__(self, branches: Sequence[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """The concatenation along the channels."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class AuxiliaryNet(ConvNet):
    """A ConvNet with side classifiers after some blocks; only `with_auxiliary` runs them.

    Args:
        stem: as in ConvNet.
        stages: Sequentials whose blocks have names that are unique in the network.
        head: as in ConvNet.
        auxiliary: block name to side classifier.
        weight: of each auxiliary loss.
    """

    def __init__(
        self,
        stem: nn.Module,
        stages: Sequence[nn.Module],
        head: nn.Module,
        auxiliary: Mapping[str, nn.Module],
        weight: float,
    ) -> None:
        super().__init__(stem, stages, head)
        self.auxiliary = nn.ModuleDict(auxiliary)
        self.auxiliary_weight = weight

    def with_auxiliary(self, x: Tensor) -> tuple[Tensor, ...]:
        """Logits, then the logits of each side classifier in network order, each (N, num_classes)."""
        x = self.stem(x)
        side: list[Tensor] = []
        for stage in self.stages:
            for name, block in stage.named_children():
                x = block(x)
                if name in self.auxiliary:
                    side.append(self.auxiliary[name](x))
        return (self.head(x), *side)


def layer(step: Step, in_channels: int, stride: int, padded: bool, width: float) -> tuple[nn.Module, int]:
    """One step of the table as a module, and its output channels.

    Args:
        step: of the table.
        in_channels: of its input.
        stride: what a published stride of 2 is on this image, 2 or 1.
        padded: whether "valid" convolutions and pools are padded after all.
        width: multiplies channels.
    """
    if isinstance(step, Conv):
        channels = scaled(step.channels, width)
        padding = 0 if step.valid and not padded else None
        step_stride = stride if step.stride == 2 else 1
        return conv_bn_act(in_channels, channels, step.kernel, step_stride, padding=padding, eps=EPS), channels
    if isinstance(step, Mixed):
        branches, total = [], 0
        for branch in step.branches:
            channels, steps = in_channels, []
            for inner in branch:
                module, channels = layer(inner, channels, stride, padded, width)
                steps.append(module)
            branches.append(nn.Sequential(*steps))
            total += channels
        return Concat(branches), total
    if step is Pool.MAX:
        return nn.MaxPool2d(3, stride, padding=1 if padded else 0), in_channels
    return nn.AvgPool2d(3, 1, padding=1, count_include_pad=False), in_channels


def auxiliary_head(in_channels: int, num_classes: int, padded: bool, width: float) -> nn.Sequential:
    """Average pool 5x5/3, 1x1, 5x5 without padding, classifier, as slim.

    A 17x17 map is pooled to 5x5; maps that are not of that size after the pool are resized to it by averaging.
    """
    channels, hidden = scaled(128, width), scaled(768, width)
    return nn.Sequential(
        nn.Identity() if padded else nn.AvgPool2d(5, 3),
        conv_bn_act(in_channels, channels, 1, eps=EPS),
        nn.AdaptiveAvgPool2d(5),
        conv_bn_act(channels, hidden, 5, padding=0, eps=EPS),
        nn.Flatten(),
        nn.Linear(hidden, num_classes),
    )


@family(
    "inception_v4", paper="arXiv:1602.07261", config=InceptionV4, presets=PRESETS, inputs={"inception_v4*": (299, 1000)}
)
def build(config: InceptionV4, image: ImageSpec, num_classes: int) -> nn.Module:
    """Inception v4 with strides fitted to the image.

    Under 128 pixels everything is padded, so that only strides shrink the map (our addition); a max pool whose stride
    becomes 1 runs with it.

    Raises:
        BadInput: a bad width or dropout, or too small an image.
    """
    check_width(config.width, "inception_v4")
    if not 0 <= config.dropout < 1:
        raise BadInput(f"inception_v4: dropout is {config.dropout}; it must be a fraction below 1, such as 0.2")
    strides = fit_strides((2,) * len(STAGES), image, "inception_v4")
    padded = min(image.height, image.width) < UNPADDED
    channels = image.channels
    stages: list[nn.Sequential] = []
    side: dict[str, nn.Module] = {}
    for rows, stride in zip(STAGES, strides, strict=True):
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        for name, step in rows:
            blocks[name], channels = layer(step, channels, stride, padded, config.width)
            if config.auxiliary and name == AUXILIARY:
                side[name] = auxiliary_head(channels, num_classes, padded, config.width)
        stages.append(nn.Sequential(blocks))
    stem, *rest = stages
    head = pool_linear(channels, num_classes, config.dropout)
    net = AuxiliaryNet(stem, rest, head, side, AUXILIARY_WEIGHT) if side else ConvNet(stem, rest, head)
    _initialise(net)
    return net


def _initialise(net: nn.Module) -> None:
    """As slim: normal of variance 2 / fan-in, cut at two standard deviations; biases 0."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            std = float((2 / module.weight[0].numel()) ** 0.5 / 0.87962566)
            nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
