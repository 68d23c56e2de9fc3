"""MobileNet v2: inverted residuals between linear bottlenecks.

Source: MobileNetV2 (arXiv:1801.04381), table 2 and figure 4d; channel counts, batch norm and dropout of the released
code (tensorflow/models, research/slim/nets/mobilenet).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo.blocks import ConvNet, check_width, conv_bn, conv_bn_act, fit_strides, pool_linear
from sprat.zoo.family import family

EPS = 1e-3  # of batch norm, as in the released code

# Table 2: stem (channels, stride); then (expansion t, output channels c, repeats n, stride s of the first); then the
# channels of the last 1x1 convolution.
STEM = (32, 2)
BOTTLENECKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
LAST = 1280


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNetV2:
    """The resolution multiplier is the image size.

    Args:
        width: every channel count is multiplied by it and rounded to a multiple of 8, but the 1,280 of the last
            convolution where it is below 1 (section 6.1).
        dropout: before the classifier (the released code keeps 0.8).
    """

    width: float = 1.0
    dropout: float = 0.2


PRESETS = {f"mobilenet_v2_{width}": MobileNetV2(width=width) for width in (1.4, 1.0, 0.75, 0.5, 0.35)}


def multiple_of_8(channels: float) -> int:
    """The multiple of 8 nearest to `channels`, at least 8, and one more where that would take over a tenth away."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


class InvertedResidual(nn.Module):
    """x + project(depthwise(expand(x))): (N, in, H, W) to (N, out, ceil(H / stride), ...); figure 4d.

    Expansion by 1x1 and depthwise 3x3 with BN and ReLU6, projection by 1x1 with BN alone. Expansion 1 has no 1x1 before
    the depthwise one; x is added where the result has its shape.

    Args:
        in_channels: of x.
        out_channels: of the result.
        stride: of the depthwise convolution.
        expansion: t, channels inside over channels of x.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        mid = in_channels * expansion
        self.branch = nn.Sequential()
        if expansion != 1:
            self.branch.append(conv_bn_act(in_channels, mid, 1, eps=EPS, act=nn.ReLU6))
        self.branch.append(conv_bn_act(mid, mid, 3, stride, groups=mid, eps=EPS, act=nn.ReLU6))
        self.branch.append(conv_bn(mid, out_channels, 1, eps=EPS))
        self.adds = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """The block's output."""
        out: Tensor = self.branch(x)
        return x + out if self.adds else out

    def extra_repr(self) -> str:
        """Whether x is added, for print(net)."""
        return f"adds={self.adds}"


@family("mobilenet_v2", paper="arXiv:1801.04381", config=MobileNetV2, presets=PRESETS)
def build(config: MobileNetV2, image: ImageSpec, num_classes: int) -> nn.Module:
    """MobileNet v2 with strides fitted to the image; stages end where the resolution halves.

    The last 1x1 convolution belongs to the last stage.

    Raises:
        BadInput: width or dropout is out of range, or the image is too small.
    """
    check_width(config.width, "mobilenet_v2")
    if not 0 <= config.dropout < 1:
        raise BadInput(f"mobilenet_v2 with dropout {config.dropout}: it must be a fraction below 1, such as 0.2")
    blocks = list(_blocks())
    strides = fit_strides((STEM[1], *(stride for _, _, stride in blocks)), image, "mobilenet_v2")
    channels = multiple_of_8(STEM[0] * config.width)
    stem = conv_bn_act(image.channels, channels, 3, strides[0], eps=EPS, act=nn.ReLU6)
    stages: list[nn.Sequential] = []
    for (expansion, out, published), stride in zip(blocks, strides[1:], strict=True):
        if published == 2 or not stages:
            stages.append(nn.Sequential())
        out_channels = multiple_of_8(out * config.width)
        stages[-1].append(InvertedResidual(channels, out_channels, stride, expansion))
        channels = out_channels
    last = multiple_of_8(LAST * max(config.width, 1.0))
    stages[-1].append(conv_bn_act(channels, last, 1, eps=EPS, act=nn.ReLU6))
    net = ConvNet(stem, stages, pool_linear(last, num_classes, config.dropout))
    _initialise(net)
    return net


def _blocks() -> Iterator[tuple[int, int, int]]:
    """(expansion, output channels, published stride) of each block of table 2."""
    for expansion, channels, repeats, first in BOTTLENECKS:
        for stride in (first, *(1 for _ in range(repeats - 1))):
            yield expansion, channels, stride


def _initialise(net: nn.Module) -> None:
    """Truncated normal of standard deviation 0.09, as in the released code."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.09, a=-0.18, b=0.18)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
