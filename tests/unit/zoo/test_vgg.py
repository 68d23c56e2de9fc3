"""The counts of VGG, its groups of convolutions and initial values (shared/facts/vgg_alexnet.md)."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from sprat.cost import Cost, count
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo import build
from sprat.zoo.vgg import CONVS, VGG

IMAGENET = ImageSpec(3, 224, 224)
SMALL = ImageSpec(3, 32, 32)


def cost(config: VGG) -> Cost:
    with torch.device("meta"):
        return count(build(config, IMAGENET, 1000), IMAGENET)


@pytest.mark.parametrize(
    ("depth", "params", "macs", "conv_macs"),
    [(16, 138_357_544, 15_470_264_320, 15_346_630_656), (19, 143_667_240, 19_632_062_464, 19_508_428_800)],
)
def test_counts(depth: int, params: int, macs: int, conv_macs: int) -> None:
    seen = cost(VGG(depth=depth))
    assert (seen.params, seen.macs) == (params, macs)
    assert sum(layer.macs for layer in seen.layers if layer.kind == "conv") == conv_macs


def test_the_15300m_of_the_mobilenet_and_shufflenet_tables_are_convolutions_alone() -> None:
    seen = cost(VGG(depth=16))
    convs = sum(layer.macs for layer in seen.layers if layer.kind == "conv")
    assert convs // 10**8 == 153
    assert seen.macs // 10**8 != 153


@pytest.mark.parametrize(("depth", "millions"), [(11, 133), (13, 133), (16, 138), (19, 144)])
def test_table_2_parameters(depth: int, millions: int) -> None:
    assert round(cost(VGG(depth=depth)).params / 1e6) == millions


def test_batch_norm_adds_two_parameters_a_channel_and_drops_the_bias() -> None:
    channels = 2 * 64 + 2 * 128 + 3 * 256 + 6 * 512
    plain, norm = cost(VGG()), cost(VGG(batch_norm=True))
    assert norm.params - plain.params == channels
    assert norm.macs == plain.macs


@pytest.mark.parametrize("depth", CONVS)
def test_depth_is_the_number_of_layers_with_weights(depth: int) -> None:
    layers = cost(VGG(depth=depth)).layers
    assert len(layers) == depth
    assert [layer.kind for layer in layers[-3:]] == ["linear"] * 3
    assert [layer.in_shape[0] for layer in layers[-3:]] == [7 * 7 * 512, 4096, 4096]


def test_sizes_of_the_maps_and_convolutions_of_vgg19() -> None:
    with torch.device("meta"):
        net = build(VGG(depth=19), IMAGENET, 10)
        maps = net.features(torch.empty(1, *IMAGENET.shape))
    assert [tuple(x.shape[1:]) for x in maps] == [
        (64, 224, 224),
        (128, 112, 112),
        (256, 56, 56),
        (512, 28, 28),
        (512, 14, 14),
        (512, 7, 7),
    ]
    parts = [net.stem, *net.stages]
    convs = [[module for module in part.modules() if isinstance(module, nn.Conv2d)] for part in parts]
    assert [len(part) for part in convs] == [2, 2, 4, 4, 4, 0]
    assert all(conv.bias is not None and conv.kernel_size == (3, 3) for part in convs for conv in part)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in net.modules())


def test_a_dropout_follows_each_hidden_layer() -> None:
    kinds = [type(module).__name__ for module in build(VGG(width=0.125), SMALL, 10).head]
    assert kinds == ["Flatten", "Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    bare = build(VGG(width=0.125, dropout=0.0), SMALL, 10).head
    assert not any(isinstance(module, nn.Dropout) for module in bare)


def test_the_size_of_the_last_map_is_that_of_the_network() -> None:
    for side in (*range(4, 70), *range(120, 135), 299):
        image = ImageSpec(3, side, side + 3)
        with torch.device("meta"):
            net = build(VGG(depth=11, width=0.125), image, 7).eval()
            maps = net.features(torch.empty(1, *image.shape))
            assert net.head(maps[-1]).shape == (1, 7), side
        assert min(maps[-1].shape[2:]) >= 2, side


def test_the_earliest_pools_go_on_small_images() -> None:
    with torch.device("meta"):
        maps = build(VGG(), SMALL, 10).features(torch.empty(1, *SMALL.shape))
    assert [x.shape[-1] for x in maps] == [32, 32, 32, 16, 8, 4]


def test_initial_values_are_xaviers() -> None:
    torch.manual_seed(0)
    net = build(VGG(width=0.25), SMALL, 100)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            out, into, *kernel = module.weight.shape
            bound = (6 / ((out + into) * (9 if kernel else 1))) ** 0.5
            assert 0.98 * bound < module.weight.abs().max().item() <= bound
            assert (module.bias == 0).all()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"depth": 12}, "depth 12: the paper has 11, 13, 16, 19"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": -0.5}, "dropout"),
        ({"width": 0.0}, "above 0"),
        ({"width": -1.0}, "above 0"),
        ({"width": float("inf")}, "above 0"),
    ],
)
def test_configs_that_cannot_be_built_are_refused(change: dict[str, object], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        build(replace(VGG(), **change), IMAGENET, 10)  # type: ignore[arg-type]
