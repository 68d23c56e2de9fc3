"""SqueezeNet: fire modules (squeeze 1x1, then expand 1x1 beside 3x3), version 1.0 and 1.1, with or without bypass.

Source: SqueezeNet (arXiv:1602.07360), table 1, sections 3, 5 and 6; the released Caffe networks.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo.blocks import ConvNet, fit_strides
from sprat.zoo.family import family

# Version: channels and kernel of conv1 (stride 2), and the first fire after each of the three max pools.
VERSIONS = {"1.0": (96, 7, (2, 5, 9)), "1.1": (64, 3, (2, 4, 6))}
FIRES = range(2, 10)  # fire2 to fire9
STRIDES = (2, 2, 2, 2)  # conv1 and the three max pools
BYPASSES = ("none", "simple", "complex")
UNPADDED = 128  # pixels from which conv1 has no padding, as published


@dataclass(frozen=True, slots=True, kw_only=True)
class SqueezeNet:
    """SqueezeNet in the metaparameters of section 5.1, whose defaults are table 1.

    Args:
        version: "1.0" (the paper) or "1.1" (the released one of 2.4 times fewer macs): conv1 and where the pools are.
        base_e: expand filters of fire2.
        incr_e: added to the expand filters after every `freq` fires.
        freq: fires of equal size in a row.
        pct3x3: fraction of the expand filters that are 3x3, 0.01 to 0.99 in section 5.3; their number is rounded to the
            nearest, the rest are 1x1, so that the expand filters stay as many as base_e and incr_e say.
        sr: squeeze ratio, squeeze filters over expand filters, 0.125 to 1 in section 5.2.
        bypass: "none", "simple" (around fires with as many channels in as out: fire3, 5, 7, 9) or "complex" (also 1x1
            convolutions around the other fires).
        conv10_padding: 0 as in table 1; the released v1.0 file has 1.
        dropout: after fire9.
        width: multiplies every channel count but the classes; our addition. Multiples of 1/16 divide.
        batch_norm: batch norm after each convolution but conv10, instead of biases, and no ReLU after conv10; our
            addition, without which small networks hardly train from scratch.
    """

    version: str = "1.0"
    base_e: int = 128
    incr_e: int = 128
    freq: int = 2
    pct3x3: float = 0.5
    sr: float = 0.125
    bypass: str = "none"
    conv10_padding: int = 0
    dropout: float = 0.5
    width: float = 1.0
    batch_norm: bool = False


PRESETS = {
    "squeezenet_1.0": SqueezeNet(),
    "squeezenet_1.1": SqueezeNet(version="1.1"),
    "squeezenet_1.0_simple_bypass": SqueezeNet(bypass="simple"),
    "squeezenet_1.0_complex_bypass": SqueezeNet(bypass="complex"),
    **{
        f"squeezenet_1.1_bn_{width}": SqueezeNet(
            version="1.1", bypass="simple", dropout=0.0, width=width, batch_norm=True
        )
        for width in (1.0, 0.75, 0.5, 0.375, 0.25, 0.125)
    },
}


def conv_relu(in_channels: int, out_channels: int, kernel: int, stride: int, padding: int) -> nn.Sequential:
    """ReLU(conv(x)) with bias, as published."""
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, kernel, stride, padding), nn.ReLU())


def conv_bn_relu(in_channels: int, out_channels: int, kernel: int, stride: int, padding: int) -> nn.Sequential:
    """ReLU(BN(conv(x))) without bias, for training from scratch."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU())


class Fire(nn.Module):
    """concat(expand1x1(s), expand3x3(s)) of s = squeeze(x), figure 1: (N, in, H, W) to (N, e1 + e3, H, W)."""

    def __init__(self, squeeze: nn.Module, expand1x1: nn.Module, expand3x3: nn.Module) -> None:
        super().__init__()
        self.squeeze = squeeze
        self.expand1x1 = expand1x1
        self.expand3x3 = expand3x3

    def forward(self, x: Tensor) -> Tensor:
        """The module's output."""
        x = self.squeeze(x)
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1)


