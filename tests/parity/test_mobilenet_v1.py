"""MobileNet v1 against pytorchcv's."""

from collections.abc import Callable

from pytorchcv.models.mobilenet import mobilenet_w1

from sprat.zoo import create


def test_mobilenet_v1(same_logits: Callable[..., None]) -> None:
    ours = create("mobilenet_v1_1.0")
    theirs = mobilenet_w1()
    for module in ours.modules():
        if hasattr(module, "eps"):
            module.eps = 1e-5  # theirs; ours is the released code's 1e-3
    same_logits(ours, theirs, (3, 224, 224))
