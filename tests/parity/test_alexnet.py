"""AlexNet, an eighth as wide, against pytorchcv's."""

from collections.abc import Callable

import pytest
from pytorchcv.models import alexnet
from torch import nn

from sprat.image import ImageSpec
from sprat.zoo import build
from sprat.zoo.alexnet import AlexNet


@pytest.mark.parametrize(("groups", "grouped"), [(1, ()), (2, (1, 3, 4)), (4, (1, 3, 4))])
@pytest.mark.parametrize("side", [227, 224])
def test_alexnet(same_logits: Callable[..., None], groups: int, grouped: tuple[int, ...], side: int) -> None:
    ours = build(AlexNet(groups=groups, width=0.125), ImageSpec(3, side, side), 10)
    theirs = alexnet.AlexNet(
        channels=[[12], [32], [48, 48, 32]],
        kernel_sizes=[[11], [5], [3, 3, 3]],
        strides=[[4], [1], [1, 1, 1]],
        paddings=[[0], [2], [1, 1, 1]],
        use_lrn=True,
        num_classes=10,
    )
    # Theirs has no groups, and 4096 hidden units whatever the channels.
    blocks = [block for block in theirs.modules() if isinstance(block, alexnet.AlexConv)]
    for number in grouped:
        old = blocks[number].conv
        blocks[number].conv = nn.Conv2d(
            old.in_channels, old.out_channels, old.kernel_size, padding=old.padding, groups=groups
        )
    theirs.output.fc1.fc = nn.Linear(32 * 6 * 6, 512)
    theirs.output.fc2.fc = nn.Linear(512, 512)
    theirs.output.fc3 = nn.Linear(512, 10)
    same_logits(ours, theirs, (3, side, side))
