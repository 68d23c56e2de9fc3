"""The expected file length, against a sum by hand."""

import pytest
import torch
from torch import nn

from sprat.cost import count
from sprat.image import ImageSpec
from sprat.search.size_model import CONTAINER_BYTES, DEFAULT_BITS, Footprint, footprint
from sprat.zoo import create


def test_footprint_of_a_small_network_by_hand() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False),  # first: 216 weights at 8 bits
        nn.BatchNorm2d(8),  # folded: gain and bias a channel
        nn.Conv2d(8, 8, 3, groups=8, bias=False),  # depthwise: 72 at 8 bits
        nn.Conv2d(8, 16, 1),  # 128 weights, its bias among the 2 bytes a channel
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 10),  # 160 weights
    )
    parts = footprint(count(net, ImageSpec(3, 16, 16)).layers)
    assert parts.weights == 128 + 160
    assert parts.fixed_bytes == CONTAINER_BYTES + 216 + 72 + 2 * (8 + 8 + 16 + 10) + 4 * 50


def test_other_parameters_take_a_byte_each() -> None:
    with torch.device("meta"):
        net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.PReLU(4))
    parts = footprint(count(net, ImageSpec(3, 8, 8)).layers)
    assert parts == Footprint(0, CONTAINER_BYTES + 12 + 8 + 50 + 4 + 25)


@pytest.mark.parametrize("max_bytes", [20_000, 60_000, 100_000, 1_000_000])
def test_bits_within_is_the_inverse_of_bytes_at(max_bytes: int) -> None:
    image = ImageSpec(3, 32, 32)
    with torch.device("meta"):
        parts = footprint(count(create("mobilenet_v1_0.25", image=image, num_classes=10), image).layers)
    bits = parts.bits_within(max_bytes)
    assert abs(parts.bytes_at(bits) - max_bytes) <= 1
    assert (bits > 0) == (parts.fixed_bytes < max_bytes)


def test_weights_carry_most_of_a_mobilenet() -> None:
    image = ImageSpec(3, 32, 32)
    with torch.device("meta"):
        parts = footprint(count(create("mobilenet_v1_0.5", image=image, num_classes=10), image).layers)
    assert 0.9 < parts.weights * DEFAULT_BITS / 8 / parts.bytes_at(DEFAULT_BITS) < 1
