"""Xception against pytorchcv's."""

from collections.abc import Callable

from pytorchcv.models.xception import xception
from torch import nn

from sprat.image import ImageSpec
from sprat.zoo import create


def test_xception(same_logits: Callable[..., None]) -> None:
    ours = create("xception", num_classes=10, image=ImageSpec(3, 128, 128))
    theirs = xception(num_classes=10)
    theirs.features.final_block.pool = nn.AdaptiveAvgPool2d(1)  # theirs is made for 10x10, at 299 pixels
    for module in ours.modules():
        if hasattr(module, "eps"):
            module.eps = 1e-5  # theirs; ours is Keras' 1e-3
    same_logits(ours, theirs, (3, 128, 128))
