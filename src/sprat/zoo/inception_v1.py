"""Inception v1 (GoogLeNet): modules of four branches, 1x1, 3x3, 5x5 and max pool, each narrowed by a 1x1 convolution.

Source: Going Deeper with Convolutions (arXiv:1409.4842), table 1, figure 2b, sections 5 and 6. Variant "paper" is the
paper's network with the initial values and the local response normalisation of Caffe's released one; "slim" is
TF-slim's, with batch norm and 3x3 convolutions in the "5x5" branch.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from torch import nn

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo.blocks import ConvNet, check_width, conv_bn_act, fit_strides, pool_linear, scaled
from sprat.zoo.family import family
from sprat.zoo.inception_module import EPS, AuxiliaryNet, Concat, initialise

Conv = Callable[..., nn.Sequential]  # (in_channels, out_channels, kernel, stride)
Row = tuple[str, int, tuple[int, int], tuple[int, int], int]

# Table 1: name, 1x1, (3x3 reduce, 3x3), (5x5 reduce, 5x5), pool projection. A stage begins with a max pool of stride 2.
STEM = 64  # 7x7, stride 2
CONV2 = (64, 192)  # max pool, then 1x1 and 3x3
STAGES: tuple[tuple[Row, ...], ...] = (
    (
        ("3b", 64, (96, 128), (16, 32), 32),
        ("3c", 128, (128, 192), (32, 96), 64),
    ),
    (
        ("4b", 192, (96, 208), (16, 48), 64),
        ("4c", 160, (112, 224), (24, 64), 64),
        ("4d", 128, (128, 256), (24, 64), 64),
        ("4e", 112, (144, 288), (32, 64), 64),
        ("4f", 256, (160, 320), (32, 128), 128),
    ),
    (
        ("5b", 256, (160, 320), (32, 128), 128),
        ("5c", 384, (192, 384), (48, 128), 128),
    ),
)
AUXILIARY = ("4b", "4e")  # modules with a side classifier: average pool 5x5/3, 1x1, two fully-connected layers
AUXILIARY_CHANNELS = (128, 1024)
AUXILIARY_DROPOUT = 0.7
AUXILIARY_WEIGHT = 0.3
FULL = 128  # pixels from which the side classifiers pool, as published
VARIANTS = ("slim", "paper")


@dataclass(frozen=True, slots=True, kw_only=True)
class InceptionV1:
    """GoogLeNet; the width multiplier is our addition.

    Args:
        variant: "slim" (batch norm, 3x3 in the "5x5" branch, last max pool 2x2) or "paper" (5x5, biases, local response
            normalisation around conv2, last max pool 3x3).
        auxiliary: two side classifiers for training, after 4b and 4e; of the paper's variant only.
        dropout: before the classifier: 0.2 in slim, 0.4 in the paper.
        width: multiplies every channel count, with 8 as the least.
    """

    variant: str = "slim"
    auxiliary: bool = False
    dropout: float = 0.2
    width: float = 1.0


PRESETS = {"inception_v1": InceptionV1(), "inception_v1_paper": InceptionV1(variant="paper", dropout=0.4)}


def conv_relu(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """ReLU(conv(x)) with bias, as in the paper."""
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2), nn.ReLU())


def response_norm() -> nn.LocalResponseNorm:
    """Normalisation over 5 neighbouring channels, with the released network's values."""
    return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)


def inception(in_channels: int, row: Row, conv: Conv, five: int, width: float) -> tuple[Concat, int]:
    """The module of figure 2b and its output channels.

    Args:
        in_channels: of its input.
        row: of table 1.
        conv: makes a convolution with its activation.
        five: kernel of the "5x5" branch.
        width: multiplies the row.
    """
    _, one, threes, fives, pool = row
    c1, r3, c3, r5, c5, p = (scaled(channels, width) for channels in (one, *threes, *fives, pool))
    branches = (
        conv(in_channels, c1, 1),
        nn.Sequential(conv(in_channels, r3, 1), conv(r3, c3, 3)),
        nn.Sequential(conv(in_channels, r5, 1), conv(r5, c5, five)),
        nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(in_channels, p, 1)),
    )
    return Concat(branches), c1 + c3 + c5 + p


