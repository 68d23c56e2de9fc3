"""DenseNet: inside a block every layer reads the concatenated maps of all layers before it.

Source: DenseNet (arXiv:1608.06993), table 1, sections 3 and 4.2; order of operations and initial values from the
authors' code; memory-efficient training after "Memory-Efficient Implementation of DenseNets" (arXiv:1707.06990).
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo.blocks import ConvNet, fit_strides, pool_linear
from sprat.zoo.family import family

# Table 1: depth, layers of the four dense blocks, growth rate. All are -BC with a compression of 0.5. The blocks of 264
# make 265 layers, one more than its name says.
IMAGENET = (
    (121, (6, 12, 24, 16), 32),
    (169, (6, 12, 32, 32), 32),
    (201, (6, 12, 48, 32), 32),
    (264, (6, 12, 64, 48), 32),
    (161, (6, 12, 36, 24), 48),
)
# Table 2: variant, depth, growth rate. Three blocks of equal length.
CIFAR = (("plain", 40, 12), ("plain", 100, 12), ("plain", 100, 24), ("BC", 100, 12), ("BC", 250, 24), ("BC", 190, 40))
STEMS = {"imagenet": (2, 2), "cifar": ()}  # strides of conv1 and the max pool; at 32x32 conv1 has stride 1 and no pool
VARIANTS = {"plain": 3, "C": 3, "B": 6, "BC": 6}  # convolutions that one more layer in each of three blocks adds
EXPANSION = 4  # section 3, bottleneck layers: the 1x1 convolution gives 4k maps


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseNet:
    """The defaults are DenseNet-121.

    Args:
        blocks: dense layers of each block; `blocks_of_depth` gives them for the depths of table 2.
        growth: k, the maps that each dense layer adds.
        bottleneck: a 1x1 convolution to 4k maps before each 3x3 (-B).
        compression: theta, the fraction of maps that a transition keeps: 1 for none, 0.5 in -C and -BC.
        stem: "imagenet" (7x7 stride 2 and max pool) or "cifar" (3x3 stride 1).
        dropout: after every convolution but the first; the paper has 0.2 where it trains without augmentation.
        memory_efficient: training computes each concatenation, BN and ReLU of the blocks again in the backward pass, so
            that memory is linear in depth, not quadratic. Weights, logits, gradients and statistics are the same.
    """

    blocks: tuple[int, ...] = (6, 12, 24, 16)
    growth: int = 32
    bottleneck: bool = True
    compression: float = 0.5
    stem: str = "imagenet"
    dropout: float = 0.0
    memory_efficient: bool = False


def blocks_of_depth(depth: int, variant: str = "BC") -> tuple[int, int, int]:
    """Layers of the three blocks of a CIFAR network: (L - 4) / 3 each, with bottlenecks (L - 4) / 6 (section 4.2).

    Args:
        depth: L, all convolutions and the fully-connected layer.
        variant: "plain", "C", "B" or "BC".

    Raises:
        BadInput: the variant is not known, or the depth does not fit.
    """
    if variant not in VARIANTS:
        raise BadInput(f"densenet variant {variant!r} is not known; it must be one of {', '.join(VARIANTS)}")
    step = VARIANTS[variant]
    layers, rest = divmod(depth - 4, step)
    if rest or layers < 1:
        below = 4 + step * max(layers, 1)
        raise BadInput(
            f"densenet {variant} of depth {depth}: the depth must be 4 plus a multiple of {step}, such as {below} or "
            f"{below + step}"
        )
    return layers, layers, layers


def _cifar(variant: str, depth: int, growth: int) -> DenseNet:
    blocks, bottleneck = blocks_of_depth(depth, variant), variant.startswith("B")
    compression = 0.5 if variant.endswith("C") else 1.0
    return DenseNet(blocks=blocks, growth=growth, bottleneck=bottleneck, compression=compression, stem="cifar")


PRESETS = {
    **{f"densenet{depth}": DenseNet(blocks=blocks, growth=growth) for depth, blocks, growth in IMAGENET},
    **{
        f"densenet_{'' if variant == 'plain' else variant.lower() + '_'}{depth}_{growth}": _cifar(
            variant, depth, growth
        )
        for variant, depth, growth in CIFAR
    },
}


def bn_act_conv(in_channels: int, out_channels: int, kernel: int, *, in_place: bool = False) -> nn.Sequential:
    """conv(ReLU(BN(x))) without bias: (N, in, H, W) to (N, out, H, W); only the ReLU reads BN's map."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(nn.BatchNorm2d(in_channels), nn.ReLU(inplace=in_place), conv)


class DenseLayer(nn.Module):
    """H_l of section 3, BN-ReLU-conv3x3, or BN-ReLU-conv1x1-BN-ReLU-conv3x3: (N, in, H, W) to (N, growth, H, W)."""

    def __init__(self, in_channels: int, growth: int, bottleneck: bool, dropout: float, in_place: bool = False) -> None:
        super().__init__()
        mid = EXPANSION * growth
        parts = [bn_act_conv(in_channels, mid, 1, in_place=in_place), bn_act_conv(mid, growth, 3, in_place=in_place)]
        self.parts = nn.ModuleList(parts if bottleneck else [bn_act_conv(in_channels, growth, 3, in_place=in_place)])
        self.dropout = nn.Dropout(dropout) if dropout > 0 else None

    def forward(self, x: Tensor) -> Tensor:
        """The k new maps of all maps x before them."""
        for part in self.parts:
            x = part(x)
            if self.dropout is not None:
                x = self.dropout(x)
        return x

    def recomputed(self, maps: Sequence[Tensor]) -> Tensor:
        """As forward(cat(maps)), yet nothing but the inputs of concatenations and BN is kept for the backward pass."""
        for part in self.parts:
            x = _recomputed(part, maps)
            maps = [x if self.dropout is None else self.dropout(x)]
        return maps[0]


