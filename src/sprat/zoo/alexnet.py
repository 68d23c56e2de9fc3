"""AlexNet: five convolutions, some in groups as they lay on two GPUs, and three fully-connected layers.

Source: ImageNet Classification with Deep Convolutional Neural Networks (NIPS 2012, not on arXiv), sections 3 to 5,
figure 2: the two-tower network, which is also Caffe's. The same author's arXiv:1404.5997 has a later network with one
tower and other widths; that is not this one.
"""

import math
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo.blocks import ConvNet, check_width, conv_bn, fit_strides, scaled
from sprat.zoo.family import family

# Figure 2, conv1 to conv5: output channels, kernel, in groups in the paper, initial bias (section 5).
CONVS = (
    (96, 11, False, 0.0),
    (256, 5, True, 1.0),
    (384, 3, False, 0.0),
    (384, 3, True, 1.0),
    (256, 3, True, 1.0),
)
STAGES = (CONVS[:1], CONVS[1:2], CONVS[2:])  # a 3x3 max pool of stride 2 follows each
STRIDES = (2, 2, 2, 2, 2)  # the 4 of conv1 as 2 x 2, and the three pools
HIDDEN = 4096  # units of each of the two hidden fully-connected layers
SIZE, ALPHA, BETA, K = 5, 1e-4, 0.75, 2.0  # of the response normalisation, section 3.3; Caffe's files have k = 1
GROUPED = ("paper", "all")
UNPADDED = 128  # pixels from which conv1 has no padding, as published


@dataclass(frozen=True, slots=True, kw_only=True)
class AlexNet:
    """AlexNet with any number of filter groups; the defaults are the paper's.

    Args:
        groups: filter groups, 2 for the paper's two GPUs and 1 for none; must divide 96, 256 and 384 channels.
        grouped: which convolutions are in groups: "paper" (conv2, 4 and 5) or "all" (every one but conv1, as in the
            later study of filter groups).
        lrn: local response normalisation after conv1 and conv2.
        dropout: after each hidden fully-connected layer.
        width: multiplies every channel count, rounded down to a multiple of `groups`, and the hidden units; our
            addition.
        batch_norm: batch norm between convolution and ReLU instead of biases, and He's initial values; our addition,
            without which narrow networks hardly train from scratch.
    """

    groups: int = 2
    grouped: str = "paper"
    lrn: bool = True
    dropout: float = 0.5
    width: float = 1.0
    batch_norm: bool = False


PRESETS = {
    "alexnet": AlexNet(),
    "alexnet_g1": AlexNet(groups=1),
    "alexnet_g4": AlexNet(groups=4),
    "alexnet_all_g2": AlexNet(groups=2, grouped="all"),
    "alexnet_all_g4": AlexNet(groups=4, grouped="all"),
    **{
        f"alexnet_bn_{width}": AlexNet(width=width, lrn=False, batch_norm=True)
        for width in (1.0, 0.75, 0.5, 0.375, 0.25, 0.125)
    },
}


class ResponseNorm(nn.LocalResponseNorm):
    """x / (k + alpha * mean of x^2 over `size` neighbouring channels)^beta: (N, C, H, W) to (N, C, H, W), section 3.3.

    For odd sizes the numbers of nn.LocalResponseNorm, which divides alpha by `size` as Caffe does, in a third of the
    time and without its 5-D tensors, which many converters of ONNX files refuse.
    """

    def forward(self, x: Tensor) -> Tensor:
        """The normalised x."""
        channels, reach = x.shape[1], self.size // 2
        squares = functional.pad(x * x, (0, 0, 0, 0, reach, reach))
        total = squares[:, :channels]
        for shift in range(1, self.size):
            total = total + squares[:, shift : shift + channels]
        return x * (self.k + self.alpha / self.size * total) ** -self.beta


def conv_bias(
    in_channels: int, out_channels: int, kernel: int, stride: int, groups: int, *, padding: int
) -> nn.Sequential:
    """conv(x) with bias, as published; the arguments are those of `conv_bn`."""
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, kernel, stride, padding, groups=groups))


def max_pool(stride: int) -> list[nn.Module]:
    """The 3x3 max pool of stride 2, overlapping (section 3.4) and rounding sizes up as Caffe's; none for stride 1."""
    return [nn.MaxPool2d(3, 2, ceil_mode=True)] if stride == 2 else []


