"""Inception v4: a stem of branches, and three kinds of modules with a reduction after each of the first two.

Source: Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning (arXiv:1602.07261), figures 3
to 9; sizes and initial values of TF-slim, which also has the side classifier.
"""

from collections import OrderedDict
from dataclasses import dataclass

from torch import nn

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo.blocks import ConvNet, check_width, fit_strides, pool_linear
from sprat.zoo.family import family
from sprat.zoo.inception_module import (
    UNPADDED,
    AuxiliaryNet,
    Conv,
    Pool,
    Step,
    auxiliary_head,
    initialise,
    layer,
    mixed,
    valid,
)

AUXILIARY = "6h"  # its map also goes to the side classifier
AUXILIARY_WEIGHT = 0.4


A = mixed(  # figure 4, at 35x35
    (Conv(96),),
    (Conv(64), Conv(96, 3)),
    (Conv(64), Conv(96, 3), Conv(96, 3)),
    (Pool.AVG, Conv(96)),
)
B = mixed(  # figure 5, at 17x17
    (Conv(384),),
    (Conv(192), Conv(224, (1, 7)), Conv(256, (7, 1))),
    (Conv(192), Conv(192, (7, 1)), Conv(224, (1, 7)), Conv(224, (7, 1)), Conv(256, (1, 7))),
    (Pool.AVG, Conv(128)),
)
FORK = mixed((Conv(256, (1, 3)),), (Conv(256, (3, 1)),))
C = mixed(  # figure 6, at 8x8
    (Conv(256),),
    (Conv(384), FORK),
    (Conv(384), Conv(448, (3, 1)), Conv(512, (1, 3)), FORK),
    (Pool.AVG, Conv(256)),
)
REDUCE_A = mixed(  # figure 7
    (valid(384, 3, 2),),
    (Conv(192), Conv(224, 3), valid(256, 3, 2)),
    (Pool.MAX,),
)
REDUCE_B = mixed(  # figure 8
    (Conv(192), valid(192, 3, 2)),
    (Conv(256), Conv(256, (1, 7)), Conv(320, (7, 1)), valid(320, 3, 2)),
    (Pool.MAX,),
)
STEM_3 = mixed((Pool.MAX,), (valid(96, 3, 2),))
STEM_4 = mixed(
    (Conv(64), valid(96, 3)),
    (Conv(64), Conv(64, (1, 7)), Conv(64, (7, 1)), valid(96, 3)),
)
STEM_5 = mixed((valid(192, 3, 2),), (Pool.MAX,))

# Figures 3 (the stem, to 5a) and 9, with slim's names. Each stage halves the map once, 299 to 149, 73, 35, 17 and 8.
STAGES: tuple[tuple[tuple[str, Step], ...], ...] = (
    (("1a", valid(32, 3, 2)), ("2a", valid(32, 3)), ("2b", Conv(64, 3))),
    (("3a", STEM_3), ("4a", STEM_4)),
    (("5a", STEM_5), ("5b", A), ("5c", A), ("5d", A), ("5e", A)),
    (("6a", REDUCE_A), ("6b", B), ("6c", B), ("6d", B), ("6e", B), ("6f", B), ("6g", B), ("6h", B)),
    (("7a", REDUCE_B), ("7b", C), ("7c", C), ("7d", C)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InceptionV4:
    """Inception v4; the width multiplier is our addition.

    Args:
        auxiliary: a side classifier for training, after 6h.
        dropout: before the classifier.
        width: multiplies every channel count, with 8 as the least.
    """

    auxiliary: bool = False
    dropout: float = 0.2
    width: float = 1.0


PRESETS = {"inception_v4": InceptionV4()}


@family(
    "inception_v4", paper="arXiv:1602.07261", config=InceptionV4, presets=PRESETS, inputs={"inception_v4*": (299, 1000)}
)
def build(config: InceptionV4, image: ImageSpec, num_classes: int) -> nn.Module:
    """Inception v4 with strides fitted to the image.

    Under 128 pixels everything is padded, so that only strides shrink the map (our addition); a max pool whose stride
    becomes 1 runs with it.

    Raises:
        BadInput: a bad width or dropout, or too small an image.
    """
    check_width(config.width, "inception_v4")
    if not 0 <= config.dropout < 1:
        raise BadInput(f"inception_v4: dropout is {config.dropout}; it must be a fraction below 1, such as 0.2")
    strides = fit_strides((2,) * len(STAGES), image, "inception_v4")
    padded = min(image.height, image.width) < UNPADDED
    channels = image.channels
    stages: list[nn.Sequential] = []
    side: dict[str, nn.Module] = {}
    for rows, stride in zip(STAGES, strides, strict=True):
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        for name, step in rows:
            blocks[name], channels = layer(step, channels, stride, padded, config.width)
            if config.auxiliary and name == AUXILIARY:
                side[name] = auxiliary_head(channels, num_classes, padded, config.width)
        stages.append(nn.Sequential(blocks))
    stem, *rest = stages
    head = pool_linear(channels, num_classes, config.dropout)
    net = AuxiliaryNet(stem, rest, head, side, AUXILIARY_WEIGHT) if side else ConvNet(stem, rest, head)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            initialise(module)
    return net
