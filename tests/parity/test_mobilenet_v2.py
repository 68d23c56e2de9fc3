"""MobileNet v2 against pytorchcv's."""

from collections.abc import Callable

from pytorchcv.models.mobilenetv2 import mobilenetv2b_w1
from torch import nn

from sprat.zoo import create


def test_mobilenet_v2(same_logits: Callable[..., None]) -> None:
    """Their "b", as their other one has a 1x1 convolution in the block of expansion 1, which the paper's has not."""
    ours = create("mobilenet_v2_1.0")
    theirs = mobilenetv2b_w1()
    theirs.output = nn.Sequential(nn.Flatten(), nn.Linear(1280, 1000))  # theirs is a 1x1 convolution without bias
    for module in ours.modules():
        if hasattr(module, "eps"):
            module.eps = 1e-5  # theirs; ours is the released code's 1e-3
    same_logits(ours, theirs, (3, 224, 224))
