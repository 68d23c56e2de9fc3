"""The counts of Inception-ResNet-v2, its table, its scaled residual blocks (shared/facts/inception.md)."""

import pytest
import torch
from torch import nn

from sprat.cost import count
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo import build
from sprat.zoo.inception_resnet_v2 import InceptionResNetV2, ScaledResidual

PUBLISHED = ImageSpec(3, 299, 299)
SMALL = ImageSpec(3, 32, 32)


@pytest.mark.parametrize(
    ("classes", "params", "macs"), [(1000, 55_843_464, 13_155_794_016), (1001, 55_845_001, 13_155_795_552)]
)
def test_counts(classes: int, params: int, macs: int) -> None:
    with torch.device("meta"):
        seen = count(build(InceptionResNetV2(), PUBLISHED, classes), PUBLISHED)
    assert (seen.params, seen.macs) == (params, macs)


def test_modules_have_slims_sizes() -> None:
    shapes: dict[str, tuple[int, ...]] = {}
    with torch.device("meta"):
        net = build(InceptionResNetV2(), PUBLISHED, 10)
        for stage in (net.stem, *net.stages):
            for name, block in stage.named_children():
                block.register_forward_hook(lambda _, __, y, name=name: shapes.update({name: tuple(y.shape[1:])}))
        maps = net.features(torch.empty(2, *PUBLISHED.shape))
    wanted = {"1a": (32, 149, 149), "2a": (32, 147, 147), "2b": (64, 147, 147), "3a": (64, 73, 73)}
    wanted |= {"3b": (80, 73, 73), "4a": (192, 71, 71), "5a": (192, 35, 35), "5b": (320, 35, 35)}
    wanted |= {f"block35_{number}": (320, 35, 35) for number in range(1, 11)}
    wanted |= {"6a": (1088, 17, 17)} | {f"block17_{number}": (1088, 17, 17) for number in range(1, 21)}
    wanted |= {"7a": (2080, 8, 8)} | {f"block8_{number}": (2080, 8, 8) for number in range(1, 10)}
    wanted |= {"block8_last": (2080, 8, 8), "7b": (1536, 8, 8)}
    assert shapes == wanted
    assert [x.shape[-1] for x in maps] == [147, 71, 35, 17, 8]


def test_scales_of_the_residual_blocks_and_their_convolutions() -> None:
    with torch.device("meta"):
        net = build(InceptionResNetV2(), PUBLISHED, 10)
    blocks = [module for module in net.modules() if isinstance(module, ScaledResidual)]
    assert [block.scale for block in blocks] == [0.17] * 10 + [0.1] * 20 + [0.2] * 9 + [1.0]
    assert [isinstance(block.act, nn.ReLU) for block in blocks] == [True] * 39 + [False]
    assert all(block.up.bias is not None and block.up.kernel_size == (1, 1) for block in blocks)
    biased = [module for module in net.modules() if isinstance(module, nn.Conv2d) and module.bias is not None]
    assert biased == [block.up for block in blocks]


def test_a_residual_block_computes_what_figure_20_draws() -> None:
    torch.manual_seed(0)
    net = build(InceptionResNetV2(width=0.125), SMALL, 10).eval()
    block = net.get_submodule("stages.2.block17_1")
    x = torch.randn(2, block.up.out_channels, 4, 4)
    one, two = block.branches.branches
    up = nn.functional.conv2d(torch.cat([one(x), two(x)], dim=1), block.up.weight, block.up.bias)
    torch.testing.assert_close(block(x), torch.relu(x + 0.1 * up))
    last = net.get_submodule("stages.3.block8_last")
    x = torch.randn(2, last.up.out_channels, 4, 4)
    torch.testing.assert_close(last(x), x + last.up(last.branches(x)))
    assert (last(x) < 0).any()


def test_small_images_are_padded_and_large_ones_are_not() -> None:
    paddings = []
    for image in (ImageSpec(3, 127, 200), ImageSpec(3, 128, 128)):
        with torch.device("meta"):
            net = build(InceptionResNetV2(), image, 10)
            maps = net.features(torch.empty(2, *image.shape))
        paddings.append((net.get_submodule("stem.1a.0").padding, net.get_submodule("stages.3.7a.branches.3.0").padding))
        assert min(maps[-1].shape[2:]) >= 2
    assert paddings == [((1, 1), 1), ((0, 0), 0)]


def test_initial_values_are_slims() -> None:
    torch.manual_seed(0)
    net = build(InceptionResNetV2(), SMALL, 1000)
    up = net.get_submodule("stages.1.block35_1.up")
    assert up.weight.std().item() == pytest.approx((2 / (128 + 320)) ** 0.5, rel=0.02)
    assert (up.bias == 0).all()
    fc = net.get_submodule("head.3")
    assert fc.weight.abs().max().item() == pytest.approx((6 / 2536) ** 0.5, rel=0.01)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (InceptionResNetV2(dropout=1.0), "dropout"),
        (InceptionResNetV2(width=0.0), "width"),
        (InceptionResNetV2(width=float("nan")), "width"),
    ],
)
def test_configs_that_cannot_be_built_are_refused(config: InceptionResNetV2, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        build(config, SMALL, 10)


def test_too_small_an_image_is_refused() -> None:
    with pytest.raises(BadInput, match="at least 4 pixels"):
        build(InceptionResNetV2(), ImageSpec(3, 3, 32), 10)
