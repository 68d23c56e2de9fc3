"""ResNet for ImageNet, version 1 and 2, with the three places where released networks put their strides.

Source: version 1 is "Deep Residual Learning for Image Recognition" (arXiv:1512.03385), table 1; version 2 is "Identity
Mappings in Deep Residual Networks" (arXiv:1603.05027), with the biases of TF-Slim's resnet_v2; ResNet-200 from there.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo.blocks import ConvNet, check_width, conv_bn, conv_bn_act, fit_strides, pool_linear, scaled
from sprat.zoo.family import family

# Table 1: depth, units of conv2_x to conv5_x, channels of a unit over its width (1: two 3x3, 4: bottleneck).
DEPTHS = {
    18: ((2, 2, 2, 2), 1),
    34: ((3, 4, 6, 3), 1),
    50: ((3, 4, 6, 3), 4),
    101: ((3, 4, 23, 3), 4),
    152: ((3, 8, 36, 3), 4),
    200: ((3, 24, 36, 3), 4),
}
STEM = 64
WIDTHS = (64, 128, 256, 512)
HALVINGS = (2, 2, 2, 2, 2)  # conv1, the max pool, and one unit in each of three stages
STRIDES = ("3x3", "1x1", "slim")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNet:
    """The defaults are ResNet-50 as Torch and torchvision have it.

    Args:
        depth: 50, 101, 152 or 200 (bottleneck units), in version 1 also 18 or 34 (units of two 3x3 convolutions).
        version: 1 (convolution, BN, ReLU; ReLU after the sum) or 2 (BN and ReLU before the convolutions).
        strides: which convolution halves. "3x3": that of the first unit of a stage (Torch). "1x1": the first one of
            that unit (the paper). "slim": the 3x3 of the last unit of the stage before (TF-Slim).
        width: multiplies every channel count; our addition.
    """

    depth: int = 50
    version: int = 1
    strides: str = "3x3"
    width: float = 1.0


PRESETS = {
    **{f"resnet{depth}": ResNet(depth=depth) for depth in DEPTHS},
    "resnet50_paper": ResNet(strides="1x1"),
    **{f"resnet_v2_{depth}": ResNet(depth=depth, version=2) for depth in (50, 101, 152, 200)},
    **{f"resnet_v1_{depth}_slim": ResNet(depth=depth, strides="slim") for depth in (50, 101, 152)},
    **{f"resnet_v2_{depth}_slim": ResNet(depth=depth, version=2, strides="slim") for depth in (50, 101, 152, 200)},
}


class Unit1(nn.Module):
    """relu(branch(x) + shortcut(x)): (N, in, H, W) to (N, out, ceil(H / stride), ceil(W / stride))."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """The unit's output."""
        return torch.relu(self.branch(x) + self.shortcut(x))


class Unit2(nn.Module):
    """branch(a) + shortcut(x) of a = relu(BN(x)), shapes as in `Unit1`; a shortcut that projects reads a, not x."""

    def __init__(self, in_channels: int, branch: nn.Module, shortcut: nn.Module, *, projects: bool) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels)
        self.branch = branch
        self.shortcut = shortcut
        self.projects = projects

    def forward(self, x: Tensor) -> Tensor:
        """The unit's output."""
        activated = torch.relu(self.norm(x))
        total: Tensor = self.branch(activated) + self.shortcut(activated if self.projects else x)
        return total


class SamePool(nn.Module):
    """Max pool 3x3 of stride 2 with TensorFlow's "SAME" padding: (N, C, H, W) to (N, C, ceil(H / 2), ceil(W / 2)).

    An even side is padded at its end only, an odd one on both ends.
    """

    def forward(self, x: Tensor) -> Tensor:
        """The pooled map."""
        return functional.max_pool2d(x, 3, 2, padding=(x.shape[2] % 2, x.shape[3] % 2), ceil_mode=True)


def bottleneck(in_channels: int, mid: int, out_channels: int, stride: int, config: ResNet) -> nn.Sequential:
    """1x1, 3x3, 1x1, two with BN and ReLU; the last with BN, in version 2 with a bias: the next unit has the BN."""
    first, second = (stride, 1) if config.strides == "1x1" else (1, stride)
    last = nn.Conv2d(mid, out_channels, 1) if config.version == 2 else conv_bn(mid, out_channels, 1)
    return nn.Sequential(conv_bn_act(in_channels, mid, 1, first), conv_bn_act(mid, mid, 3, second), last)


