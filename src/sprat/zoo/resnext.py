"""ResNeXt: bottleneck blocks whose 3x3 convolution runs in many narrow groups.

Source: ResNeXt (arXiv:1611.05431), tables 1 to 4, figure 3, sections 3 and 4, and 5.3 for the CIFAR networks.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo.blocks import ConvNet, check_width, conv_bn, conv_bn_act, fit_strides, pool_linear, scaled
from sprat.zoo.family import family

# Table 1: blocks of conv2 to conv5 for each depth; n of a stage is 64, 128, 256, 512 and its output has 4n channels.
BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
STRIDES = (2, 2, 1, 2, 2, 2)  # conv1, max pool, first block of conv2 to conv5
# Section 5.3, CIFAR: three stages of n = 64, 128, 256 and (depth - 2) / 9 blocks, after a 3x3 convolution.
CIFAR_STRIDES = (1, 1, 2, 2)  # conv1, first block of each stage
BASE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNeXt:
    """ResNeXt-depth (groups x group_width d); 1 x 64d is the ResNet of the paper's tables.

    Args:
        depth: 50, 101 or 152; with the CIFAR stem a number of the form 9n + 2, such as 29.
        groups: C, the cardinality.
        group_width: d, the channels of each group in the first stage. Stage n has floor(n * d / 64) of them.
        form: of the block in figure 3: "A" sums C paths, "B" concatenates them early, "C" is one grouped convolution.
            All three compute the same; C is the fast one.
        stem: "imagenet" (7x7 and a max pool, four stages) or "cifar" (3x3, three stages).
        width: multiplies n, 64 in the first stage, with 8 as the least, and with it every channel count; our addition.
            A group keeps at least 1 channel.
    """

    depth: int = 50
    groups: int = 32
    group_width: int = 4
    form: str = "C"
    stem: str = "imagenet"
    width: float = 1.0


_TABLE_3 = ((1, 64), (2, 40), (4, 24), (8, 14), (32, 4))
_CIFAR = ((1, 64), (32, 4), (8, 64), (16, 64))
PRESETS = {
    **{
        f"resnext{depth}_{c}x{d}d": ResNeXt(depth=depth, groups=c, group_width=d)
        for depth in (50, 101)
        for c, d in _TABLE_3
    },
    **{f"resnext101_{c}x{d}d": ResNeXt(depth=101, groups=c, group_width=d) for c, d in ((1, 100), (2, 64), (64, 4))},
    "resnext152_32x4d": ResNeXt(depth=152),
    **{f"resnext29_{c}x{d}d": ResNeXt(depth=29, groups=c, group_width=d, stem="cifar") for c, d in _CIFAR},
    **{f"resnext50_32x4d_{width}": ResNeXt(width=width) for width in (0.5, 0.25, 0.125)},
    **{f"resnext29_32x4d_{width}": ResNeXt(depth=29, stem="cifar", width=width) for width in (0.5, 0.25, 0.125)},
}


def path(in_channels: int, channels: int, stride: int, groups: int = 1) -> nn.Sequential:
    """1x1 then 3x3, each with BN and ReLU: (N, in, H, W) to (N, channels, ceil(H / stride), ceil(W / stride))."""
    return nn.Sequential(
        conv_bn_act(in_channels, channels, 1), conv_bn_act(channels, channels, 3, stride, groups=groups)
    )


class SplitTransformSum(nn.Module):
    """BN(sum over C paths of conv1x1(path(x))), figure 3 (a): (N, in, H, W) to (N, out, ...).

    The paths share one batch norm after their sum: only there does the equality with forms B and C hold.
    """

    def __init__(self, in_channels: int, group_width: int, out_channels: int, stride: int, groups: int) -> None:
        super().__init__()
        self.paths = nn.ModuleList(
            path(in_channels, group_width, stride).append(nn.Conv2d(group_width, out_channels, 1, bias=False))
            for _ in range(groups)
        )
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """The normalised sum."""
        total = self.paths[0](x)
        for other in self.paths[1:]:
            total = total + other(x)
        normal: Tensor = self.norm(total)
        return normal


class EarlyConcat(nn.Module):
    """BN(conv1x1(concat of C paths of x)), figure 3 (b): (N, in, H, W) to (N, out, ...)."""

    def __init__(self, in_channels: int, group_width: int, out_channels: int, stride: int, groups: int) -> None:
        super().__init__()
        self.paths = nn.ModuleList(path(in_channels, group_width, stride) for _ in range(groups))
        self.expand = conv_bn(groups * group_width, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The normalised result of the last convolution."""
        y: Tensor = self.expand(torch.cat([one(x) for one in self.paths], dim=1))
        return y


