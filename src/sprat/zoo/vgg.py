"""VGG: 3x3 convolutions in five groups with a max pool after each, and three fully-connected layers.

Source: Very Deep Convolutional Networks for Large-Scale Image Recognition (arXiv:1409.1556), tables 1 and 2, section
2.1; initial values from the TensorFlow-Slim release.
"""

import math
from dataclasses import dataclass

from torch import nn

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo.blocks import ConvNet, check_width, conv_bn_act, fit_strides, scaled
from sprat.zoo.family import family

# Table 1, columns A, B, D and E: depth to 3x3 convolutions in each group; then the channels of each group.
CONVS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
CHANNELS = (64, 128, 256, 512, 512)
STRIDES = (2, 2, 2, 2, 2)  # the max pools, one after each group
HIDDEN = 4096  # units of each of the two hidden fully-connected layers


@dataclass(frozen=True, slots=True, kw_only=True)
class VGG:
    """VGG-16 (configuration D) by default.

    Args:
        depth: layers with weights: 11, 13, 16 or 19 (configurations A, B, D, E).
        batch_norm: batch norm between convolution and ReLU instead of biases; our addition, without which deep ones
            hardly train from scratch.
        dropout: after each hidden fully-connected layer.
        width: multiplies every channel count and the hidden units; our addition.
    """

    depth: int = 16
    batch_norm: bool = False
    dropout: float = 0.5
    width: float = 1.0


PRESETS = {
    **{f"vgg{depth}": VGG(depth=depth) for depth in CONVS},
    **{f"vgg16_bn_{width}": VGG(batch_norm=True, width=width) for width in (1.0, 0.75, 0.5, 0.375, 0.25, 0.125)},
}


def conv_act(in_channels: int, out_channels: int, kernel: int) -> nn.Sequential:
    """relu(conv(x)) with bias, as published; keeps height and width."""
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2), nn.ReLU())


@family("vgg", paper="arXiv:1409.1556", config=VGG, presets=PRESETS)
def build(config: VGG, image: ImageSpec, num_classes: int) -> nn.Module:
    """VGG with strides fitted to the image; a max pool whose stride becomes 1 is left out.

    The first fully-connected layer fits the last map, 7x7 at the published 224x224, so the network takes images of one
    size. Stages begin with the pools; the last one is the last pool alone.

    Raises:
        BadInput: a depth that is not in the table, or a width, dropout or image out of range.
    """
    _check(config)
    pools = fit_strides(STRIDES, image, "vgg")
    conv = conv_bn_act if config.batch_norm else conv_act
    channels = image.channels
    stages = [nn.Sequential()]
    for published, num_convs, pool in zip(CHANNELS, CONVS[config.depth], pools, strict=True):
        for _ in range(num_convs):
            out_channels = scaled(published, config.width)
            stages[-1].append(conv(channels, out_channels, 3))
            channels = out_channels
        stages.append(nn.Sequential(*([nn.MaxPool2d(2, 2)] if pool == 2 else [])))
    shrink = math.prod(pools)
    head = _head(config, channels * (image.height // shrink) * (image.width // shrink), num_classes)
    net = ConvNet(stages[0], stages[1:], head)
    _initialise(net)
    return net


def _check(config: VGG) -> None:
    check_width(config.width, "vgg")
    if config.depth not in CONVS:
        raise BadInput(f"vgg of depth {config.depth}: the paper has {', '.join(map(str, CONVS))}")
    if not 0 <= config.dropout < 1:
        raise BadInput(f"vgg with dropout {config.dropout}: it must be a fraction below 1, such as 0.5")


def _head(config: VGG, in_features: int, num_classes: int) -> nn.Sequential:
    head, hidden = nn.Sequential(nn.Flatten()), scaled(HIDDEN, config.width)
    for features in (in_features, hidden):
        head.extend([nn.Linear(features, hidden), nn.ReLU()])
        if config.dropout > 0:
            head.append(nn.Dropout(config.dropout))
    return head.append(nn.Linear(hidden, num_classes))


def _initialise(net: ConvNet) -> None:
    """Xavier's uniform, bias 0, as TensorFlow-Slim (whose first fully-connected layer is a 7x7 convolution)."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