def unit(config: ResNet, in_channels: int, mid: int, stride: int) -> nn.Module:
    """One unit of width `mid`: (N, in, H, W) to (N, expansion * mid, ceil(H / stride), ceil(W / stride))."""
    expansion = DEPTHS[config.depth][1]
    out_channels = expansion * mid
    projects = in_channels != out_channels
    # Without a change of channels the shortcut has no weights; slim's strided ones take every second pixel.
    same: nn.Module = nn.MaxPool2d(1, stride) if stride > 1 else nn.Identity()
    if expansion == 1:
        branch = nn.Sequential(conv_bn_act(in_channels, mid, 3, stride), conv_bn(mid, mid, 3))
    else:
        branch = bottleneck(in_channels, mid, out_channels, stride, config)
    if config.version == 2:
        shortcut = nn.Conv2d(in_channels, out_channels, 1, stride) if projects else same
        return Unit2(in_channels, branch, shortcut, projects=projects)
    return Unit1(branch, conv_bn(in_channels, out_channels, 1, stride) if projects else same)


def placed_strides(config: ResNet, halvings: tuple[int, int, int]) -> list[list[int]]:
    """The stride of every unit of the four stages, given those of the three halvings between them."""
    strides = [[1] * units for units in DEPTHS[config.depth][0]]
    for stage, stride in enumerate(halvings):
        if config.strides == "slim":
            strides[stage][-1] = stride
        else:
            strides[stage + 1][0] = stride
    return strides


@family("resnet", paper="arXiv:1512.03385", config=ResNet, presets=PRESETS)
def build(config: ResNet, image: ImageSpec, num_classes: int) -> nn.Module:
    """ResNet with strides fitted to the image; a max pool whose stride becomes 1 is left out.

    Stages of the module begin where the resolution halves: with "slim" strides one unit before those of table 1. The
    first begins with the max pool; in version 2 the last ends with BN and ReLU.

    Raises:
        BadInput: a depth, version or strides that are not known, width is not positive, or the image is too small.
    """
    _check(config)
    conv1, pool, *halvings = fit_strides(HALVINGS, image, "resnet")
    channels = scaled(STEM, config.width)
    if config.version == 1:
        stem = conv_bn_act(image.channels, channels, 7, conv1)
    else:
        stem = nn.Sequential(nn.Conv2d(image.channels, channels, 7, conv1, padding=3))
    stages = [nn.Sequential()]
    if pool == 2:
        stages[0].append(SamePool() if config.strides == "slim" else nn.MaxPool2d(3, 2, padding=1))
    published = placed_strides(config, (2, 2, 2))
    fitted = placed_strides(config, (halvings[0], halvings[1], halvings[2]))
    for filters, wanted, strides in zip(WIDTHS, published, fitted, strict=True):
        mid = scaled(filters, config.width)
        for halves, stride in zip(wanted, strides, strict=True):
            if halves == 2:
                stages.append(nn.Sequential())
            stages[-1].append(unit(config, channels, mid, stride))
            channels = DEPTHS[config.depth][1] * mid
    if config.version == 2:
        stages[-1].extend([nn.BatchNorm2d(channels), nn.ReLU()])
    net = ConvNet(stem, stages, pool_linear(channels, num_classes))
    _initialise(net, slim=config.strides == "slim")
    return net


def _check(config: ResNet) -> None:
    check_width(config.width, "resnet")
    if config.depth not in DEPTHS:
        raise BadInput(f"resnet of depth {config.depth}: table 1 has {', '.join(map(str, DEPTHS))}")
    if config.version not in (1, 2):
        raise BadInput(f"resnet of version {config.version}: it must be 1 or 2")
    if config.strides not in STRIDES:
        raise BadInput(f"resnet with strides {config.strides!r}: they must be one of {', '.join(STRIDES)}")
    if DEPTHS[config.depth][1] == 1 and (config.version, config.strides) != (1, "3x3"):
        raise BadInput(
            f"resnet of depth {config.depth}, version {config.version}, strides {config.strides!r}: 18 and 34 have "
            'units of two 3x3 convolutions, in version 1 with strides "3x3" only; choose depth 50 or more'
        )


def _initialise(net: nn.Module, *, slim: bool) -> None:
    """Torch: convolutions normal with variance 2 / fan-out. Slim: all truncated normal with variance 2 / fan-in."""
    for module in net.modules():
        if not isinstance(module, nn.Conv2d | nn.Linear):
            continue
        if slim:
            std = (2 / module.weight[0].numel()) ** 0.5 / 0.8796  # what cutting a normal at 2 deviations leaves of it
            nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
