"""SqueezeNet against pytorchcv's."""

from collections.abc import Callable

import pytest
from pytorchcv.models.squeezenet import squeezenet_v1_0, squeezenet_v1_1, squeezeresnet_v1_0
from torch import nn

from sprat.zoo import create


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("squeezenet_1.0", squeezenet_v1_0),
        ("squeezenet_1.1", squeezenet_v1_1),
        ("squeezenet_1.0_simple_bypass", squeezeresnet_v1_0),
    ],
)
def test_squeezenet(same_logits: Callable[..., None], name: str, theirs: Callable[[], nn.Module]) -> None:
    same_logits(create(name), theirs(), (3, 224, 224))
