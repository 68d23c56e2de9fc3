"""Inception-ResNet-v2 as in TF-slim: modules whose scaled outputs are added to their input.

Source: Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning (arXiv:1602.07261), figures 16
to 20 and section 3.3; sizes and repeats of TF-slim's released network, which has more blocks than the paper's figure.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor, nn

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo.blocks import ConvNet, check_width, fit_strides, pool_linear
from sprat.zoo.family import family
from sprat.zoo.inception_module import UNPADDED, Conv, Mixed, Pool, Step, layer, mixed, valid


@dataclass(frozen=True, slots=True)
class Residual:
    """x + scale * up(branches(x)), then ReLU where `relu`; up is a 1x1 convolution with bias and without BN."""

    branches: Mixed
    scale: float
    relu: bool = True


Row: TypeAlias = tuple[str, Step | Residual, int]

STEM_5B = mixed(
    (Conv(96),),
    (Conv(48), Conv(64, 5)),
    (Conv(64), Conv(96, 3), Conv(96, 3)),
    (Pool.AVG, Conv(64)),
)
BLOCK35 = mixed(  # figure 16
    (Conv(32),),
    (Conv(32), Conv(32, 3)),
    (Conv(32), Conv(48, 3), Conv(64, 3)),
)
BLOCK17 = mixed(  # figure 17
    (Conv(192),),
    (Conv(128), Conv(160, (1, 7)), Conv(192, (7, 1))),
)
BLOCK8 = mixed(  # figure 19
    (Conv(192),),
    (Conv(192), Conv(224, (1, 3)), Conv(256, (3, 1))),
)
REDUCE_6 = mixed(  # figure 7
    (valid(384, 3, 2),),
    (Conv(256), Conv(256, 3), valid(384, 3, 2)),
    (Pool.MAX,),
)
REDUCE_7 = mixed(  # figure 18
    (Conv(256), valid(384, 3, 2)),
    (Conv(256), valid(288, 3, 2)),
    (Conv(256), Conv(288, 3), valid(320, 3, 2)),
    (Pool.MAX,),
)

# Slim's names, steps and repeats; the paper's figure 15 has the stem of Inception v4 and 5, 10 and 5 blocks. Each stage
# halves the map once, 299 to 149, 73, 35, 17 and 8.
STAGES: tuple[tuple[Row, ...], ...] = (
    (("1a", valid(32, 3, 2), 1), ("2a", valid(32, 3), 1), ("2b", Conv(64, 3), 1)),
    (("3a", Pool.MAX, 1), ("3b", Conv(80), 1), ("4a", valid(192, 3), 1)),
    (("5a", Pool.MAX, 1), ("5b", STEM_5B, 1), ("block35", Residual(BLOCK35, 0.17), 10)),
    (("6a", REDUCE_6, 1), ("block17", Residual(BLOCK17, 0.10), 20)),
    (
        ("7a", REDUCE_7, 1),
        ("block8", Residual(BLOCK8, 0.20), 9),
        ("block8_last", Residual(BLOCK8, 1.0, relu=False), 1),
        ("7b", Conv(1536), 1),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InceptionResNetV2:
    """Inception-ResNet-v2; the width multiplier is our addition.

    Args:
        dropout: before the classifier.
        width: multiplies every channel count, with 8 as the least.
    """

    dropout: float = 0.2
    width: float = 1.0


PRESETS = {"inception_resnet_v2": InceptionResNetV2()}


class ScaledResidual(nn.Module):
    """act(x + scale * up(branches(x))), figure 20: (N, C, H, W) to the same."""

    def __init__(self, branches: nn.Module, up: nn.Module, scale: float, relu: bool) -> None:
        super().__init__()
        self.branches = branches
        self.up = up
        self.scale = scale
        self.act = nn.ReLU() if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """The sum after its activation."""
        total: Tensor = self.act(x + self.scale * self.up(self.branches(x)))
        return total


def residual(step: Residual, channels: int, stride: int, padded: bool, width: float) -> ScaledResidual:
    """A residual step of the table on a map of so many channels; the other arguments are those of `layer`."""
    branches, total = layer(step.branches, channels, stride, padded, width)
    return ScaledResidual(branches, nn.Conv2d(total, channels, 1), step.scale, step.relu)


@family(
    "inception_resnet_v2",
    paper="arXiv:1602.07261",
    config=InceptionResNetV2,
    presets=PRESETS,
    inputs={"inception_resnet_v2*": (299, 1000)},
)
def build(config: InceptionResNetV2, image: ImageSpec, num_classes: int) -> nn.Module:
    """Inception-ResNet-v2 with strides fitted to the image.

    Under 128 pixels everything is padded, so that only strides shrink the map (our addition); a max pool whose stride
    becomes 1 is left out, and in a module it runs with stride 1.

    Raises:
        BadInput: a bad width or dropout, or too small an image.
    """
    check_width(config.width, "inception_resnet_v2")
    if not 0 <= config.dropout < 1:
        raise BadInput(f"inception_resnet_v2: dropout is {config.dropout}; it must be a fraction below 1, such as 0.2")
    strides = fit_strides((2,) * len(STAGES), image, "inception_resnet_v2")
    padded = min(image.height, image.width) < UNPADDED
    channels = image.channels
    stages: list[nn.Sequential] = []
    for rows, stride in zip(STAGES, strides, strict=True):
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        for name, step, repeats in rows:
            if step is Pool.MAX and stride == 1:
                continue
            for number in range(1, repeats + 1):
                key = name if repeats == 1 else f"{name}_{number}"
                if isinstance(step, Residual):
                    blocks[key] = residual(step, channels, stride, padded, config.width)
                else:
                    blocks[key], channels = layer(step, channels, stride, padded, config.width)
        stages.append(nn.Sequential(blocks))
    stem, *rest = stages
    net = ConvNet(stem, rest, pool_linear(channels, num_classes, config.dropout))
    _initialise(net)
    return net


def _initialise(net: nn.Module) -> None:
    """As slim, whose default is Glorot's uniform; biases 0."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
