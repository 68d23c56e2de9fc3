"""What families share: ConvNet, convolution with batch norm, the usual head, widths, and the rule for small inputs.

A block comes here when a third family uses it in the identical form (docs/architecture.md, section 6).
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from sprat.errors import BadInput
from sprat.image import ImageSpec


class ConvNet(nn.Module):
    """A network whose stages follow each other: stem, stages, head.

    `features(x)` is a list of the maps after the stem and after each stage; `head` turns the last one into logits.

    Args:
        stem: (N, C, H, W) to the first feature map.
        stages: each from the map before it to the next.
        head: (N, C', H', W') to logits (N, num_classes).
    """

    def __init__(self, stem: nn.Module, stages: Sequence[nn.Module], head: nn.Module) -> None:
        super().__init__()
        self.stem = stem
        self.stages = nn.ModuleList(stages)
        self.head = head

    def features(self, x: Tensor) -> list[Tensor]:
        """Feature maps after the stem and after each stage, each (N, C_i, H_i, W_i)."""
        maps = [self.stem(x)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, num_classes) of images x (N, C, H, W)."""
        logits: Tensor = self.head(self.features(x)[-1])
        return logits


def conv_bn(
    in_channels: int,
    out_channels: int,
    kernel: int | tuple[int, int],
    stride: int = 1,
    groups: int = 1,
    *,
    padding: int | tuple[int, int] | None = None,
    eps: float = 1e-5,
) -> nn.Sequential:
    """BN(conv(x)) without bias: (N, in, H, W) to (N, out, ceil(H / stride), ceil(W / stride)).

    Args:
        in_channels: of x; groups must divide it.
        out_channels: of the result; groups must divide it.
        kernel: side, or (height, width).
        stride: of the convolution.
        groups: of the convolution; in_channels makes it depthwise.
        padding: half the kernel where None, so that odd kernels keep the size; 0 is the "valid" of other libraries.
        eps: of the batch norm.
    """
    if padding is None:
        padding = kernel // 2 if isinstance(kernel, int) else (kernel[0] // 2, kernel[1] // 2)
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels, eps=eps))


def conv_bn_act(
    in_channels: int,
    out_channels: int,
    kernel: int | tuple[int, int],
    stride: int = 1,
    groups: int = 1,
    *,
    padding: int | tuple[int, int] | None = None,
    eps: float = 1e-5,
    act: Callable[[], nn.Module] = nn.ReLU,
) -> nn.Sequential:
    """act(BN(conv(x))), with the shapes and arguments of `conv_bn`."""
    return conv_bn(in_channels, out_channels, kernel, stride, groups, padding=padding, eps=eps).append(act())


class FactorizedReduction(nn.Module):
    """BN(concat(conv1x1/2(x), conv1x1/2(x one pixel on))): (N, in, H, W) to (N, out, ceil(H / 2), ceil(W / 2)).

    Every pixel of x is read by one of the two; the shift pads zeros at the bottom and the right. Each half has its own
    batch norm, which computes the same and can be folded into its convolution.

    Args:
        in_channels: of x.
        out_channels: of the result, half of them of each convolution.
        eps: of the batch norms.
    """

    def __init__(self, in_channels: int, out_channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.even = conv_bn(in_channels, out_channels // 2, 1, 2, eps=eps)
        self.odd = conv_bn(in_channels, out_channels - out_channels // 2, 1, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """The smaller map."""
        shifted = nn.functional.pad(x[:, :, 1::2, 1::2], (0, x.shape[3] % 2, 0, x.shape[2] % 2))
        return torch.cat([self.even(x), self.odd(shifted)], dim=1)


def scaled(channels: int, width: float, least: int = 8) -> int:
    """Channels under a width multiplier: max(int(channels * width), least); unchanged at width 1."""
    return channels if width == 1 else max(int(channels * width), least)


def check_width(width: float, name: str) -> None:
    """Refuse a width multiplier that is not a positive number.

    Raises:
        BadInput: naming the family and the width.
    """
    if not 0 < width < math.inf:
        raise BadInput(f"{name} of width {width}: the width multiplier must be above 0, such as 0.25")


def pool_linear(in_channels: int, num_classes: int, dropout: float = 0.0) -> nn.Sequential:
    """Global average pool, dropout where it is above 0, fully-connected layer: (N, C, H, W) to (N, num_classes)."""
    layers: list[nn.Module] = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    if dropout > 0:
        layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear(in_channels, num_classes))


def fit_strides(strides: Sequence[int], image: ImageSpec, name: str, *, smallest: int = 4) -> tuple[int, ...]:
    """The strides with the earliest ones set to 1, until the last map has at least `smallest` pixels a side.

    ImageNet networks halve five times (224 to 7). On a 32x32 image that leaves 1x1, so the first halvings go: 32x32
    keeps three of five, 8x8 keeps one. Images of 128 pixels and more keep the published strides.

    Args:
        strides: published strides in network order, each 1 or 2.
        image: what the network will see.
        name: family, for the message.

    Raises:
        BadInput: the image is smaller than `smallest` pixels.
    """
    side = min(image.height, image.width)
    if side < smallest:
        raise BadInput(f"{name} cannot take images of {image}: the shorter side needs at least {smallest} pixels")
    keep = 0
    while -(-side // 2 ** (keep + 1)) >= smallest:
        keep += 1
    drop = max(0, sum(stride == 2 for stride in strides) - keep)
    fitted = []
    for stride in strides:
        if stride == 2 and drop > 0:
            drop -= 1
            stride = 1
        fitted.append(stride)
    return tuple(fitted)


def conv_norm_pairs(net: nn.Module) -> list[tuple[str, nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions without bias that directly precede a batch norm in a Sequential, with the convolution's name."""
    pairs = []
    for name, module in net.named_modules():
        if isinstance(module, nn.Sequential):
            children = list(module.named_children())
            for (key, first), (_, second) in pairwise(children):
                if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d) and first.bias is None:
                    pairs.append((f"{name}.{key}" if name else key, first, second))
    return pairs