@family("alexnet", paper="arXiv:1404.5997", config=AlexNet, presets=PRESETS, inputs={"alexnet*": (227, 1000)})
def build(config: AlexNet, image: ImageSpec, num_classes: int) -> nn.Module:
    """AlexNet with strides fitted to the image; a max pool whose stride becomes 1 is left out.

    The published 227x227 gives a last map of 6x6, and so does 224x224. Images under 128 pixels get a padded conv1 (our
    addition). The first fully-connected layer fits the last map, so the network takes images of one size. Order:
    convolution, ReLU, response normalisation, pool; stages begin with the pools.

    Raises:
        BadInput: groups that do not divide, an unknown `grouped`, or a width, dropout or image out of range.
    """
    _check(config)
    *conv1, pool1, pool2, pool5 = fit_strides(STRIDES, image, "alexnet")
    conv = conv_bn if config.batch_norm else conv_bias
    # Only conv1 has a stride, can be unpadded, and is in no case grouped.
    stride, padded = math.prod(conv1), min(image.height, image.width) < UNPADDED
    channels = image.channels
    stages: list[nn.Sequential] = []
    for pool, rows in zip((1, pool1, pool2), STAGES, strict=True):
        stage = nn.Sequential(*max_pool(pool))
        for out, kernel, in_groups, _ in rows:
            out_channels = max(scaled(out, config.width) // config.groups, 1) * config.groups
            groups = config.groups if in_groups or (stages and config.grouped == "all") else 1
            padding = kernel // 2 if stages or padded else 0
            stage.append(conv(channels, out_channels, kernel, 1 if stages else stride, groups, padding=padding))
            stage.append(nn.ReLU())
            channels = out_channels
        if config.lrn and len(stages) < 2:
            stage.append(ResponseNorm(SIZE, ALPHA, BETA, K))
        stages.append(stage)
    stages.append(nn.Sequential(*max_pool(pool5)))
    sides = [last_side(side, stride, padded, (pool1, pool2, pool5)) for side in image.shape[1:]]
    net = ConvNet(stages[0], stages[1:], _head(config, channels * math.prod(sides), num_classes))
    _initialise(net, config)
    return net


def last_side(side: int, stride: int, padded: bool, pools: tuple[int, ...]) -> int:
    """Height or width of the last map: 227 becomes 55 in conv1, then 27, 13 and 6 in the pools."""
    kernel = CONVS[0][1]
    side = (side + (kernel // 2 * 2 if padded else 0) - kernel) // stride + 1
    for pool in pools:
        side = -(-(side - 3) // 2) + 1 if pool == 2 else side
    return side


def _check(config: AlexNet) -> None:
    check_width(config.width, "alexnet")
    divided = math.gcd(*(row[0] for row in CONVS))
    if config.groups < 1 or divided % config.groups:
        raise BadInput(
            f"alexnet with {config.groups} groups: they must divide 96, 256 and 384 channels, as 1, 2, 4, 8, 16 and 32"
        )
    if config.grouped not in GROUPED:
        raise BadInput(f"alexnet with grouped {config.grouped!r}: it must be {' or '.join(GROUPED)}")
    if not 0 <= config.dropout < 1:
        raise BadInput(f"alexnet with dropout {config.dropout}: it must be a fraction below 1, such as 0.5")


def _head(config: AlexNet, in_features: int, num_classes: int) -> nn.Sequential:
    head, hidden = nn.Sequential(nn.Flatten()), scaled(HIDDEN, config.width)
    for features in (in_features, hidden):
        head.extend([nn.Linear(features, hidden), nn.ReLU()])
        if config.dropout > 0:
            head.append(nn.Dropout(config.dropout))
    return head.append(nn.Linear(hidden, num_classes))


def _initialise(net: ConvNet, config: AlexNet) -> None:
    """Section 5: normal of std 0.01; bias 1 in conv2, 4, 5 and the hidden fully-connected layers, otherwise 0.

    He's normal and bias 0 with batch norm.
    """
    layers = [module for module in net.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    biases = [*(bias for *_, bias in CONVS), 1.0, 1.0, 0.0]
    for layer, bias in zip(layers, biases, strict=True):
        if config.batch_norm:
            nn.init.kaiming_normal_(layer.weight)
        else:
            nn.init.normal_(layer.weight, std=0.01)
        if layer.bias is not None:
            nn.init.constant_(layer.bias, 0.0 if config.batch_norm else bias)
