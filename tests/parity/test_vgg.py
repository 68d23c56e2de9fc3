"""VGG, an eighth as wide, against pytorchcv's."""

from collections.abc import Callable

import pytest
from pytorchcv.models import vgg
from torch import nn

from sprat.image import ImageSpec
from sprat.zoo import build
from sprat.zoo.vgg import VGG


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(("depth", "convs"), [(16, (2, 2, 3, 3, 3)), (19, (2, 2, 4, 4, 4))])
def test_vgg(same_logits: Callable[..., None], depth: int, convs: tuple[int, ...], batch_norm: bool) -> None:
    ours = build(VGG(depth=depth, width=0.125, batch_norm=batch_norm), ImageSpec(3, 128, 128), 10)
    channels = [[out] * number for out, number in zip((8, 16, 32, 64, 64), convs, strict=True)]
    theirs = vgg.VGG(channels, bias=not batch_norm, use_bn=batch_norm, num_classes=10)
    # Theirs has 4096 hidden units whatever the channels, and a last map of 7x7; that of 128 pixels is 4x4.
    theirs.output.fc1.fc = nn.Linear(64 * 4 * 4, 512)
    theirs.output.fc2.fc = nn.Linear(512, 512)
    theirs.output.fc3 = nn.Linear(512, 10)
    same_logits(ours, theirs, (3, 128, 128))
