"""Inception v2 (BN-Inception) as in TF-slim: batch norm, and two 3x3 convolutions in place of each 5x5.

Source: Batch Normalization (arXiv:1502.03167), section 4.2 and appendix; sizes and initial values of
TF-slim, whose first convolution is separable. The Inception v2 of arXiv:1512.00567 is a different network.
"""

from collections import OrderedDict
from dataclasses import dataclass

from torch import nn

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo.blocks import ConvNet, check_width, conv_bn_act, fit_strides, pool_linear, scaled
from sprat.zoo.family import family
from sprat.zoo.inception_module import EPS, Concat, initialise

# Standard deviations of slim's initial weights: separable stem, 2b and pool projections, 1x1 that reduce; the others
# by fan-in.
STEM_STD, POOL_STD, REDUCE_STD = 1.0, 0.1, 0.09
STEMS = ("separable", "plain")
Row = tuple[str, int, tuple[int, int], tuple[int, int], str, int]

# Name, 1x1, (reduce, 3x3), (reduce, 3x3 twice), pool and its projection. The modules of 0 filters in the first and last
# column, 4a and 5a, have stride 2 in their last convolutions and their pool.
STEM = 64  # 7x7, stride 2
DEPTH_MULTIPLIER = 8  # of the separable stem, each input channel to at most so many
CONV2 = (64, 192)  # max pool, then 1x1 and 3x3
STAGES: tuple[tuple[Row, ...], ...] = (
    (  # begins with a max pool
        ("3b", 64, (64, 64), (64, 96), "avg", 32),
        ("3c", 64, (64, 96), (64, 96), "avg", 64),
    ),
    (
        ("4a", 0, (128, 160), (64, 96), "max", 0),
        ("4b", 224, (64, 96), (96, 128), "avg", 128),
        ("4c", 192, (96, 128), (96, 128), "avg", 128),
        ("4d", 160, (128, 160), (128, 160), "avg", 96),
        ("4e", 96, (128, 192), (160, 192), "avg", 96),
    ),
    (
        ("5a", 0, (128, 192), (192, 256), "max", 0),
        ("5b", 352, (192, 320), (160, 224), "avg", 128),
        ("5c", 352, (192, 320), (192, 224), "max", 128),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InceptionV2:
    """BN-Inception; the width multiplier is our addition.

    Args:
        stem: "separable" (7x7 depthwise then 1x1, one batch norm after both, as in slim) or "plain" (7x7, the paper).
        dropout: before the classifier.
        width: multiplies every channel count, with 8 as the least.
    """

    stem: str = "separable"
    dropout: float = 0.2
    width: float = 1.0


PRESETS = {"inception_v2": InceptionV2(), "inception_v2_plain": InceptionV2(stem="plain")}


def conv(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, *, std: float | None = None
) -> nn.Sequential:
    """ReLU(BN(conv(x))), with weights of standard deviation `std`, by fan-in where None (see `initialise`)."""
    block = conv_bn_act(in_channels, out_channels, kernel, stride, eps=EPS)
    initialise(block[0], std)
    return block


def separable_stem(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """7x7 depthwise to `DEPTH_MULTIPLIER` channels each (fewer where that is more than out_channels), 1x1, BN, ReLU."""
    middle = in_channels * max(1, min(DEPTH_MULTIPLIER, out_channels // in_channels))
    depthwise = nn.Conv2d(in_channels, middle, 7, stride, 3, groups=in_channels, bias=False)
    initialise(depthwise, STEM_STD)
    return nn.Sequential(depthwise, conv(middle, out_channels, 1, std=STEM_STD))


def inception(in_channels: int, row: Row, width: float) -> tuple[Concat, int]:
    """A module that keeps the size, and its output channels: 1x1 | 3x3 | 3x3 twice | pool and projection."""
    _, one, threes, doubles, pool, projection = row
    c1, r3, c3, rd, cd, p = (scaled(channels, width) for channels in (one, *threes, *doubles, projection))
    branches = (
        conv(in_channels, c1, 1),
        nn.Sequential(conv(in_channels, r3, 1, std=REDUCE_STD), conv(r3, c3, 3)),
        nn.Sequential(conv(in_channels, rd, 1, std=REDUCE_STD), conv(rd, cd, 3), conv(cd, cd, 3)),
        nn.Sequential(
            nn.AvgPool2d(3, 1, 1, count_include_pad=False) if pool == "avg" else nn.MaxPool2d(3, 1, 1),
            conv(in_channels, p, 1, std=POOL_STD),
        ),
    )
    return Concat(branches), c1 + c3 + cd + p


def reduction(in_channels: int, row: Row, stride: int, width: float) -> tuple[Concat, int]:
    """A module that halves the size where stride is 2, and its output channels: 3x3 | 3x3 twice | max pool."""
    _, _, threes, doubles, _, _ = row
    r3, c3, rd, cd = (scaled(channels, width) for channels in (*threes, *doubles))
    branches = (
        nn.Sequential(conv(in_channels, r3, 1, std=REDUCE_STD), conv(r3, c3, 3, stride)),
        nn.Sequential(conv(in_channels, rd, 1, std=REDUCE_STD), conv(rd, cd, 3), conv(cd, cd, 3, stride)),
        nn.MaxPool2d(3, stride, 1),
    )
    return Concat(branches), c3 + cd + in_channels


@family("inception_v2", paper="arXiv:1502.03167", config=InceptionV2, presets=PRESETS)
def build(config: InceptionV2, image: ImageSpec, num_classes: int) -> nn.Module:
    """Inception v2 with strides fitted to the image; a max pool whose stride becomes 1 is left out.

    Every map has the size ceil(H / stride) by ceil(W / stride).

    Raises:
        BadInput: an unknown stem, a bad width or dropout, or too small an image.
    """
    check_width(config.width, "inception_v2")
    if config.stem not in STEMS:
        raise BadInput(f"inception_v2: stem is {config.stem!r}; it must be {' or '.join(STEMS)}")
    if not 0 <= config.dropout < 1:
        raise BadInput(f"inception_v2: dropout is {config.dropout}; it must be a fraction below 1, such as 0.2")
    first, second, *strides = fit_strides((2,) * (2 + len(STAGES)), image, "inception_v2")
    channels, reduced, expanded = (scaled(value, config.width) for value in (STEM, *CONV2))
    separable = config.stem == "separable"
    stem = separable_stem(image.channels, channels, first) if separable else conv(image.channels, channels, 7, first)
    conv2 = [("2b", conv(channels, reduced, 1, std=POOL_STD)), ("2c", conv(reduced, expanded, 3))]
    channels = expanded
    stages = [nn.Sequential(OrderedDict([*_pool(2, second), *conv2]))]
    for number, (rows, stride) in enumerate(zip(STAGES, strides, strict=True), start=3):
        blocks = [] if rows[0][1] == 0 else _pool(number, stride)
        for row in rows:
            if row[1] == 0:
                module, channels = reduction(channels, row, stride, config.width)
            else:
                module, channels = inception(channels, row, config.width)
            blocks.append((row[0], module))
        stages.append(nn.Sequential(OrderedDict(blocks)))
    head = pool_linear(channels, num_classes, config.dropout)
    initialise(head[-1])
    return ConvNet(stem, stages, head)


def _pool(number: int, stride: int) -> list[tuple[str, nn.Module]]:
    """The max pool that begins stage `number`, or nothing where it would not halve."""
    return [(f"pool{number}", nn.MaxPool2d(3, 2, 1))] if stride == 2 else []
