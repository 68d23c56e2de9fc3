"""The pool: which architectures are candidates, by name: every preset, and finer steps where a family has a width."""

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from sprat.errors import BadInput, UnknownName
from sprat.image import ImageSpec
from sprat.zoo import all_presets, family_of, get_preset, published_input
from sprat.zoo.densenet import DenseNet, blocks_of_depth
from sprat.zoo.enas_micro import EnasMicro
from sprat.zoo.inception_v1 import InceptionV1
from sprat.zoo.inception_v2 import InceptionV2
from sprat.zoo.inception_v3 import InceptionV3
from sprat.zoo.mobilenet_v1 import MobileNetV1
from sprat.zoo.nasnet import NASNet
from sprat.zoo.resnet import ResNet
from sprat.zoo.resnet_cifar import ResNetCifar
from sprat.zoo.shufflenet_v1 import STAGE2, ShuffleNetV1, widths
from sprat.zoo.squeezenet import SqueezeNet

SIXTEENTHS = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16)  # widths 0.125 to 1.0
WIDTHS = (0.25, 0.375, 0.5, 0.75)
SMALL_SIDE = 32  # pixels of CIFAR
ABLATIONS = ("*_noshuffle",)  # which their own papers show to be worse; to be named outright
QUICK = {"alexnet", "inception_v1", "mobilenet_v1", "shufflenet_v1", "squeezenet", "vgg", "xception"}  # to count
USUAL = (96, 128, 160, 224, 299, 320)  # sides of which the others take part
SCALES = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)


def select(models: Sequence[str] | None) -> dict[str, Any]:
    """Candidate names and configs that `models` asks for; the whole pool for None.

    Args:
        models: names of candidates, presets or families, or shell patterns of candidates.

    Raises:
        UnknownName: a name or pattern that matches nothing, with the nearest names.
    """
    everything = pool()
    if models is None:
        return dict(everything)
    chosen: dict[str, Any] = {}
    for wanted in models:
        found = _matching(everything, wanted)
        if not found:
            raise UnknownName(
                _unknown(wanted, {*everything, *(family_of(config).name for config in everything.values())})
            )
        chosen.update(found)
    return chosen


def select_for_training(models: Sequence[str] | None) -> list[str]:
    """Names of the candidates that `fit` chooses among: of a family or pattern, those on which its training was tried.

    What is named outright is taken, and so is a family of which none was tried.

    Raises:
        UnknownName: as `select`.
    """
    tried = trained()
    if models is None:
        return list(tried)
    return list(dict.fromkeys(name for wanted in models for name in _matching(tried, wanted) or select([wanted])))


def _matching(configs: dict[str, Any], wanted: str) -> dict[str, Any]:
    of_family = {name: config for name, config in configs.items() if family_of(config).name == wanted}
    return of_family or {name: config for name, config in configs.items() if fnmatchcase(name, wanted)}


def _unknown(wanted: str, known: set[str]) -> str:
    near = get_close_matches(wanted.strip("*?"), sorted(known), n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "`sprat zoo` shows them all"
    return f"no model is called {wanted!r}; {hint}"


@cache
def pool() -> dict[str, Any]:
    """Every candidate name and its config."""
    return {**all_presets(), **trained(), **_finer()}


def suits(name: str, config: Any, image: ImageSpec) -> bool:
    """Whether a candidate is worth counting at an image size.

    Networks for CIFAR halve twice only, so not above 64 pixels; networks of many layers take long to count, so they
    take part at usual sizes only.
    """
    if any(fnmatchcase(name, pattern) for pattern in ABLATIONS):
        return False
    side = min(image.height, image.width)
    if side <= 2 * SMALL_SIDE:
        return True
    return published_input(name)[0].height > SMALL_SIDE and (family_of(config).name in QUICK or side in USUAL)


def _finer() -> dict[str, Any]:
    """Sizes between and below the presets of the families that `fit` has not been tried on."""
    found: dict[str, Any] = {**_shufflenets((0.375, 0.625, 0.875, 1.75, 2.0))}
    for step in (*range(9, 32, 2), *range(34, 64, 4), *range(72, 97, 8)):  # between the sixteenths, and above 1
        found[f"mobilenet_v1_{step / 64}"] = MobileNetV1(width=step / 64)
    for width in WIDTHS:
        for depth in (18, 34, 50):
            found[f"resnet{depth}_{width}"] = ResNet(depth=depth, width=width)
        for depth in (14, 20, 32):
            found[f"resnet_cifar_{depth}_{width}"] = ResNetCifar(depth=depth, width=width)
        found[f"inception_v1_{width}"] = InceptionV1(width=width)
        found[f"inception_v2_{width}"] = InceptionV2(width=width)
        found[f"inception_v3_{width}"] = InceptionV3(width=width)
    for growth in (8, 12, 16, 24):
        found[f"densenet121_k{growth}"] = DenseNet(growth=growth)
        for depth in (40, 64):
            blocks = blocks_of_depth(depth, "BC")
            found[f"densenet_bc_{depth}_{growth}"] = DenseNet(
                blocks=blocks, growth=growth, bottleneck=True, compression=0.5, stem="cifar"
            )
    for filters in (192, 288, 384, 480, 576, 768):
        found[f"nasnet_a_4_{filters}"] = NASNet(cells=4, filters=filters)
    for filters in (96, 192, 384):
        found[f"nasnet_a_2_{filters}"] = replace(get_preset("nasnet_a_2_768"), filters=filters)
    for filters in (8, 12, 16, 20, 24):
        found[f"enas_micro_{filters}"] = EnasMicro(filters=filters)
    return found


@cache
def trained() -> dict[str, Any]:
    """The candidates that `fit` chooses among unless told otherwise: those on which its training has been tried."""
    return {**_mobilenets(), **_shufflenets(), **_squeezenets()}


def _mobilenets() -> dict[str, Any]:
    return {f"mobilenet_v1_{step / 16}": MobileNetV1(width=step / 16) for step in SIXTEENTHS}


def _shufflenets(scales: Sequence[float] = SCALES) -> dict[str, Any]:
    grid = {}
    for groups in STAGE2:
        for scale in scales:
            config = ShuffleNetV1(groups=groups, scale=scale)
            try:
                widths(config)
            except BadInput:  # the channels do not divide into the groups at this scale
                continue
            grid[f"shufflenet_v1_{scale}_g{groups}"] = config
    return grid


def _squeezenets() -> dict[str, Any]:
    """The variant with batch norm, the one that trains from scratch."""
    return {
        f"squeezenet_1.1_bn_{step / 16}": SqueezeNet(
            version="1.1", bypass="simple", dropout=0.0, width=step / 16, batch_norm=True
        )
        for step in SIXTEENTHS
    }
