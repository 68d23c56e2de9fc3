"""Inception v3: 5x5 and 7x7 convolutions factorised into smaller and into one-sided ones, side classifier for training.

Source: Rethinking the Inception Architecture (arXiv:1512.00567), table 1, figures 5 to 7 and 10, sections 4 and 6;
sizes and initial values of TF-slim.
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
    Mixed,
    Pool,
    Step,
    auxiliary_head,
    initialise,
    layer,
    mixed,
    valid,
)

AUXILIARY = "6e"  # its map also goes to the side classifier
AUXILIARY_WEIGHT = 0.4


def mixed_5(pool: int) -> Mixed:
    """Figure 5 at 35x35, with a 5x5 for its single 3x3, as in slim."""
    return mixed(
        (Conv(64),),
        (Conv(48), Conv(64, 5)),
        (Conv(64), Conv(96, 3), Conv(96, 3)),
        (Pool.AVG, Conv(pool)),
    )


def mixed_6(c: int) -> Mixed:
    """Figure 6 with n = 7, at 17x17."""
    return mixed(
        (Conv(192),),
        (Conv(c), Conv(c, (1, 7)), Conv(192, (7, 1))),
        (Conv(c), Conv(c, (7, 1)), Conv(c, (1, 7)), Conv(c, (7, 1)), Conv(192, (1, 7))),
        (Pool.AVG, Conv(192)),
    )


REDUCE_6 = mixed(  # figure 10
    (valid(384, 3, 2),),
    (Conv(64), Conv(96, 3), valid(96, 3, 2)),
    (Pool.MAX,),
)
REDUCE_7 = mixed(
    (Conv(192), valid(320, 3, 2)),
    (Conv(192), Conv(192, (1, 7)), Conv(192, (7, 1)), valid(192, 3, 2)),
    (Pool.MAX,),
)
FORK = mixed((Conv(384, (1, 3)),), (Conv(384, (3, 1)),))
MIXED_7 = mixed(  # figure 7, at 8x8
    (Conv(320),),
    (Conv(384), FORK),
    (Conv(448), Conv(384, 3), FORK),
    (Pool.AVG, Conv(192)),
)

# Table 1 with slim's names. Each stage halves the map once, 299 to 149, 73, 35, 17 and 8.
STAGES: tuple[tuple[tuple[str, Step], ...], ...] = (
    (("1a", valid(32, 3, 2)), ("2a", valid(32, 3)), ("2b", Conv(64, 3))),
    (("3a", Pool.MAX), ("3b", Conv(80)), ("4a", valid(192, 3))),
    (("5a", Pool.MAX), ("5b", mixed_5(32)), ("5c", mixed_5(64)), ("5d", mixed_5(64))),
    (("6a", REDUCE_6), ("6b", mixed_6(128)), ("6c", mixed_6(160)), ("6d", mixed_6(160)), ("6e", mixed_6(192))),
    (("7a", REDUCE_7), ("7b", MIXED_7), ("7c", MIXED_7)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InceptionV3:
    """Inception v3; the width multiplier is our addition.

    Args:
        auxiliary: a side classifier for training, after 6e.
        dropout: before the classifier.
        width: multiplies every channel count, with 8 as the least.
    """

    auxiliary: bool = False
    dropout: float = 0.2
    width: float = 1.0


PRESETS = {"inception_v3": InceptionV3()}


@family(
    "inception_v3", paper="arXiv:1512.00567", config=InceptionV3, presets=PRESETS, inputs={"inception_v3*": (299, 1000)}
)
def build(config: InceptionV3, image: ImageSpec, num_classes: int) -> nn.Module:
    """Inception v3 with strides fitted to the image.

    Under 128 pixels everything is padded, so that only strides shrink the map (our addition); a max pool whose stride
    becomes 1 is left out, and in a module it runs with stride 1.

    Raises:
        BadInput: a bad width or dropout, or too small an image.
    """
    check_width(config.width, "inception_v3")
    if not 0 <= config.dropout < 1:
        raise BadInput(f"inception_v3: dropout is {config.dropout}; it must be a fraction below 1, such as 0.2")
    strides = fit_strides((2,) * len(STAGES), image, "inception_v3")
    padded = min(image.height, image.width) < UNPADDED
    channels = image.channels
    stages: list[nn.Sequential] = []
    side: dict[str, nn.Module] = {}
    for rows, stride in zip(STAGES, strides, strict=True):
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        for name, step in rows:
            if step is Pool.MAX and stride == 1:
                continue
            blocks[name], channels = layer(step, channels, stride, padded, config.width)
            if config.auxiliary and name == AUXILIARY:
                side[name] = auxiliary_head(channels, num_classes, padded, config.width)
        stages.append(nn.Sequential(blocks))
    stem, *rest = stages
    head = pool_linear(channels, num_classes, config.dropout)
    net = AuxiliaryNet(stem, rest, head, side, AUXILIARY_WEIGHT) if side else ConvNet(stem, rest, head)
    _initialise(net)
    return net


def _initialise(net: nn.Module) -> None:
    """As slim: by fan-in, but of standard deviation 0.01 and 0.001 in the last two layers of the side classifier."""
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            std = None
            if name.startswith("auxiliary.") and isinstance(module, nn.Linear):
                std = 0.001
            elif name.startswith("auxiliary.") and module.weight.shape[-1] == 5:
                std = 0.01
            initialise(module, std)
