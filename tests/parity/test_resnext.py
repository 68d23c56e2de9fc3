"""ResNeXt against pytorchcv's."""

from collections.abc import Callable

from pytorchcv.models.resnext import resnext50_32x4d
from pytorchcv.models.resnext_cifar import resnext29_32x4d_cifar10
from torch import nn

from sprat.image import ImageSpec
from sprat.zoo import create


def test_resnext50(same_logits: Callable[..., None]) -> None:
    theirs = resnext50_32x4d()
    theirs.features.final_pool = nn.AdaptiveAvgPool2d(1)  # theirs is a window of 7x7, for 224 pixels alone
    same_logits(create("resnext50_32x4d", image=ImageSpec(3, 128, 128)), theirs, (3, 128, 128))


def test_resnext29_of_cifar(same_logits: Callable[..., None]) -> None:
    ours = create("resnext29_32x4d", num_classes=10, image=ImageSpec(3, 32, 32))
    same_logits(ours, resnext29_32x4d_cifar10(), (3, 32, 32))
