"""MobileNet v1: depthwise separable convolutions with a width and a resolution multiplier.

Source: MobileNets (arXiv:1704.04861), table 1, sections 3.2 to 3.4; the full and the shallow network of tables 4 and 5.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo.blocks import ConvNet, check_width, conv_bn_act, fit_strides, pool_linear, scaled
from sprat.zoo.family import family

EPS = 1e-3  # of batch norm, as in the released code

# Table 1: stem, then (output channels, stride) of each depthwise separable block. The paper prints stride 2 for the
# last one, yet its input and output are both 7x7 and its count is that of stride 1.
STEM = (32, 2)
BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
)
SHALLOW = (*BLOCKS[:6], *BLOCKS[11:])  # table 5: without the five blocks of 512 channels on a 14x14 map
CONVOLUTIONS = ("separable", "full")
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"relu": nn.ReLU, "relu6": nn.ReLU6}


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNetV1:
    """The resolution multiplier rho is the image size.

    Args:
        width: alpha of section 3.3; every channel count is multiplied by it, with 8 as the least.
        dropout: before the classifier (the released code keeps 0.999).
        convolution: "separable", or "full" for one 3x3 convolution in place of each depthwise separable block (table
            4, "Conv MobileNet").
        shallow: without the five blocks of 512 channels in a row (table 5, "Shallow MobileNet").
        activation: "relu" as in the paper, or "relu6" as in the released code.
    """

    width: float = 1.0
    dropout: float = 0.001
    convolution: str = "separable"
    shallow: bool = False
    activation: str = "relu"


PRESETS = {
    **{f"mobilenet_v1_{width}": MobileNetV1(width=width) for width in (1.0, 0.75, 0.5, 0.375, 0.25, 0.125)},
    "mobilenet_v1_1.0_conv": MobileNetV1(convolution="full"),
    "mobilenet_v1_1.0_shallow": MobileNetV1(shallow=True),
    **{f"mobilenet_v1_{width}_relu6": MobileNetV1(width=width, activation="relu6") for width in (1.0, 0.75, 0.5, 0.25)},
}


def separable(
    in_channels: int, out_channels: int, stride: int, act: Callable[[], nn.Module] = nn.ReLU
) -> nn.Sequential:
    """Depthwise 3x3 then pointwise 1x1, each with BN and ReLU (figure 3, right)."""
    return nn.Sequential(
        conv_bn_act(in_channels, in_channels, 3, stride, groups=in_channels, eps=EPS, act=act),
        conv_bn_act(in_channels, out_channels, 1, eps=EPS, act=act),
    )


@family("mobilenet_v1", paper="arXiv:1704.04861", config=MobileNetV1, presets=PRESETS)
def build(config: MobileNetV1, image: ImageSpec, num_classes: int) -> nn.Module:
    """MobileNet v1 with strides fitted to the image; stages end where the resolution halves.

    Raises:
        BadInput: width, dropout, convolution or activation is out of range, or the image is too small.
    """
    _check(config)
    blocks, act = SHALLOW if config.shallow else BLOCKS, ACTIVATIONS[config.activation]
    strides = fit_strides((STEM[1], *(stride for _, stride in blocks)), image, "mobilenet_v1")
    channels = scaled(STEM[0], config.width)
    stem = conv_bn_act(image.channels, channels, 3, strides[0], eps=EPS, act=act)
    stages: list[nn.Sequential] = []
    for (out, published), stride in zip(blocks, strides[1:], strict=True):
        if published == 2 or not stages:
            stages.append(nn.Sequential())
        out_channels = scaled(out, config.width)
        if config.convolution == "full":
            stages[-1].append(conv_bn_act(channels, out_channels, 3, stride, eps=EPS, act=act))
        else:
            stages[-1].append(separable(channels, out_channels, stride, act))
        channels = out_channels
    net = ConvNet(stem, stages, pool_linear(channels, num_classes, config.dropout))
    _initialise(net)
    return net


def _check(config: MobileNetV1) -> None:
    check_width(config.width, "mobilenet_v1")
    if not 0 <= config.dropout < 1:
        raise BadInput(f"mobilenet_v1 with dropout {config.dropout}: it must be a fraction below 1, such as 0.001")
    if config.convolution not in CONVOLUTIONS:
        raise BadInput(f"mobilenet_v1 with convolution {config.convolution!r}: it must be {' or '.join(CONVOLUTIONS)}")
    if config.activation not in ACTIVATIONS:
        raise BadInput(f"mobilenet_v1 with activation {config.activation!r}: it must be {' or '.join(ACTIVATIONS)}")


def _initialise(net: nn.Module) -> None:
    """Truncated normal of standard deviation 0.09, as in the released code."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.09, a=-0.18, b=0.18)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
