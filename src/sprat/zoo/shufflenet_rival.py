"""The networks ShuffleNet is compared with: its own macro-structure with the units of VGG, ResNet and ResNeXt.

Source: ShuffleNet (arXiv:1707.01083), table 4 and section 4.2; the strides and stages are those of its table 1. The
fourth rival, "Xception-like", is ShuffleNet of 1 group.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo.blocks import ConvNet, conv_bn, conv_bn_act, fit_strides, pool_linear
from sprat.zoo.family import family

UNITS = (4, 8, 4)  # table 1: units of stages 2, 3 and 4
STRIDES = (2, 2, 2, 2, 2)  # conv1, max pool, first unit of stages 2, 3 and 4
# Unit: input and output channels over those of the 3x3 convolution ("bottleneck 1:4"), None for two 3x3 convolutions.
BOTTLENECKS = {"vgg": None, "resnet": 4, "resnext": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShuffleNetRival:
    """A rival of about 38M macs by default.

    Args:
        unit: "vgg" (two 3x3 convolutions), "resnet" (bottleneck 1:4) or "resnext" (bottleneck 1:2 of many groups).
        stage2: channels of stage 2; stage 3 doubles them and stage 4 doubles them again.
        conv1: channels of the first convolution, 12 as in ShuffleNet 0.5x.
        groups: of the 3x3 convolution of "resnext", its cardinality; 1 in the other units.
        dropout: before the classifier (the paper has none).
    """

    unit: str = "resnet"
    stage2: int = 48
    conv1: int = 12
    groups: int = 1
    dropout: float = 0.0


# Section 4.2 gives the channels of stage 4 at 38M macs: 50, 192 and 192. VGG's 12.5 in stage 2 are 12 here: 35.6M.
# ResNet's come out: 38.1M. The paper's cardinality of 16 does not divide the 24 channels of ResNeXt's first bottleneck;
# 8 does, and counts 45.4M.
PRESETS = {
    "shufflenet_rival_vgg": ShuffleNetRival(unit="vgg", stage2=12),
    "shufflenet_rival_resnet": ShuffleNetRival(),
    "shufflenet_rival_resnext": ShuffleNetRival(unit="resnext", groups=8),
}


def vgg(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """Two 3x3 convolutions, each with BN and ReLU: (N, in, H, W) to (N, out, ceil(H / stride), ceil(W / stride))."""
    return nn.Sequential(conv_bn_act(in_channels, out_channels, 3, stride), conv_bn_act(out_channels, out_channels, 3))


class Bottleneck(nn.Module):
    """relu(shortcut(x) + branch(x)): (N, in, H, W) to (N, out, ceil(H / stride), ceil(W / stride)).

    The branch is 1x1, 3x3 with the stride, 1x1; the shortcut a 1x1 convolution with BN where channels or size change.

    Args:
        in_channels: of x.
        out_channels: of the result; ratio must divide it.
        stride: of the 3x3 convolution and of the shortcut.
        ratio: out_channels over the channels of the 3x3 convolution.
        groups: of the 3x3 convolution; must divide its channels.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, ratio: int, groups: int) -> None:
        super().__init__()
        mid = out_channels // ratio
        change = in_channels != out_channels or stride == 2
        self.shortcut = conv_bn(in_channels, out_channels, 1, stride) if change else nn.Identity()
        self.branch = nn.Sequential(
            conv_bn_act(in_channels, mid, 1),
            conv_bn_act(mid, mid, 3, stride, groups),
            conv_bn(mid, out_channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The unit's output."""
        return torch.relu(self.shortcut(x) + self.branch(x))


@family("shufflenet_rival", paper="arXiv:1707.01083", config=ShuffleNetRival, presets=PRESETS)
def build(config: ShuffleNetRival, image: ImageSpec, num_classes: int) -> nn.Module:
    """A rival with strides fitted to the image; a max pool whose stride becomes 1 is left out.

    Raises:
        BadInput: an unknown unit, channels that do not divide, or the image is too small.
    """
    _check(config)
    conv1, pool, *rest = fit_strides(STRIDES, image, "shufflenet_rival")
    stem = conv_bn_act(image.channels, config.conv1, 3, conv1)
    if pool == 2:
        stem.append(nn.MaxPool2d(3, 2, 1))
    ratio = BOTTLENECKS[config.unit]
    stages: list[nn.Sequential] = []
    channels, out_channels = config.conv1, config.stage2
    for units, first_stride in zip(UNITS, rest, strict=True):
        stage = nn.Sequential()
        for unit in range(units):
            stride = first_stride if unit == 0 else 1
            if ratio is None:
                stage.append(vgg(channels, out_channels, stride))
            else:
                stage.append(Bottleneck(channels, out_channels, stride, ratio, config.groups))
            channels = out_channels
        stages.append(stage)
        out_channels = 2 * channels
    net = ConvNet(stem, stages, pool_linear(channels, num_classes, config.dropout))
    _initialise(net)
    return net


def _check(config: ShuffleNetRival) -> None:
    name = f"shufflenet_rival of unit {config.unit!r}"
    if config.unit not in BOTTLENECKS:
        raise BadInput(f"{name}: it must be {', '.join(BOTTLENECKS)}; Xception-like is shufflenet_v1 with groups 1")
    if config.stage2 < 1 or config.conv1 < 1:
        raise BadInput(f"{name}: stage2 {config.stage2} and conv1 {config.conv1} must be at least 1, such as 48 and 12")
    if not 0 <= config.dropout < 1:
        raise BadInput(f"{name} with dropout {config.dropout}: it must be a fraction below 1")
    if config.unit != "resnext" and config.groups != 1:
        raise BadInput(f"{name} with {config.groups} groups: only resnext has groups; the others take 1")
    ratio = BOTTLENECKS[config.unit]
    if ratio is None:
        return
    if config.stage2 % ratio or config.groups < 1 or config.stage2 // ratio % config.groups:
        raise BadInput(
            f"{name}: {config.stage2} channels of stage 2 over {ratio} do not divide into {config.groups} groups; take "
            f"a stage2 that is a multiple of {ratio * max(1, config.groups)}, or other groups"
        )


def _initialise(net: ConvNet) -> None:
    """He's normal by fan-out as in ResNeXt, since the paper does not say; classifier of std 0.01, bias 0."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)