def grouped(in_channels: int, group_width: int, out_channels: int, stride: int, groups: int) -> nn.Sequential:
    """BN(conv1x1(path(x))) with one path of C groups, figure 3 (c): (N, in, H, W) to (N, out, ...)."""
    channels = groups * group_width
    return path(in_channels, channels, stride, groups).append(conv_bn(channels, out_channels, 1))


FORMS: dict[str, Callable[[int, int, int, int, int], nn.Module]] = {
    "A": SplitTransformSum,
    "B": EarlyConcat,
    "C": grouped,
}


class Block(nn.Module):
    """relu(shortcut(x) + branch(x)): (N, in, H, W) to (N, out, ceil(H / stride), ceil(W / stride)).

    The shortcut is a 1x1 convolution with BN where size or channels change (type B), and x itself elsewhere.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, branch: nn.Module) -> None:
        super().__init__()
        change = in_channels != out_channels or stride == 2
        self.shortcut = conv_bn(in_channels, out_channels, 1, stride) if change else nn.Identity()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        """The block's output."""
        return torch.relu(self.shortcut(x) + self.branch(x))


@family(
    "resnext",
    paper="arXiv:1611.05431",
    config=ResNeXt,
    presets=PRESETS,
    inputs={"resnext29_*": (32, 10)},
)
def build(config: ResNeXt, image: ImageSpec, num_classes: int) -> nn.Module:
    """ResNeXt with strides fitted to the image; a max pool whose stride becomes 1 is left out.

    The stride of a stage is that of the 3x3 convolution in its first block. Stages begin where the resolution halves,
    so conv2 holds the max pool.

    Raises:
        BadInput: a depth, number of groups, form or stem that does not exist, or the image is too small.
    """
    blocks = _blocks(config)
    strides = fit_strides(STRIDES if config.stem == "imagenet" else CIFAR_STRIDES, image, "resnext")
    channels = scaled(BASE, config.width)
    stem = conv_bn_act(image.channels, channels, 7 if config.stem == "imagenet" else 3, strides[0])
    stages: list[nn.Sequential] = []
    for number, (repeats, first_stride) in enumerate(zip(blocks, strides[-len(blocks) :], strict=True)):
        pooled = config.stem == "imagenet" and number == 0 and strides[1] == 2
        stage = nn.Sequential(*([nn.MaxPool2d(3, 2, 1)] if pooled else []))
        base = scaled(BASE * 2**number, config.width)
        group_width, out_channels = max(1, base * config.group_width // BASE), 4 * base
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            branch = FORMS[config.form](channels, group_width, out_channels, stride, config.groups)
            stage.append(Block(channels, out_channels, stride, branch))
            channels = out_channels
        stages.append(stage)
    net = ConvNet(stem, stages, pool_linear(channels, num_classes))
    _initialise(net, config.groups)
    return net


def _blocks(config: ResNeXt) -> tuple[int, ...]:
    """Blocks of each stage.

    Raises:
        BadInput: as `build`.
    """
    name = f"resnext of depth {config.depth} with {config.groups} x {config.group_width}d"
    check_width(config.width, "resnext")
    if config.groups < 1 or config.group_width < 1:
        raise BadInput(f"{name}: groups and group_width must be at least 1, such as 32 and 4")
    if config.form not in FORMS:
        raise BadInput(f"{name}: form is {config.form!r}; it must be {', '.join(FORMS)} of figure 3")
    if config.stem == "cifar":
        if config.depth < 11 or (config.depth - 2) % 9:
            raise BadInput(f"{name}: with the cifar stem the depth must be 9n + 2, such as 20, 29 or 38")
        return ((config.depth - 2) // 9,) * 3
    if config.stem != "imagenet":
        raise BadInput(f"{name}: stem is {config.stem!r}; it must be imagenet or cifar")
    if config.depth not in BLOCKS:
        depths = ", ".join(map(str, BLOCKS))
        raise BadInput(f"{name}: the paper gives blocks for depths {depths}; 9n + 2 such as 29 needs the cifar stem")
    return BLOCKS[config.depth]


def _initialise(net: ConvNet, groups: int) -> None:
    """As the authors' code: He's normal by fan-out, batch norm 1 and 0, bias of the classifier 0.

    The fan-out is that of form C in all forms, so a path of A or B counts the outputs of its C - 1 siblings too.
    """
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            siblings = groups if ".paths." in name and name.endswith(".0") else 1
            fan_out = siblings * module.out_channels * math.prod(module.kernel_size)
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
