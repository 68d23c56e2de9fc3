"""Xception: depthwise separable convolutions without anything in between, and residual connections around them.

Source: Xception (arXiv:1610.02357), figure 5, sections 3 and 4.7; details from the author's Keras network.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo.blocks import ConvNet, check_width, conv_bn, conv_bn_act, fit_strides, scaled
from sprat.zoo.family import family

EPS = 1e-3  # of batch norm, as in the Keras network

# Figure 5. Module 1: channels of two 3x3 convolutions, the first of stride 2. Modules 2 to 13: output channels of their
# separable convolutions, and the stride of the max pool at their end. Module 14: two separable convolutions.
FIRST = (32, 64)
MODULES = (
    ((128, 128), 2),
    ((256, 256), 2),
    ((728, 728), 2),
    *[((728, 728, 728), 1)] * 8,
    ((728, 1024), 2),
)
LAST = (1536, 2048)
HIDDEN = 4096  # units of each optional fully-connected layer
ACTIVATIONS = {"none": None, "relu": nn.ReLU, "elu": nn.ELU}
UNPADDED = 128  # pixels from which the convolutions of module 1 have no padding, as published


@dataclass(frozen=True, slots=True, kw_only=True)
class Xception:
    """Xception by default; the other activations are those of figure 10.

    Args:
        activation: between depthwise and pointwise convolution: "none", "relu" or "elu".
        fc_layers: fully-connected layers of 4,096 units and ReLU before the classifier; 2 in the paper's variant for
            JFT.
        dropout: before the classifier; 0.5 on ImageNet, 0 on JFT.
        width: multiplies every channel count and the 4,096 units; our addition.
    """

    activation: str = "none"
    fc_layers: int = 0
    dropout: float = 0.5
    width: float = 1.0


PRESETS = {
    "xception": Xception(),
    "xception_relu": Xception(activation="relu"),
    "xception_elu": Xception(activation="elu"),
    "xception_fc": Xception(fc_layers=2, dropout=0.0),
    **{f"xception_{width}": Xception(width=width) for width in (0.75, 0.5, 0.375, 0.25, 0.125)},
}


def separable(in_channels: int, out_channels: int, activation: str) -> nn.Sequential:
    """BN(pointwise(act(depthwise 3x3(x)))), no biases: (N, in, H, W) to (N, out, H, W)."""
    layers: list[nn.Module] = [nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False)]
    between = ACTIVATIONS[activation]
    if between is not None:
        layers.append(between())
    return nn.Sequential(*layers, conv_bn(in_channels, out_channels, 1, eps=EPS))


class Module(nn.Module):
    """shortcut(x) + branch(x), modules 2 to 13 of figure 5; the shortcut takes x before the branch's ReLU.

    (N, in, H, W) to (N, out[-1], ceil(H / stride), ceil(W / stride)). The shortcut is a 1x1 convolution with BN where
    size or channels change. A max pool of stride 1, as small images have, is left out.

    Args:
        in_channels: of x.
        out: output channels of each separable convolution.
        stride: of the 3x3 max pool at the end, and of the shortcut.
        activation: as in the config.
        leading: a ReLU before the first separable convolution; module 2 has none.
    """

    def __init__(self, in_channels: int, out: tuple[int, ...], stride: int, activation: str, leading: bool) -> None:
        super().__init__()
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out[-1] or stride == 2:
            self.shortcut = conv_bn(in_channels, out[-1], 1, stride, eps=EPS)
        self.branch = nn.Sequential()
        for before, after in zip((in_channels, *out), out, strict=False):
            if leading or len(self.branch):
                self.branch.append(nn.ReLU())
            self.branch.append(separable(before, after, activation))
        if stride == 2:
            self.branch.append(nn.MaxPool2d(3, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        """The sum, without ReLU."""
        total: Tensor = self.shortcut(x) + self.branch(x)
        return total


@family("xception", paper="arXiv:1610.02357", config=Xception, presets=PRESETS, inputs={"xception*": (299, 1000)})
def build(config: Xception, image: ImageSpec, num_classes: int) -> nn.Module:
    """Xception with strides fitted to the image; a max pool whose stride becomes 1 is left out.

    The sizes are those of the Keras network, 299 to 149, 147, 74, 37, 19 and 10. Its "same" max pools pad maps of even
    size at the end only; ours pad both ends, which gives the same sizes. Images under 128 pixels get padded
    convolutions in module 1 (our addition). Stages begin where the resolution halves.

    Raises:
        BadInput: an unknown activation, or fc_layers, width, dropout or an image out of range.
    """
    _check(config)
    stride, *pools = fit_strides((2, *(stride for _, stride in MODULES)), image, "xception")
    padding = None if min(image.height, image.width) < UNPADDED else 0
    first, channels = (scaled(out, config.width) for out in FIRST)
    stem = nn.Sequential(
        conv_bn_act(image.channels, first, 3, stride, padding=padding, eps=EPS),
        conv_bn_act(first, channels, 3, padding=padding, eps=EPS),
    )
    stages: list[nn.Sequential] = []
    for (published, published_stride), pool in zip(MODULES, pools, strict=True):
        out = tuple(scaled(channel, config.width) for channel in published)
        module = Module(channels, out, pool, config.activation, leading=bool(stages))
        if published_stride == 2:
            stages.append(nn.Sequential())
        stages[-1].append(module)
        channels = out[-1]
    for published_channels in LAST:
        out_channels = scaled(published_channels, config.width)
        stages[-1].extend([separable(channels, out_channels, config.activation), nn.ReLU()])
        channels = out_channels
    net = ConvNet(stem, stages, _head(config, channels, num_classes))
    _initialise(net)
    return net


def _check(config: Xception) -> None:
    check_width(config.width, "xception")
    if config.activation not in ACTIVATIONS:
        raise BadInput(f"xception with activation {config.activation!r}: it must be {' or '.join(ACTIVATIONS)}")
    if config.fc_layers < 0:
        raise BadInput(f"xception with {config.fc_layers} fc_layers: it must be 0 or more, 2 in the paper's variant")
    if not 0 <= config.dropout < 1:
        raise BadInput(f"xception with dropout {config.dropout}: it must be a fraction below 1, such as 0.5")


def _head(config: Xception, features: int, num_classes: int) -> nn.Sequential:
    head, hidden = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), scaled(HIDDEN, config.width)
    for _ in range(config.fc_layers):
        head.extend([nn.Linear(features, hidden), nn.ReLU()])
        features = hidden
    if config.dropout > 0:
        head.append(nn.Dropout(config.dropout))
    return head.append(nn.Linear(features, num_classes))


def _initialise(net: ConvNet) -> None:
    """Glorot's uniform, bias 0: what Keras does by default."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
