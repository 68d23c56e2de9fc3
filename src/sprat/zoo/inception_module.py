"""Modules of the Inception networks: branches side by side, as literal data and as layers; side classifiers; weights.

Source: arXiv:1409.4842, arXiv:1502.03167, arXiv:1512.00567 and arXiv:1602.07261; sizes and initial values of TF-slim.
This file is no family.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

import torch
from torch import Tensor, nn

from sprat.zoo.blocks import ConvNet, conv_bn_act, scaled

EPS = 1e-3  # of batch norm, as in slim
UNPADDED = 128  # pixels from which the "valid" convolutions and pools have no padding, as published
CUT_STD = 0.87962566  # what is left of a standard deviation of 1 when the normal is cut at two of them


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


Step: TypeAlias = Conv | Pool | Mixed


def valid(channels: int, kernel: int, stride: int = 1) -> Conv:
    """A convolution without padding."""
    return Conv(channels, kernel, stride, valid=True)


def mixed(*branches: tuple[Step, ...]) -> Mixed:
    """Branches side by side."""
    return Mixed(branches)


class Concat(nn.Module):
    """The branches' outputs one after the other: (N, in, H, W) to (N, sum of out, H', W')."""

    def __init__(self, branches: Sequence[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """The concatenation along the channels."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def layer(step: Step, in_channels: int, stride: int, padded: bool, width: float) -> tuple[nn.Module, int]:
    """One step of a table as a module, and its output channels.

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


def auxiliary_head(in_channels: int, num_classes: int, padded: bool, width: float) -> nn.Sequential:
    """Average pool 5x5/3, 1x1, 5x5 without padding, classifier: section 4 of v3, sizes of slim, which has it in v4 too.

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


def initialise(module: nn.Module, std: float | None = None) -> None:
    """Weights of a normal cut at two standard deviations, biases 0, as slim.

    Args:
        module: a convolution or fully-connected layer, set in place.
        std: of the normal before the cut; where None, such that the variance after it is 2 / fan-in.
    """
    assert isinstance(module, nn.Conv2d | nn.Linear)
    if std is None:
        std = float((2 / module.weight[0].numel()) ** 0.5 / CUT_STD)
    nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
