"""Peak activation memory, against sums by hand under the convention of sprat.cost.memory."""

import pytest
import torch
from torch import Tensor, nn

from sprat.cost import count
from sprat.image import ImageSpec
from sprat.zoo import create
from sprat.zoo.mobilenet_v1 import BLOCKS, STEM
from sprat.zoo.shufflenet_v1 import AddUnit

IMAGE = ImageSpec(3, 16, 16)


def mobilenet_by_hand(width: float, side: int) -> int:
    """Largest input + output of a layer, layer by layer down table 1; batch norm and ReLU are in place."""
    channels, pixels = 3, side * side
    peak = 0
    layers: list[tuple[int, int]] = [STEM]
    for out, stride in BLOCKS:
        layers += [(0, stride), (out, 1)]  # depthwise, pointwise
    for out, stride in layers:
        out = max(int(out * width), 8) if out else channels
        after = pixels // stride**2
        peak = max(peak, channels * pixels + out * after)
        channels, pixels = out, after
    return 4 * peak


@pytest.mark.parametrize(("width", "side"), [(1.0, 224), (0.5, 160), (0.25, 128), (0.125, 224)])
def test_mobilenet(width: float, side: int) -> None:
    image = ImageSpec(3, side, side)
    with torch.device("meta"):
        net = create(f"mobilenet_v1_{width}", image=image)
    assert count(net, image).peak_bytes == mobilenet_by_hand(width, side)


def test_mobilenet_224_is_the_first_pointwise_layer() -> None:
    with torch.device("meta"):
        net = create("mobilenet_v1_1.0")
    assert count(net, ImageSpec(3, 224, 224)).peak_bytes == 4 * 112 * 112 * (32 + 64)


class Residual(nn.Module):
    """x + conv(conv(x)): x is alive until the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(torch.relu(self.first(x))))


def test_a_residual_keeps_its_input() -> None:
    assert count(Residual(), IMAGE).peak_bytes == 4 * 256 * (3 + 8 + 3)


def test_a_chain_releases_what_is_done() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Hardswish(), nn.Conv2d(8, 2, 1), nn.Conv2d(2, 5, 1))
    assert count(net, IMAGE).peak_bytes == 4 * 256 * (3 + 8)


def test_views_are_free_and_the_output_stays() -> None:
    net = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Flatten(), nn.Unflatten(1, (3, 16, 16)), nn.Flatten(2))
    assert count(net, IMAGE).peak_bytes == 4 * 256 * (3 + 3)


def test_indices_of_a_max_pool_are_not_activations() -> None:
    assert count(nn.MaxPool2d(2), IMAGE).peak_bytes == 4 * 3 * (256 + 64)


def test_a_channel_shuffle_is_a_copy() -> None:
    unit = AddUnit(240, 3)
    image = ImageSpec(240, 28, 28)
    # x stays for the sum: x + mid + mid in the shuffle and depthwise layers, x + mid + branch in the last one.
    assert count(unit, image).peak_bytes == 4 * 28 * 28 * max(240 + 60 + 60, 240 + 60 + 240)


def test_a_concatenation_holds_its_parts_and_the_whole() -> None:
    class Concat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 6, 1)

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([self.left(x), self.right(x)], dim=1)

    assert count(Concat(), IMAGE).peak_bytes == 4 * 256 * (4 + 6 + 10)


def test_an_input_that_is_needed_again_is_not_overwritten() -> None:
    class Twice(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x) + torch.sigmoid(x)

    assert count(Twice(), IMAGE).peak_bytes == 4 * 256 * 3 * 2


def test_half_precision_is_counted_as_float32() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 1))
    assert count(net, IMAGE).peak_bytes == count(net.half(), IMAGE).peak_bytes
