"""The layers of Caffe's published networks, written from their prototxts, apart from our zoo.

Source: forresti/SqueezeNet; BVLC/caffe, models/bvlc_alexnet and bvlc_googlenet; the gists of VGG's authors;
KaimingHe/deep-residual-networks; soeaver/caffe-model; shicai/DenseNet-Caffe and MobileNet-Caffe. Lengths of the files:
openvinotoolkit/open_model_zoo, models/public/*/model.yml, and the READMEs.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

Shape = tuple[int, ...]
MATRICES = ("Convolution", "InnerProduct")


class Row(NamedTuple):
    """A layer of a prototxt: its name, type and the shapes of its blobs."""

    name: str
    kind: str
    shapes: tuple[Shape, ...] = ()

    def tensors(self) -> dict[str, Shape]:
        """The tensors that the reader is to make of it."""
        if self.kind == "BatchNorm":
            parts: tuple[str, ...] = ("mean", "variance")
        else:
            parts = ("weights", "bias") if self.kind in MATRICES else ("weight", "bias")
        return {f"{self.name}/{part}": shape for part, shape in zip(parts, self.shapes, strict=False)}


class Case(NamedTuple):
    """A network: its layers, the entry and the preset that are to take it, the length of its file, where published."""

    layers: Callable[[], Iterator[Row]]
    entry: str
    preset: str
    published: float = 0  # in bytes, or in MiB as the README gives it


def conv(name: str, inputs: int, outputs: int, kernel: int = 1, *, groups: int = 1, bias: bool = True) -> Row:
    shapes = ((outputs, inputs // groups, kernel, kernel), (outputs,))
    return Row(name, "Convolution", shapes if bias else shapes[:1])


def dense(name: str, inputs: int, outputs: int) -> Row:
    return Row(name, "InnerProduct", ((outputs, inputs), (outputs,)))


def norm(name: str, scale: str, channels: int) -> Iterator[Row]:
    yield Row(name, "BatchNorm", ((channels,), (channels,), (1,)))
    yield Row(scale, "Scale", ((channels,), (channels,)))


def squeezenet(first: int, kernel: int) -> Iterator[Row]:
    yield conv("conv1", 3, first, kernel)
    yield Row("relu_conv1", "ReLU")
    channels = first
    for fire, squeeze, expand in zip(
        range(2, 10), (16, 16, 32, 32, 48, 48, 64, 64), (64, 64, 128, 128, 192, 192, 256, 256), strict=True
    ):
        yield conv(f"fire{fire}/squeeze1x1", channels, squeeze)
        yield conv(f"fire{fire}/expand1x1", squeeze, expand)
        yield conv(f"fire{fire}/expand3x3", squeeze, expand, 3)
        yield Row(f"fire{fire}/concat", "Concat")
        channels = 2 * expand
    yield conv("conv10", 512, 1000)
    yield Row("pool10", "Pooling")


def alexnet() -> Iterator[Row]:
    yield conv("conv1", 3, 96, 11)
    yield Row("norm1", "LRN")
    yield conv("conv2", 96, 256, 5, groups=2)
    yield conv("conv3", 256, 384, 3)
    yield conv("conv4", 384, 384, 3, groups=2)
    yield conv("conv5", 384, 256, 3, groups=2)
    yield dense("fc6", 256 * 6 * 6, 4096)
    yield dense("fc7", 4096, 4096)
    yield dense("fc8", 4096, 1000)
    yield Row("prob", "Softmax")


def vgg(groups: tuple[int, ...]) -> Iterator[Row]:
    channels = 3
    for group, (count, width) in enumerate(zip(groups, (64, 128, 256, 512, 512), strict=True), start=1):
        for index in range(1, count + 1):
            yield conv(f"conv{group}_{index}", channels, width, 3)
            yield Row(f"relu{group}_{index}", "ReLU")
            channels = width
        yield Row(f"pool{group}", "Pooling")
    yield dense("fc6", 512 * 7 * 7, 4096)
    yield dense("fc7", 4096, 4096)
    yield dense("fc8", 4096, 1000)


def googlenet() -> Iterator[Row]:
    yield conv("conv1/7x7_s2", 3, 64, 7)
    yield conv("conv2/3x3_reduce", 64, 64)
    yield conv("conv2/3x3", 64, 192, 3)
    channels = 192
    for name, one, reduce3, three, reduce5, five, pool in (
        ("3a", 64, 96, 128, 16, 32, 32),
        ("3b", 128, 128, 192, 32, 96, 64),
        ("4a", 192, 96, 208, 16, 48, 64),
        ("4b", 160, 112, 224, 24, 64, 64),
        ("4c", 128, 128, 256, 24, 64, 64),
        ("4d", 112, 144, 288, 32, 64, 64),
        ("4e", 256, 160, 320, 32, 128, 128),
        ("5a", 256, 160, 320, 32, 128, 128),
        ("5b", 384, 192, 384, 48, 128, 128),
    ):
        yield conv(f"inception_{name}/1x1", channels, one)
        yield conv(f"inception_{name}/3x3_reduce", channels, reduce3)
        yield conv(f"inception_{name}/3x3", reduce3, three, 3)
        yield conv(f"inception_{name}/5x5_reduce", channels, reduce5)
        yield conv(f"inception_{name}/5x5", reduce5, five, 5)
        yield conv(f"inception_{name}/pool_proj", channels, pool)
        channels = one + three + five + pool
        if name in ("4a", "4d"):
            side = "loss1" if name == "4a" else "loss2"
            yield conv(f"{side}/conv", channels, 128)
            yield dense(f"{side}/fc", 128 * 4 * 4, 1024)
            yield dense(f"{side}/classifier", 1024, 1000)
    yield dense("loss3/classifier", 1024, 1000)


def resnet(depth: int, units: tuple[int, ...]) -> Iterator[Row]:
    yield conv("conv1", 3, 64, 7, bias=depth == 50)
    yield from norm("bn_conv1", "scale_conv1", 64)
    channels = 64
    for stage, count in enumerate(units, start=2):
        width = 64 * 2 ** (stage - 2)
        for index in range(count):
            letter = "abcdefgh"[index] if depth == 50 or stage in (2, 5) else f"b{index}" if index else "a"
            parts = [("branch1", channels, 4 * width, 1)] if index == 0 else []
            parts += [
                ("branch2a", channels, width, 1),
                ("branch2b", width, width, 3),
                ("branch2c", width, 4 * width, 1),
            ]
            for branch, inputs, outputs, kernel in parts:
                name = f"{stage}{letter}_{branch}"
                yield conv(f"res{name}", inputs, outputs, kernel, bias=False)
                yield from norm(f"bn{name}", f"scale{name}", outputs)
            yield Row(f"res{stage}{letter}", "Eltwise")
            channels = 4 * width
    yield dense("fc1000", 2048, 1000)


def resnext(units: tuple[int, ...], groups: int, width: int) -> Iterator[Row]:
    yield conv("conv1", 3, 64, 7, bias=False)
    yield from norm("conv1_bn", "conv1_scale", 64)
    channels, block = 64, 0
    for stage, count in enumerate(units):
        mid, outputs = groups * width * 2**stage, 256 * 2**stage
        for index in range(count):
            block += 1
            parts = [("conv1", channels, mid, 1, 1), ("conv2", mid, mid, 3, groups), ("conv3", mid, outputs, 1, 1)]
            parts += [("match_conv", channels, outputs, 1, 1)] if index == 0 else []
            for part, inputs, out, kernel, split in parts:
                name = f"resx{block}_{part}"
                yield conv(name, inputs, out, kernel, groups=split, bias=False)
                yield from norm(f"{name}_bn", f"{name}_scale", out)
            channels = outputs
    yield dense("classifier", channels, 1000)


def densenet(blocks: tuple[int, ...], growth: int) -> Iterator[Row]:
    channels = 2 * growth
    yield conv("conv1", 3, channels, 7, bias=False)
    yield from norm("conv1/bn", "conv1/scale", channels)
    for stage, layers in enumerate(blocks, start=2):
        for layer in range(1, layers + 1):
            name = f"conv{stage}_{layer}"
            yield from norm(f"{name}/x1/bn", f"{name}/x1/scale", channels)
            yield conv(f"{name}/x1", channels, 4 * growth, bias=False)
            yield from norm(f"{name}/x2/bn", f"{name}/x2/scale", 4 * growth)
            yield conv(f"{name}/x2", 4 * growth, growth, 3, bias=False)
            channels += growth
        yield from norm(f"conv{stage}_blk/bn", f"conv{stage}_blk/scale", channels)
        if stage < 5:
            yield conv(f"conv{stage}_blk", channels, channels // 2, bias=False)
            channels //= 2
    yield conv("fc6", channels, 1000)


def mobilenet() -> Iterator[Row]:
    yield conv("conv1", 3, 32, 3, bias=False)
    yield from norm("conv1/bn", "conv1/scale", 32)
    channels = 32
    names = ("2_1", "2_2", "3_1", "3_2", "4_1", "4_2", *(f"5_{index}" for index in range(1, 7)), "6")
    outputs = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
    for name, out in zip(names, outputs, strict=True):
        yield conv(f"conv{name}/dw", channels, channels, 3, groups=channels, bias=False)
        yield from norm(f"conv{name}/dw/bn", f"conv{name}/dw/scale", channels)
        yield conv(f"conv{name}/sep", channels, out, bias=False)
        yield from norm(f"conv{name}/sep/bn", f"conv{name}/sep/scale", out)
        channels = out
    yield conv("fc7", 1024, 1000)


CASES = {
    "squeezenet_v1.0": Case(partial(squeezenet, 96, 7), "squeezenet_v1.0", "squeezenet_1.0", 5_001_403),
    "squeezenet_v1.1": Case(partial(squeezenet, 64, 3), "squeezenet_v1.1", "squeezenet_1.1", 4_950_080),
    "bvlc_alexnet": Case(alexnet, "bvlc_alexnet", "alexnet", 243_862_414),
    "bvlc_googlenet": Case(googlenet, "bvlc_googlenet", "inception_v1_paper", 53_533_754),
    "vgg_16": Case(partial(vgg, (2, 2, 3, 3, 3)), "vgg_16", "vgg16", 553_432_081),
    "vgg_19": Case(partial(vgg, (2, 2, 4, 4, 4)), "vgg_19", "vgg19", 574_671_192),
    "resnet_50": Case(partial(resnet, 50, (3, 4, 6, 3)), "resnet_50", "resnet50_paper", 102_462_397),
    "resnet_101": Case(partial(resnet, 101, (3, 4, 23, 3)), "resnet_101", "resnet101"),
    "resnet_152": Case(partial(resnet, 152, (3, 8, 36, 3)), "resnet_152", "resnet152"),
    "resnext50_32x4d": Case(partial(resnext, (3, 4, 6, 3), 32, 4), "resnext", "resnext50_32x4d", 95.8),
    "resnext101_32x4d": Case(partial(resnext, (3, 4, 23, 3), 32, 4), "resnext", "resnext101_32x4d", 169.1),
    "resnext101_64x4d": Case(partial(resnext, (3, 4, 23, 3), 64, 4), "resnext", "resnext101_64x4d", 319.2),
    "densenet_121": Case(partial(densenet, (6, 12, 24, 16), 32), "densenet", "densenet121", 30.8),
    "densenet_161": Case(partial(densenet, (6, 12, 36, 24), 48), "densenet", "densenet161", 110),
    "densenet_169": Case(partial(densenet, (6, 12, 32, 32), 32), "densenet", "densenet169", 54.6),
    "densenet_201": Case(partial(densenet, (6, 12, 48, 32), 32), "densenet", "densenet201", 77.3),
    "mobilenet_v1": Case(mobilenet, "mobilenet_v1", "mobilenet_v1_1.0", 16.2),
}


def tensors_of(name: str) -> dict[str, Shape]:
    """The tensors of a case, as the reader is to name and shape them."""
    return {key: shape for row in CASES[name].layers() for key, shape in row.tensors().items()}


def number_bytes_of(name: str) -> int:
    """Four bytes for every number in the blobs, of which nearly all of a file consists."""
    return 4 * sum(math.prod(shape) for row in CASES[name].layers() for shape in row.shapes)