class Bypass(nn.Module):
    """fire(x) + shortcut(x), figure 2, middle and right; no ReLU after the sum."""

    def __init__(self, fire: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.fire = fire
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """The sum."""
        total: Tensor = self.fire(x) + self.shortcut(x)
        return total


def fire_widths(config: SqueezeNet, fire: int) -> tuple[int, int, int]:
    """Squeeze, expand 1x1 and expand 3x3 filters of fire2 ... fire9 (section 5.1).

    The study takes pct3x3 from 1% to 99% of 128 and more filters, which is seldom whole: the 3x3 filters are rounded.

    Raises:
        BadInput: the squeeze or the expand filters are not whole, or none are left of a kind.
    """
    published = config.base_e + config.incr_e * ((fire - FIRES[0]) // config.freq)
    squeeze = _whole(published * config.sr * config.width, f"fire{fire} squeeze 1x1")
    expand = _whole(published * config.width, f"fire{fire} expand")
    three = round(expand * config.pct3x3)
    if not 0 < three < expand:
        raise BadInput(
            f"squeezenet: pct3x3 {config.pct3x3} of the {expand} expand filters of fire{fire} leaves {three} 3x3 and "
            f"{expand - three} 1x1 filters; choose one that leaves at least 1 of each, such as 0.5"
        )
    return squeeze, expand - three, three


def _whole(filters: float, what: str) -> int:
    if round(filters) < 1 or abs(filters - round(filters)) > 1e-6:
        raise BadInput(
            f"squeezenet: {what} would have {filters:g} filters; choose width, base_e, incr_e and sr that give "
            "whole numbers (widths that are multiples of 1/16 do)"
        )
    return round(filters)


@family(
    "squeezenet",
    paper="arXiv:1602.07360",
    config=SqueezeNet,
    presets=PRESETS,
    inputs={"squeezenet_1.[01]": (227, 1000), "squeezenet_1.0_*": (227, 1000)},
)
def build(config: SqueezeNet, image: ImageSpec, num_classes: int) -> nn.Module:
    """SqueezeNet with strides fitted to the image; a max pool whose stride becomes 1 is left out.

    Images under 128 pixels get a padded conv1 (our addition), as 7x7 without padding would eat most of a small image.
    Stages begin where the resolution halves.

    Raises:
        BadInput: an unknown version or bypass, filters that are not whole, or an image that is too small.
    """
    _check(config)
    conv1_channels, kernel, after_pool = VERSIONS[config.version]
    conv1, *pools = fit_strides(STRIDES, image, "squeezenet")
    padding = 0 if min(image.height, image.width) >= UNPADDED else kernel // 2
    conv = conv_bn_relu if config.batch_norm else conv_relu
    channels = _whole(conv1_channels * config.width, "conv1")
    stem = conv(image.channels, channels, kernel, conv1, padding)
    stages: list[nn.Sequential] = []
    for number in FIRES:
        if number in after_pool:
            pooled = pools[len(stages)] == 2
            stages.append(nn.Sequential(*([nn.MaxPool2d(3, 2, ceil_mode=True)] if pooled else [])))
        squeeze, one, three = fire_widths(config, number)
        block: nn.Module = Fire(
            conv(channels, squeeze, 1, 1, 0), conv(squeeze, one, 1, 1, 0), conv(squeeze, three, 3, 1, 1)
        )
        if config.bypass != "none" and channels == one + three:
            block = Bypass(block, nn.Identity())
        elif config.bypass == "complex":
            block = Bypass(block, nn.Conv2d(channels, one + three, 1))
        stages[-1].append(block)
        channels = one + three
    net = ConvNet(stem, stages, _head(config, channels, num_classes))
    _initialise(net)
    return net


def _check(config: SqueezeNet) -> None:
    checks = (
        (config.version in VERSIONS, f"version is {config.version!r}; it must be {' or '.join(VERSIONS)}"),
        (config.bypass in BYPASSES, f"bypass is {config.bypass!r}; it must be {', '.join(BYPASSES[:-1])} or complex"),
        (config.freq >= 1, f"freq is {config.freq}; it must be at least 1"),
        (
            config.base_e >= 1 and config.incr_e >= 0,
            f"base_e {config.base_e} and incr_e {config.incr_e} must be positive",
        ),
        (0 < config.pct3x3 < 1, f"pct3x3 is {config.pct3x3}; it must be between 0 and 1"),
        (0 < config.sr <= 1, f"sr is {config.sr}; it must be above 0 and at most 1"),
        (0 < config.width < math.inf, f"width is {config.width}; it must be above 0, such as 0.25"),
        (config.conv10_padding in (0, 1), f"conv10_padding is {config.conv10_padding}; it must be 0 or 1"),
        (0 <= config.dropout < 1, f"dropout is {config.dropout}; it must be a fraction below 1"),
    )
    for holds, message in checks:
        if not holds:
            raise BadInput(f"squeezenet: {message}")


def _head(config: SqueezeNet, channels: int, num_classes: int) -> nn.Sequential:
    head = nn.Sequential()
    if config.dropout > 0:
        head.append(nn.Dropout(config.dropout))
    head.append(nn.Conv2d(channels, num_classes, 1, padding=config.conv10_padding))
    if not config.batch_norm:
        head.append(nn.ReLU())
    return head.extend([nn.AdaptiveAvgPool2d(1), nn.Flatten()])


def _initialise(net: ConvNet) -> None:
    """As the released networks: Caffe's Xavier (uniform, variance 1 / fan-in), normal of std 0.01 in conv10, bias 0."""
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            if name.startswith("head."):
                nn.init.normal_(module.weight, std=0.01)
            else:
                bound = math.sqrt(3 / module.weight[0].numel())
                nn.init.uniform_(module.weight, -bound, bound)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
