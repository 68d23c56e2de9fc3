"""The layers of Keras Applications, with the shapes of their weights, in the order of `model.layers`.

Written after keras/src/applications of keras-team/keras and keras_applications of keras-team/keras-applications, not
after our networks. A layer is (name, class, {weight: shape}); one that Keras numbers itself has the number it gets.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

Shape = tuple[int, ...]
Entry = tuple[str, str, dict[str, Shape]]
MIDDLE = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
DENSE = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}


@dataclass
class Session:
    """Gives layers without a name theirs; `made` were made before in the same session."""

    made: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def name(self, word: str) -> str:
        number = self.counts.get(word, self.made)
        self.counts[word] = number + 1
        return f"{word}_{number}" if number else word

    def conv(self, side: int | Shape, inputs: int, outputs: int) -> Entry:
        return conv(self.name("conv2d"), side, inputs, outputs)

    def norm(self, channels: int, scale: bool = True) -> Entry:
        return norm(self.name("batch_normalization"), channels, scale)


def conv(name: str, side: int | Shape, inputs: int, outputs: int, bias: bool = False) -> Entry:
    sides = (side, side) if isinstance(side, int) else side
    return name, "Conv2D", {"kernel": (*sides, inputs, outputs), **({"bias": (outputs,)} if bias else {})}


def depthwise(name: str, channels: int, bias: bool = False) -> Entry:
    more = {"bias": (channels,)} if bias else {}
    return name, "DepthwiseConv2D", {"depthwise_kernel": (3, 3, channels, 1), **more}


def separable(name: str, side: int, inputs: int, outputs: int) -> Entry:
    shapes = {"depthwise_kernel": (side, side, inputs, 1), "pointwise_kernel": (1, 1, inputs, outputs)}
    return name, "SeparableConv2D", shapes


def norm(name: str, channels: int, scale: bool = True) -> Entry:
    names = [*(["gamma"] if scale else []), "beta", "moving_mean", "moving_variance"]
    return name, "BatchNormalization", dict.fromkeys(names, (channels,))


def dense(name: str, inputs: int, outputs: int) -> Entry:
    return name, "Dense", {"kernel": (inputs, outputs), "bias": (outputs,)}


def mobilenet(alpha: float, classes: int = 1000) -> Iterator[Entry]:
    blocks = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
    channels = int(32 * alpha)
    yield conv("conv1", 3, 3, channels)
    yield norm("conv1_bn", channels)
    for number, wide in enumerate(blocks, start=1):
        yield depthwise(f"conv_dw_{number}", channels)
        yield norm(f"conv_dw_{number}_bn", channels)
        yield conv(f"conv_pw_{number}", 1, channels, int(wide * alpha))
        channels = int(wide * alpha)
        yield norm(f"conv_pw_{number}_bn", channels)
    yield conv("conv_preds", 1, channels, classes, bias=True)


def mobilenet_v2(alpha: float, head: str = "predictions", first: bool = False) -> Iterator[Entry]:
    """`first`: the names of the first files, of Keras 2.2.0."""

    def eights(channels: float) -> int:
        rounded = max(8, int(channels + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * channels else rounded

    channels = eights(32 * alpha)
    yield conv("Conv1", 3, 3, channels)
    yield norm("bn_Conv1", channels)
    filters = [16] + [24] * 2 + [32] * 3 + [64] * 4 + [96] * 3 + [160] * 3 + [320]
    for block, wide in enumerate(filters):
        new = f"block_{block}_" if block else "expanded_conv_"
        conv_name, norm_name = (f"mobl{block}_conv_", f"bn{block}_conv_bn_") if first else (new, new)
        tail = "" if first else "_BN"
        inner = 6 * channels if block else channels
        if block:
            yield conv(f"{conv_name}expand", 1, channels, inner)
            yield norm(f"{norm_name}expand{tail}", inner)
        yield depthwise(f"{conv_name}depthwise", inner)
        yield norm(f"bn{block}_conv_depthwise" if first else f"{norm_name}depthwise{tail}", inner)
        channels = eights(int(wide * alpha))
        yield conv(f"{conv_name}project", 1, inner, channels)
        yield norm("bn0_conv_project" if first and not block else f"{norm_name}project{tail}", channels)
    last = eights(1280 * alpha) if alpha > 1 else 1280
    yield conv("Conv_1", 1, channels, last)
    yield norm("Conv_1_bn", last)
    yield dense(head, last, 1000)


def densenet(depth: int, old: bool = False) -> Iterator[Entry]:
    yield conv("conv1/conv" if old else "conv1_conv", 7, 3, 64)
    yield norm("conv1/bn" if old else "conv1_bn", 64)
    channels = 64
    for block, count in enumerate(DENSE[depth], start=2):
        for layer in range(1, count + 1):
            yield norm(f"conv{block}_block{layer}_0_bn", channels)
            yield conv(f"conv{block}_block{layer}_1_conv", 1, channels, 128)
            yield norm(f"conv{block}_block{layer}_1_bn", 128)
            yield conv(f"conv{block}_block{layer}_2_conv", 3, 128, 32)
            channels += 32
        if block < 5:
            yield norm(f"pool{block}_bn", channels)
            yield conv(f"pool{block}_conv", 1, channels, channels // 2)
            channels //= 2
    yield norm("bn", channels)
    yield dense("fc1000" if old else "predictions", channels, 1000)


def resnet(depth: int, head: str = "predictions") -> Iterator[Entry]:
    yield conv("conv1_conv", 7, 3, 64, bias=True)
    yield norm("conv1_bn", 64)
    inputs = 64
    for stage, count in enumerate(MIDDLE[depth], start=2):
        mid = 32 * 2 ** (stage - 1)
        for block in range(1, count + 1):
            name = f"conv{stage}_block{block}"
            yield conv(f"{name}_1_conv", 1, inputs, mid, bias=True)
            yield norm(f"{name}_1_bn", mid)
            yield conv(f"{name}_2_conv", 3, mid, mid, bias=True)
            yield norm(f"{name}_2_bn", mid)
            if block == 1:
                yield conv(f"{name}_0_conv", 1, inputs, 4 * mid, bias=True)
            yield conv(f"{name}_3_conv", 1, mid, 4 * mid, bias=True)
            if block == 1:
                yield norm(f"{name}_0_bn", 4 * mid)
            yield norm(f"{name}_3_bn", 4 * mid)
            inputs = 4 * mid
    yield dense(head, inputs, 1000)


def resnet50_keras2() -> Iterator[Entry]:
    yield conv("conv1", 7, 3, 64, bias=True)
    yield norm("bn_conv1", 64)
    inputs = 64
    for stage, count in enumerate(MIDDLE[50], start=2):
        mid = 32 * 2 ** (stage - 1)
        for block in "abcdef"[:count]:
            for part, side, ins, outs in (("2a", 1, inputs, mid), ("2b", 3, mid, mid), ("2c", 1, mid, 4 * mid)):
                yield conv(f"res{stage}{block}_branch{part}", side, ins, outs, bias=True)
                yield norm(f"bn{stage}{block}_branch{part}", outs)
            if block == "a":
                yield conv(f"res{stage}a_branch1", 1, inputs, 4 * mid, bias=True)
                yield norm(f"bn{stage}a_branch1", 4 * mid)
            inputs = 4 * mid
    yield dense("fc1000", inputs, 1000)


def resnet_v2(depth: int) -> Iterator[Entry]:
    yield conv("conv1_conv", 7, 3, 64, bias=True)
    inputs = 64
    for stage, count in enumerate(MIDDLE[depth], start=2):
        mid = 32 * 2 ** (stage - 1)
        for block in range(1, count + 1):
            name = f"conv{stage}_block{block}"
            yield norm(f"{name}_preact_bn", inputs)
            yield conv(f"{name}_1_conv", 1, inputs, mid)
            yield norm(f"{name}_1_bn", mid)
            yield conv(f"{name}_2_conv", 3, mid, mid)
            yield norm(f"{name}_2_bn", mid)
            if block == 1:
                yield conv(f"{name}_0_conv", 1, inputs, 4 * mid, bias=True)
            yield conv(f"{name}_3_conv", 1, mid, 4 * mid, bias=True)
            inputs = 4 * mid
    yield norm("post_bn", inputs)
    yield dense("predictions", inputs, 1000)


def vgg(depth: int) -> Iterator[Entry]:
    inputs = 3
    for block, (count, wide) in enumerate(zip({16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}[depth], VGG, strict=True), 1):
        for layer in range(1, count + 1):
            yield conv(f"block{block}_conv{layer}", 3, inputs, wide, bias=True)
            inputs = wide
    yield dense("fc1", 7 * 7 * 512, 4096)
    yield dense("fc2", 4096, 4096)
    yield dense("predictions", 4096, 1000)


VGG = (64, 128, 256, 512, 512)


def xception(session: Session) -> Iterator[Entry]:
    yield conv("block1_conv1", 3, 3, 32)
    yield norm("block1_conv1_bn", 32)
    yield conv("block1_conv2", 3, 32, 64)
    yield norm("block1_conv2_bn", 64)
    inputs = 64
    for block in range(2, 14):
        outs = {2: (128, 128), 3: (256, 256), 4: (728, 728), 13: (728, 1024)}.get(block, (728, 728, 728))
        residual = [session.conv(1, inputs, outs[-1]), session.norm(outs[-1])] if len(outs) == 2 else []
        for layer, out in enumerate(outs, start=1):
            yield separable(f"block{block}_sepconv{layer}", 3, inputs, out)
            yield norm(f"block{block}_sepconv{layer}_bn", out)
            inputs = out
        yield from residual
    for layer, out in ((1, 1536), (2, 2048)):
        yield separable(f"block14_sepconv{layer}", 3, inputs, out)
        yield norm(f"block14_sepconv{layer}_bn", out)
        inputs = out
    yield dense("predictions", inputs, 1000)


def mlperf_vww(session: Session) -> Iterator[Entry]:
    """MobileNet of width 0.25 without names, all convolutions with a bias."""
    for name, kind, shapes in mobilenet(0.25):
        if kind == "DepthwiseConv2D":
            yield depthwise(session.name("depthwise_conv2d"), shapes["depthwise_kernel"][2], bias=True)
        elif kind == "BatchNormalization":
            yield session.norm(shapes["beta"][0])
        elif name == "conv_preds":
            yield dense(session.name("dense"), shapes["kernel"][2], 2)
        else:
            side, _, inputs, outputs = shapes["kernel"]
            yield conv(session.name("conv2d"), side, inputs, outputs, bias=True)


def mlperf_resnet(session: Session) -> Iterator[Entry]:
    """ResNet-8: a shortcut's convolution is made after those of its unit."""
    yield conv(session.name("conv2d"), 3, 3, 16, bias=True)
    yield session.norm(16)
    for inputs, outputs in ((16, 16), (16, 32), (32, 64)):
        for before in (inputs, outputs):
            yield conv(session.name("conv2d"), 3, before, outputs, bias=True)
            yield session.norm(outputs)
        if inputs != outputs:
            yield conv(session.name("conv2d"), 1, inputs, outputs, bias=True)
    yield dense(session.name("dense"), 64, 10)


def numbered(layers: Iterator[Entry]) -> Iterator[Entry]:
    """The same layers as a file that knows only their classes has them: conv2d, conv2d_1, ..."""
    words = {"Conv2D": "conv2d", "DepthwiseConv2D": "depthwise_conv2d", "BatchNormalization": "batch_normalization"}
    session = Session()
    for _, kind, shapes in layers:
        yield session.name({**words, "Dense": "dense"}[kind]), kind, shapes