def _recomputed(part: nn.Module, maps: Sequence[Tensor]) -> Tensor:
    """part(cat(maps)), keeping only the maps: the backward pass computes the concatenation, BN and ReLU again.

    It stops before the convolution, as nothing needs its output, and meets no random numbers, as dropout is outside.
    """

    def run(*maps: Tensor) -> Tensor:
        y: Tensor = part(torch.cat(maps, dim=1) if len(maps) > 1 else maps[0])
        return y

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _statistics_kept(part)  # around the forward pass, around the recomputation

    y: Tensor = checkpoint(run, *maps, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)
    return y


@contextmanager
def _statistics_kept(module: nn.Module) -> Iterator[None]:
    """Inside, batch norms move copies of their running statistics: recomputing a step is not a second step."""
    norms = [norm for norm in module.modules() if norm._buffers]
    kept = [dict(norm._buffers) for norm in norms]
    try:
        for norm, buffers in zip(norms, kept, strict=True):
            norm._buffers.update({key: None if value is None else value.clone() for key, value in buffers.items()})
        yield
    finally:
        for norm, buffers in zip(norms, kept, strict=True):
            norm._buffers.update(buffers)


class DenseBlock(nn.Module):
    """x, then the new maps of each layer, concatenated: (N, in, H, W) to (N, in + layers * k, H, W), old maps first."""

    def __init__(self, layers: Sequence[DenseLayer], memory_efficient: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.memory_efficient = memory_efficient

    def forward(self, x: Tensor) -> Tensor:
        """The concatenation. Evaluation, export and compilation are the same with and without memory_efficient."""
        if self.memory_efficient and self.training and torch.is_grad_enabled() and not torch.compiler.is_compiling():
            maps = [x]
            for layer in self.layers:
                assert isinstance(layer, DenseLayer)
                maps.append(layer.recomputed(maps))
            return torch.cat(maps, dim=1)
        for layer in self.layers:
            # One map grows: its gradient is one sum a layer, where a list of maps would take one a map and layer.
            x = torch.cat([x, layer(x)], dim=1)
        return x


@family("densenet", paper="arXiv:1608.06993", config=DenseNet, presets=PRESETS, inputs={"densenet_*": (32, 10)})
def build(config: DenseNet, image: ImageSpec, num_classes: int) -> nn.Module:
    """DenseNet with strides fitted to the image; a pool whose stride becomes 1 is left out.

    A stage is a transition (in the first stage the max pool) and the dense block after it, so stages begin where the
    resolution halves. The last one ends with BN and ReLU.

    Raises:
        BadInput: the config is out of range, or the image is too small.
    """
    _check(config)
    published = (*STEMS[config.stem], *(2 for _ in config.blocks[1:]))
    strides = list(fit_strides(published, image, "densenet"))
    # Section 4.2: "16 (or twice the growth rate for DenseNet-BC)".
    compressed_bottleneck = config.bottleneck and config.compression < 1
    channels = 2 * config.growth if config.stem == "imagenet" or compressed_bottleneck else 16
    first = nn.Sequential()
    if config.stem == "imagenet":
        conv1 = nn.Conv2d(image.channels, channels, 7, strides.pop(0), padding=3, bias=False)
        stem = nn.Sequential(conv1, nn.BatchNorm2d(channels), nn.ReLU())
        first.extend([nn.MaxPool2d(3, 2, padding=1)] if strides.pop(0) == 2 else [])
    else:
        stem = nn.Sequential(nn.Conv2d(image.channels, channels, 3, padding=1, bias=False))
    stages = [first]
    for number, num_layers in enumerate(config.blocks):
        if number > 0:
            kept = int(channels * config.compression)
            stages.append(bn_act_conv(channels, kept, 1))
            stages[-1].extend([nn.Dropout(config.dropout)] if config.dropout > 0 else [])
            stages[-1].extend([nn.AvgPool2d(2)] if strides[number - 1] == 2 else [])
            channels = kept
        widths = [channels + index * config.growth for index in range(num_layers)]
        plain = not config.memory_efficient  # recomputation wants to find what the ReLU read
        layers = [DenseLayer(width, config.growth, config.bottleneck, config.dropout, plain) for width in widths]
        stages[-1].append(DenseBlock(layers, config.memory_efficient))
        channels += num_layers * config.growth
    stages[-1].extend([nn.BatchNorm2d(channels), nn.ReLU()])
    net = ConvNet(stem, stages, pool_linear(channels, num_classes))
    _initialise(net)
    return net


def _check(config: DenseNet) -> None:
    checks = (
        (
            len(config.blocks) > 0 and all(layers >= 1 for layers in config.blocks),
            f"blocks are {config.blocks}; give the layers of each block, such as (6, 12, 24, 16)",
        ),
        (config.growth >= 1, f"growth is {config.growth}; it must be at least 1, such as 12 or 32"),
        (
            0 < config.compression <= 1 and int(2 * config.growth * config.compression) >= 1,
            f"compression is {config.compression}; it must be above 0 and at most 1, and leave a map",
        ),
        (config.stem in STEMS, f"stem is {config.stem!r}; it must be {' or '.join(STEMS)}"),
        (0 <= config.dropout < 1, f"dropout is {config.dropout}; it must be a fraction below 1"),
    )
    for holds, message in checks:
        if not holds:
            raise BadInput(f"densenet: {message}")


def _initialise(net: nn.Module) -> None:
    """As the authors' code: convolutions normal with variance 2 / fan-out (He), linear bias 0."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
