"""Laws of cost and of the shuffle (DESIGN, section 10)."""

from fractions import Fraction
from itertools import pairwise

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sprat.cost import count
from sprat.image import ImageSpec
from sprat.zoo import build
from sprat.zoo.mobilenet_v1 import MobileNetV1, separable
from sprat.zoo.shufflenet_v1 import channel_shuffle

few = settings(max_examples=25, deadline=None)


@few
@given(channels=st.integers(2, 40), out=st.integers(1, 40), side=st.integers(1, 20), kernel=st.sampled_from([1, 3, 5]))
def test_depthwise_and_pointwise_over_standard_is_1_over_n_plus_1_over_k_squared(
    channels: int, out: int, side: int, kernel: int
) -> None:
    image = ImageSpec(channels, side, side)
    with torch.device("meta"):
        standard = nn.Conv2d(channels, out, kernel, padding=kernel // 2)
        split = nn.Sequential(
            nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels), nn.Conv2d(channels, out, 1)
        )
    ratio = Fraction(count(split, image).macs, count(standard, image).macs)
    assert ratio == Fraction(1, out) + Fraction(1, kernel**2)


@few
@given(group_width=st.integers(1, 8), groups=st.integers(1, 8), side=st.integers(1, 12))
def test_group_convolution_costs_1_over_g(group_width: int, groups: int, side: int) -> None:
    channels = group_width * groups
    image = ImageSpec(channels, side, side)
    with torch.device("meta"):
        grouped = nn.Conv2d(channels, channels, 1, groups=groups)
        dense = nn.Conv2d(channels, channels, 1)
    assert groups * count(grouped, image).macs == count(dense, image).macs


@few
@given(channels=st.integers(1, 32), out=st.integers(1, 32), side=st.integers(2, 30))
def test_stride_shrinks_macs_and_width_grows_them(channels: int, out: int, side: int) -> None:
    image = ImageSpec(channels, side, side)
    with torch.device("meta"):
        slow, fast = separable(channels, out, 1), separable(channels, out, 2)
        wider = separable(channels, out + 1, 1)
    assert count(fast, image).macs < count(slow, image).macs < count(wider, image).macs


@settings(max_examples=8, deadline=None)
@given(steps=st.lists(st.integers(5, 20), min_size=2, max_size=2, unique=True), side=st.integers(4, 80))
def test_macs_and_params_grow_with_the_width_multiplier(steps: list[int], side: int) -> None:
    image = ImageSpec(3, side, side)
    small, large = sorted(steps)
    with torch.device("meta"):
        less = count(build(MobileNetV1(width=small / 16), image, 10), image)
        more = count(build(MobileNetV1(width=large / 16), image, 10), image)
    assert less.macs < more.macs
    assert less.params < more.params


@few
@given(groups=st.integers(1, 8), group_width=st.integers(1, 8))
def test_shuffle_by_g_then_by_c_over_g_is_the_identity(groups: int, group_width: int) -> None:
    x = torch.arange(2.0 * groups * group_width * 6).reshape(2, groups * group_width, 2, 3)
    assert torch.equal(channel_shuffle(channel_shuffle(x, groups), group_width), x)


@few
@given(
    widths=st.lists(st.integers(1, 12), min_size=2, max_size=6), side=st.integers(1, 12), kernel=st.sampled_from([1, 3])
)
def test_peak_of_a_chain_is_its_largest_input_plus_output(widths: list[int], side: int, kernel: int) -> None:
    with torch.device("meta"):
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, kernel, padding=kernel // 2), nn.BatchNorm2d(after), nn.ReLU()]
        net = nn.Sequential(*layers)
    pairs = [before + after for before, after in pairwise(widths)]
    assert count(net, ImageSpec(widths[0], side, side)).peak_bytes == 4 * side * side * max(pairs)
