"""Inception-ResNet-v2 against pytorchcv's."""

from collections.abc import Callable

from pytorchcv.models.inceptionresnetv2 import inceptionresnetv2
from torch import manual_seed, nn, no_grad

from sprat.image import ImageSpec
from sprat.zoo import build
from sprat.zoo.inception_resnet_v2 import InceptionResNetV2


def test_inception_resnet_v2(same_logits: Callable[..., None]) -> None:
    image = ImageSpec(3, 139, 139)
    ours = build(InceptionResNetV2(), image, 10)
    theirs = inceptionresnetv2(num_classes=10)
    theirs.features.final_pool = nn.AdaptiveAvgPool2d(1)  # theirs fits 299 only
    manual_seed(0)
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3
        elif isinstance(module, nn.AvgPool2d):
            module.count_include_pad = False
        elif isinstance(module, nn.Conv2d):
            # Their initial values, or any filters of nonzero sum, forget the image in so many layers.
            nn.init.kaiming_normal_(module.weight)
            with no_grad():
                module.weight -= module.weight.mean((1, 2, 3), keepdim=True)
    same_logits(ours, theirs, image.shape)
