"""Inception v3: 5x5 and 7x7 convolutions factorised into smaller and into one-sided ones, side classifier for training.

Source: Rethinking the Inception Architecture (arXiv:1512.00567), table 1, figures 5 to 7 and 10, sections 4 and 6;
sizes and initial values of TF-slim.
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
AUXILIARY = "6e"  # its map also goes to the side classifier
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


def mixed_5(pool: int) -> Mixed:
    """Figure 5 at 35x35, with a 5x5 for its single 3x3, as in slim."""
    return mixed(
        (Conv(64),),
        (Conv(48), Conv(64, 5)),
        (Conv(64), Conv(96, 3), Conv(96, 3)),
        (Pool.AVG, Conv(pool)),
    )


def mixed_6(c: int) -> Mixed:
    """Figure 6 with n = 7, at 17x17."""
    return mixed(
        (Conv(192),),
        (Conv(c), Conv(c, (1, 7)), Conv(192, (7, 1))),
        (Conv(c), Conv(c, (7, 1)), Conv(c, (1, 7)), Conv(c, (7, 1)), Conv(192, (1, 7))),
        (Pool.AVG, Conv(192)),
    )


REDUCE_6 = mixed(  # figure 10
    (valid(384, 3, 2),),
    (Conv(64), Conv(96, 3), valid(96, 3, 2)),
    (Pool.MAX,),
)
REDUCE_7 = mixed(
    (Conv(192), valid(320, 3, 2)),
    (Conv(192), Conv(192, (1, 7)), Conv(192, (7, 1)), valid(192, 3, 2)),
    (Pool.MAX,),
)
FORK = mixed((Conv(384, (1, 3)),), (Conv(384, (3, 1)),))
MIXED_7 = mixed(  # figure 7, at 8x8
    (Conv(320),),
    (Conv(384), FORK),
    (Conv(448), Conv(384, 3), FORK),
    (Pool.AVG, Conv(192)),
)

# Table 1 with slim's names. Each stage halves the map once, 299 to 149, 73, 35, 17 and 8.
STAGES: tuple[tuple[tuple[str, Step], ...], ...] = (
    (("1a", valid(32, 3, 2)), ("2a", valid(32, 3)), ("2b", Conv(64, 3))),
    (("3a", Pool.MAX), ("3b", Conv(80)), ("4a", valid(192, 3))),
    (("5a", Pool.MAX), ("5b", mixed_5(32)), ("5c", mixed_5(64)), ("5d", mixed_5(64))),
    (("6a", REDUCE_6), ("6b", mixed_6(128)), ("6c", mixed_6(160)), ("6d", mixed_6(160)), ("6e", mixed_6(192))),
    (("7a", REDUCE_7), ("7b", MIXED_7), ("7c", MIXED_7)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InceptionV3:
    """Inception v3; the width multiplier is our addition.

    Args:
        auxiliary: a side classifier for training, after 6e.
        dropout: before the classifier.
        width: multiplies every channel count, with 8 as the least.
    """

    auxiliary: bool = False
    dropout: float = 0.2
    width: float = 1.0


PRESETS = {"inception_v3": InceptionV3()}


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
    """Average pool 5x5/3, 1x1, 5x5 without padding, classifier: section 4, sizes of slim.

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
    "inception_v3", paper="arXiv:1512.00567", config=InceptionV3, presets=PRESETS, inputs={"inception_v3*": (299, 1000)}
)
def build(config: InceptionV3, image: ImageSpec, num_classes: int) -> nn.Module:
    """Inception v3 with strides fitted to the image.

    Under 128 pixels everything is padded, so that only strides shrink the map (our addition); a max pool whose stride
    becomes 1 is left out, and in a module it runs with stride 1.

    Raises:
        BadInput: a bad width or dropout, or too small an image.
    """
    check_width(config.width, "inception_v3")
    if not 0 <= config.dropout < 1:
        raise BadInput(f"inception_v3: dropout is {config.dropout}; it must be a fraction below 1, such as 0.2")
    strides = fit_strides((2,) * len(STAGES), image, "inception_v3")
    padded = min(image.height, image.width) < UNPADDED
    channels = image.channels
    stages: list[nn.Sequential] = []
    side: dict[str, nn.Module] = {}
    for rows, stride in zip(STAGES, strides, strict=True):
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        for name, step in rows:
            if step is Pool.MAX and stride == 1:
                continue
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
    """As slim, normals cut at 2 std: of variance 2 / fan-in; 0.01 and 0.001 in the last two layers of the side head."""
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            std = float((2 / module.weight[0].numel()) ** 0.5 / 0.87962566)
            if name.startswith("auxiliary.") and isinstance(module, nn.Linear):
                std = 0.001
            elif name.startswith("auxiliary.") and module.weight.shape[-1] == 5:
                std = 0.01
            nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
