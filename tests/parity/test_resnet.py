"""ResNet against pytorchcv's."""

from collections.abc import Callable

import pytest
import torch
from pytorchcv.models.preresnet import preresnet50, preresnet50b
from pytorchcv.models.resnet import resnet18, resnet50, resnet50b
from torch import nn

from sprat.image import ImageSpec
from sprat.zoo import build
from sprat.zoo.resnet import ResNet

IMAGE = ImageSpec(3, 128, 128)  # the least that keeps the published strides

Named = list[tuple[str, nn.Module]]


def shortcuts_first(named: Named) -> Named:
    """Theirs runs a unit's shortcut before its branch."""
    units = [name.split(".branch.")[0].split(".shortcut.")[0] for name, _ in named]
    first = {unit: units.index(unit) for unit in units}
    order = sorted(range(len(named)), key=lambda at: (first[units[at]], ".branch." in named[at][0], at))
    return [named[at] for at in order]


@pytest.mark.parametrize(
    ("config", "make"),
    [(ResNet(depth=18), resnet18), (ResNet(), resnet50b), (ResNet(strides="1x1"), resnet50)],
    ids=["resnet18", "resnet50", "resnet50_paper"],
)
def test_version_1(same_logits: Callable[..., None], config: ResNet, make: Callable[[], nn.Module]) -> None:
    theirs = make()
    theirs.get_submodule("features").final_pool = nn.AdaptiveAvgPool2d(1)  # theirs takes 224x224 only
    same_logits(build(config, IMAGE, 1000), theirs, IMAGE.shape, shortcuts_first)


@pytest.mark.parametrize(
    ("strides", "make"), [("3x3", preresnet50b), ("1x1", preresnet50)], ids=["resnet_v2_50", "stride on the 1x1"]
)
def test_version_2(same_logits: Callable[..., None], strides: str, make: Callable[[], nn.Module]) -> None:
    """Theirs has BN and ReLU in its stem and no biases; here it gets the biases of TF-Slim instead."""
    theirs = make()
    features = theirs.get_submodule("features")
    features.final_pool = nn.AdaptiveAvgPool2d(1)
    features.init_block.bn = features.init_block.activ = nn.Identity()
    torch.manual_seed(0)
    for name, module in theirs.named_modules():
        if name.endswith(("init_block.conv", "identity_conv", "conv3.conv")):
            assert isinstance(module, nn.Conv2d)
            module.bias = nn.Parameter(0.1 * torch.randn(module.out_channels))
    same_logits(build(ResNet(version=2, strides=strides), IMAGE, 1000), theirs, IMAGE.shape)