def auxiliary_head(in_channels: int, num_classes: int, width: float, pooled: bool) -> nn.Sequential:
    """Average pool 5x5/3, 1x1, fully-connected layer, dropout, classifier (section 5).

    A 14x14 map is pooled to 4x4; maps that are not of that size after the pool are resized to it by averaging.
    """
    channels, hidden = (scaled(value, width) for value in AUXILIARY_CHANNELS)
    return nn.Sequential(
        nn.AvgPool2d(5, 3) if pooled else nn.Identity(),
        conv_relu(in_channels, channels, 1),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(channels * 16, hidden),
        nn.ReLU(),
        nn.Dropout(AUXILIARY_DROPOUT),
        nn.Linear(hidden, num_classes),
    )


@family("inception_v1", paper="arXiv:1409.4842", config=InceptionV1, presets=PRESETS)
def build(config: InceptionV1, image: ImageSpec, num_classes: int) -> nn.Module:
    """Inception v1 with strides fitted to the image; a max pool whose stride becomes 1 is left out.

    Max pools round their size up, which is Caffe's rule and, on even maps, that of slim's "same" padding.

    Raises:
        BadInput: an unknown variant, side classifiers on slim's, a bad width or dropout, or too small an image.
    """
    _check(config)
    paper = config.variant == "paper"
    conv: Conv = conv_relu if paper else partial(conv_bn_act, eps=EPS)
    first, *pools = fit_strides((2,) * (2 + len(STAGES)), image, "inception_v1")
    channels, reduced, expanded = (scaled(value, config.width) for value in (STEM, *CONV2))
    stem = conv(image.channels, channels, 7, first)
    conv2: list[tuple[str, nn.Module]] = [("2b", conv(channels, reduced, 1)), ("2c", conv(reduced, expanded, 3))]
    if paper:
        conv2 = [("norm1", response_norm()), *conv2, ("norm2", response_norm())]
    channels = expanded
    stages = [nn.Sequential(OrderedDict([*_pool(2, pools[0], 3), *conv2]))]
    side: dict[str, nn.Sequential] = {}
    for number, (rows, stride) in enumerate(zip(STAGES, pools[1:], strict=True), start=3):
        last = number == 2 + len(STAGES)
        blocks = _pool(number, stride, 2 if last and not paper else 3)
        for row in rows:
            module, channels = inception(channels, row, conv, 5 if paper else 3, config.width)
            blocks.append((row[0], module))
            if config.auxiliary and row[0] in AUXILIARY:
                pooled = min(image.height, image.width) >= FULL
                side[row[0]] = auxiliary_head(channels, num_classes, config.width, pooled)
        stages.append(nn.Sequential(OrderedDict(blocks)))
    head = pool_linear(channels, num_classes, config.dropout)
    net = AuxiliaryNet(stem, stages, head, side, AUXILIARY_WEIGHT) if side else ConvNet(stem, stages, head)
    if paper:
        _initialise_paper(net, [head, *side.values()])
    else:
        _initialise_slim(net)
    return net


def _pool(number: int, stride: int, kernel: int) -> list[tuple[str, nn.Module]]:
    """The max pool that begins stage `number`, or nothing where it would not halve."""
    return [(f"pool{number}", nn.MaxPool2d(kernel, 2, ceil_mode=True))] if stride == 2 else []


def _check(config: InceptionV1) -> None:
    check_width(config.width, "inception_v1")
    if config.variant not in VARIANTS:
        raise BadInput(f"inception_v1: variant is {config.variant!r}; it must be {' or '.join(VARIANTS)}")
    if config.auxiliary and config.variant != "paper":
        raise BadInput(f"inception_v1: variant {config.variant!r} has no auxiliary heads; take variant 'paper'")
    if not 0 <= config.dropout < 1:
        raise BadInput(f"inception_v1: dropout is {config.dropout}; it must be a fraction below 1, such as 0.2")


def _initialise_slim(net: nn.Module) -> None:
    """As slim: normal of standard deviation 0.01, cut at two of them."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            initialise(module, 0.01)


def _initialise_paper(net: nn.Module, heads: Sequence[nn.Sequential]) -> None:
    """As Caffe's network: uniform of variance 1 / fan-in, biases 0.2, and 0 in the classifiers that end the heads."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = (3 / module.weight[0].numel()) ** 0.5
            nn.init.uniform_(module.weight, -bound, bound)
            if module.bias is not None:
                nn.init.constant_(module.bias, 0.2)
    for head in heads:
        classifier = head[-1]
        assert isinstance(classifier, nn.Linear)
        nn.init.zeros_(classifier.bias)
