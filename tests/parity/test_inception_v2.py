"""Inception v2 against pytorchcv's class, made with slim's widths and the plain stem."""

from collections.abc import Callable

from pytorchcv.models.bninception import BNInception
from torch import nn

from sprat.image import ImageSpec
from sprat.zoo import build
from sprat.zoo.inception_v2 import InceptionV2

# Theirs project the pools of 4d and 4e to 128 channels, as Caffe's network; slim's to 96.
SLIM = {
    "channels": [[256, 320], [576] * 5, [1024] * 3],
    "init_block_channels_list": [64, 192],
    "mid1_channels_list": [
        [[64, 64], [64, 64]],
        [[128, 64], [64, 96], [96, 96], [128, 128], [128, 160]],
        [[128, 192], [192, 160], [192, 192]],
    ],
    "mid2_channels_list": [
        [[64, 64, 96, 32], [64, 96, 96, 64]],
        [[0, 160, 96, 0], [224, 96, 128, 128], [192, 128, 128, 128], [160, 160, 160, 96], [96, 192, 192, 96]],
        [[0, 192, 256, 0], [352, 320, 224, 128], [352, 320, 224, 128]],
    ],
}


def test_inception_v2(same_logits: Callable[..., None]) -> None:
    image = ImageSpec(3, 128, 128)
    ours = build(InceptionV2(stem="plain"), image, 10)
    theirs = BNInception(**SLIM, num_classes=10)
    theirs.features.final_pool = nn.AdaptiveAvgPool2d(1)  # theirs fits 224 only
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3
        elif isinstance(module, nn.Conv2d):
            module.bias = None  # theirs have one before batch norm, of value 0
        elif isinstance(module, nn.AvgPool2d):
            module.count_include_pad = False
        elif isinstance(module, nn.MaxPool2d):
            module.padding, module.ceil_mode = 1, False  # theirs pad at the end only
    same_logits(ours, theirs, image.shape)
