"""ResNet for CIFAR: three stages at 32x32, 16x16 and 8x8.

Source: version 1 is section 4.2 of "Deep Residual Learning for Image Recognition" (arXiv:1512.03385); version 2 the
bottleneck networks of "Identity Mappings in Deep Residual Networks" (arXiv:1603.05027); shortcuts of weights, and
ResNet-8 with them, are those of MLPerf Tiny's image classification (arXiv:2106.07597, mlcommons/tiny).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo.blocks import ConvNet, check_width, conv_bn, conv_bn_act, fit_strides, pool_linear, scaled
from sprat.zoo.family import family

# Section 4.2: filters and the stride of the first unit of each stage; conv1 has the filters of the first.
STEM = 16
STAGES = ((16, 1), (32, 2), (64, 2))
SHORTCUTS = ("pad", "conv")
EXPANSION = 4  # of a bottleneck, version 2: stages give 64, 128 and 256 maps
CONVOLUTIONS = {1: 2, 2: 3}  # of a unit, by version; so depth is 6n + 2 or 9n + 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNetCifar:
    """The defaults are ResNet-20.

    Args:
        depth: 6n + 2 in version 1, 9n + 2 in version 2, for n units a stage.
        version: 1 (two 3x3 convolutions) or 2 (pre-activation bottlenecks, 1x1 shortcuts where channels change).
        shortcut: where channels change in version 1: "pad" (option A, no weights) or "conv" (1x1 with bias, no BN).
        width: multiplies every channel count; our addition.
    """

    depth: int = 20
    version: int = 1
    shortcut: str = "pad"
    width: float = 1.0


PRESETS = {
    "resnet_cifar_8": ResNetCifar(depth=8, shortcut="conv"),
    **{f"resnet_cifar_{depth}": ResNetCifar(depth=depth) for depth in (20, 32, 44, 56, 110)},
    **{f"resnet_cifar_v2_{depth}": ResNetCifar(depth=depth, version=2) for depth in (164, 1001)},
}


class PadShortcut(nn.Module):
    """Shortcut option A: every stride-th pixel, with zero maps before and after: (N, in, H, W) to (N, out, ceil, ceil).

    The paper does not say where the zeros go; published weights for ResNet-20 expect half before and half after.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.before = (out_channels - in_channels) // 2
        self.after = out_channels - in_channels - self.before
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """The padded map."""
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.before, self.after))

    def extra_repr(self) -> str:
        """Zero maps and stride, for print(net)."""
        return f"before={self.before}, after={self.after}, stride={self.stride}"


class Basic(nn.Module):
    """relu(BN(conv3x3(relu(BN(conv3x3(x))))) + shortcut(x)): (N, in, H, W) to (N, out, ceil(H / stride), ...)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, shortcut: str) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            conv_bn_act(in_channels, out_channels, 3, stride), conv_bn(out_channels, out_channels, 3)
        )
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels or stride != 1:
            pad = PadShortcut(in_channels, out_channels, stride)
            self.shortcut = pad if shortcut == "pad" else nn.Conv2d(in_channels, out_channels, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """The unit's output."""
        return torch.relu(self.branch(x) + self.shortcut(x))


class Preactivation(nn.Module):
    """branch(a) + x, a = relu(BN(x)), branch 1x1-BN-ReLU-3x3-BN-ReLU-1x1; where channels change conv1x1(a) is for x."""

    def __init__(self, in_channels: int, mid: int, stride: int) -> None:
        super().__init__()
        out_channels = EXPANSION * mid
        self.norm = nn.BatchNorm2d(in_channels)
        self.branch = nn.Sequential(
            conv_bn_act(in_channels, mid, 1),
            conv_bn_act(mid, mid, 3, stride),
            nn.Conv2d(mid, out_channels, 1, bias=False),
        )
        self.projects = in_channels != out_channels
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False) if self.projects else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """The unit's output."""
        activated = torch.relu(self.norm(x))
        total: Tensor = self.branch(activated) + self.shortcut(activated if self.projects else x)
        return total


def units_of_depth(depth: int, version: int) -> int:
    """n, the units of each of the three stages.

    Raises:
        BadInput: the version is not known, or the depth does not fit.
    """
    if version not in CONVOLUTIONS:
        raise BadInput(f"resnet_cifar of version {version}: it must be 1 or 2")
    step = 3 * CONVOLUTIONS[version]
    units, rest = divmod(depth - 2, step)
    if rest or units < 1:
        below = 2 + step * max(units, 1)
        raise BadInput(
            f"resnet_cifar of version {version} and depth {depth}: the depth must be {step}n + 2, such as {below} or "
            f"{below + step}"
        )
    return units


@family(
    "resnet_cifar", paper="arXiv:1512.03385", config=ResNetCifar, presets=PRESETS, inputs={"resnet_cifar_*": (32, 10)}
)
def build(config: ResNetCifar, image: ImageSpec, num_classes: int) -> nn.Module:
    """CIFAR ResNet with strides fitted to the image; in version 2 the last stage ends with BN and ReLU.

    Raises:
        BadInput: the depth or the shortcut does not fit the version, width is not positive, or the image is too small.
    """
    check_width(config.width, "resnet_cifar")
    if config.shortcut not in SHORTCUTS or (config.version == 2 and config.shortcut != "pad"):
        raise BadInput(
            f"resnet_cifar of version {config.version} with shortcut {config.shortcut!r}: it must be "
            f"{' or '.join(SHORTCUTS)} in version 1 and is not chosen in version 2"
        )
    units = units_of_depth(config.depth, config.version)
    strides = fit_strides([stride for _, stride in STAGES], image, "resnet_cifar")
    channels = scaled(STEM, config.width, least=4)
    if config.version == 1:
        stem = conv_bn_act(image.channels, channels, 3)
    else:
        stem = nn.Sequential(nn.Conv2d(image.channels, channels, 3, padding=1, bias=False))
    stages = []
    for (filters, _), first in zip(STAGES, strides, strict=True):
        mid = scaled(filters, config.width, least=4)
        stage = nn.Sequential()
        for stride in (first, *(1 for _ in range(units - 1))):
            if config.version == 1:
                stage.append(Basic(channels, mid, stride, config.shortcut))
            else:
                stage.append(Preactivation(channels, mid, stride))
            channels = mid if config.version == 1 else EXPANSION * mid
        stages.append(stage)
    if config.version == 2:
        stages[-1].extend([nn.BatchNorm2d(channels), nn.ReLU()])
    net = ConvNet(stem, stages, pool_linear(channels, num_classes))
    _initialise(net)
    return net


def _initialise(net: nn.Module) -> None:
    """Convolutions normal with variance 2 / fan-out (He), biases 0."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
