"""NASNet-A against pytorchcv's: small networks with both stems' details, made from its class."""

from collections.abc import Callable
from typing import Any

import pytest
from pytorchcv.models.nasnet import NASNet as Theirs
from pytorchcv.models.nasnet import NasPathBlock
from torch import nn

from sprat.image import ImageSpec
from sprat.zoo import build
from sprat.zoo.nasnet import NASNet


def theirs(cells: int, f: int, stem: int, last: int, skip: bool) -> nn.Module:
    """Their network changed in two points.

    It pads symmetrically, as ours (their reductions imitate the padding of TensorFlow), and the batch norm behind the
    two halves of a factorized reduction is one for each half.
    """
    rows = [[6 * f] * cells, [8 * f, *[12 * f] * cells], [16 * f, *[24 * f] * cells]]
    net = Theirs(
        channels=rows,
        init_block_channels=stem,
        stem_blocks_channels=[f, 2 * f],
        final_pool_size=last,
        extra_padding=False,
        skip_reduction_layer_input=skip,
        num_classes=10,
    )
    for name, module in net.named_modules():
        if hasattr(module, "extra_padding") and not name.endswith(".path2"):
            module.extra_padding = False
    for block in [module for module in net.modules() if isinstance(module, NasPathBlock)]:
        half = block.bn.num_features // 2
        block.path1 = nn.Sequential(block.path1, nn.BatchNorm2d(half, eps=block.bn.eps))
        block.path2 = nn.Sequential(block.path2, nn.BatchNorm2d(half, eps=block.bn.eps))
        block.bn = nn.Identity()
    return net


@pytest.mark.parametrize(
    ("config", "network", "side"),
    [
        (NASNet(cells=2, filters=192), {"cells": 2, "f": 8, "stem": 32, "last": 4, "skip": False}, 128),
        (
            NASNet(cells=2, filters=192, stem="large", skip_reduction_input=True),
            {"cells": 2, "f": 8, "stem": 96, "last": 5, "skip": True},
            139,
        ),
    ],
)
def test_nasnet_a(same_logits: Callable[..., None], config: NASNet, network: dict[str, Any], side: int) -> None:
    ours = build(config, ImageSpec(3, side, side), 10)
    same_logits(ours, theirs(**network), (3, side, side))
