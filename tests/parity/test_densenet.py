"""DenseNet against pytorchcv's."""

from collections.abc import Callable

from pytorchcv.models.densenet import densenet121
from pytorchcv.models.densenet_cifar import CIFARDenseNet, densenet40_k12_bc_cifar10
from torch import nn

from sprat.image import ImageSpec
from sprat.zoo import build, get_preset
from sprat.zoo.densenet import DenseNet, blocks_of_depth

CIFAR = ImageSpec(3, 32, 32)


def test_densenet121(same_logits: Callable[..., None]) -> None:
    theirs = densenet121()
    theirs.features.final_pool = nn.AdaptiveAvgPool2d(1)  # theirs takes 224x224 only
    same_logits(build(get_preset("densenet121"), ImageSpec(3, 128, 128), 1000), theirs, (3, 128, 128))


def test_densenet_bc_of_depth_40(same_logits: Callable[..., None]) -> None:
    ours = build(DenseNet(blocks=blocks_of_depth(40), growth=12, stem="cifar"), CIFAR, 10)
    same_logits(ours, densenet40_k12_bc_cifar10(), CIFAR.shape)


def test_densenet_c_of_depth_40(same_logits: Callable[..., None]) -> None:
    """Theirs without bottlenecks is -C, and starts with 2k maps: here it starts with the paper's 16."""
    blocks = blocks_of_depth(40, "C")
    widths, start = [], 16
    for layers in blocks:
        widths.append([start + 12 * number for number in range(1, layers + 1)])
        start = widths[-1][-1] // 2
    theirs = CIFARDenseNet(channels=widths, init_block_channels=16, bottleneck=False)
    ours = build(DenseNet(blocks=blocks, growth=12, bottleneck=False, stem="cifar"), CIFAR, 10)
    same_logits(ours, theirs, CIFAR.shape)
