"""CIFAR ResNet against pytorchcv's."""

from collections.abc import Callable

import torch
from pytorchcv.models.preresnet_cifar import preresnet164bn_cifar10
from pytorchcv.models.resnet_cifar import resnet20_cifar10
from torch import Tensor, nn
from torch.nn import functional

from sprat.image import ImageSpec
from sprat.zoo import create

IMAGE = ImageSpec(3, 32, 32)


class _ZeroMaps(nn.Module):
    """Shortcut option A: every second pixel, as many zero maps before as after."""

    def forward(self, x: Tensor) -> Tensor:
        zeros = torch.zeros_like(x[:, ::2])
        return functional.interpolate(torch.cat([zeros, x, zeros], dim=1), scale_factor=0.5, mode="nearest")


def test_version_1(same_logits: Callable[..., None]) -> None:
    """Theirs projects with 1x1 convolutions where channels change; here its shortcuts become those of the paper."""
    theirs = resnet20_cifar10()
    for stage in (theirs.features.stage2, theirs.features.stage3):
        stage.unit1.identity_conv = _ZeroMaps()
    same_logits(create("resnet_cifar_20", num_classes=10, image=IMAGE), theirs, IMAGE.shape)


def test_version_2(same_logits: Callable[..., None]) -> None:
    same_logits(create("resnet_cifar_v2_164", num_classes=10, image=IMAGE), preresnet164bn_cifar10(), IMAGE.shape)
