"""MobileNet v1: depthwise separable convolutions with a width and a resolution multiplier.

Source: MobileNets (arXiv:1704.04861), table 1, sections 3.2 to 3.4.
"""

from dataclasses import dataclass

from torch import nn

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


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNetV1:
    """The resolution multiplier rho is the image size.

    Args:
        width: alpha of section 3.3; every channel count is multiplied by it, with 8 as the least.
        dropout: before the classifier (the released code keeps 0.999).
    """

    width: float = 1.0
    dropout: float = 0.001


PRESETS = {f"mobilenet_v1_{width}": MobileNetV1(width=width) for width in (1.0, 0.75, 0.5, 0.375, 0.25, 0.125)}


def separable(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """Depthwise 3x3 then pointwise 1x1, each with BN and ReLU (figure 3, right)."""
    return nn.Sequential(
        conv_bn_act(in_channels, in_channels, 3, stride, groups=in_channels, eps=EPS),
        conv_bn_act(in_channels, out_channels, 1, eps=EPS),
    )


@family("mobilenet_v1", paper="arXiv:1704.04861", config=MobileNetV1, presets=PRESETS)
def build(config: MobileNetV1, image: ImageSpec, num_classes: int) -> nn.Module:
    """MobileNet v1 with strides fitted to the image; stages end where the resolution halves.

    Raises:
        BadInput: width is not positive, or the image is too small.
    """
    check_width(config.width, "mobilenet_v1")
    strides = fit_strides((STEM[1], *(stride for _, stride in BLOCKS)), image, "mobilenet_v1")
    channels = scaled(STEM[0], config.width)
    stem = conv_bn_act(image.channels, channels, 3, strides[0], eps=EPS)
    stages: list[nn.Sequential] = []
    for (out, published), stride in zip(BLOCKS, strides[1:], strict=True):
        if published == 2 or not stages:
            stages.append(nn.Sequential())
        out_channels = scaled(out, config.width)
        stages[-1].append(separable(channels, out_channels, stride))
        channels = out_channels
    net = ConvNet(stem, stages, pool_linear(channels, num_classes, config.dropout))
    _initialise(net)
    return net


def _initialise(net: nn.Module) -> None:
    """Truncated normal of standard deviation 0.09, as in the released code."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.09, a=-0.18, b=0.18)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
