"""ShuffleNet v1: pointwise group convolutions, and a channel shuffle so that the groups see each other.

Source: ShuffleNet (arXiv:1707.01083), table 1, figure 2, sections 3.1 to 3.3; the variants of tables 3 and 5; initial
values from the authors' code.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo.blocks import ConvNet, conv_bn, fit_strides, pool_linear
from sprat.zoo.family import family

# Table 1: output channels of stage 2 for each number of groups; they double in stages 3 and 4. Then units a stage.
STAGE2 = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}
UNITS = (4, 8, 4)
LEAST_SE = 8  # middle channels of squeeze-and-excitation; our addition, as ReLUs may all be dead where there are 3
STRIDES = (2, 2, 2, 2, 2)  # conv1, max pool, first unit of stages 2, 3 and 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ShuffleNetV1:
    """ShuffleNet "scale x" of section 4 with g groups.

    Args:
        groups: g, one of 1, 2, 3, 4 and 8, or any number where stage2 is given; 1 is the paper's "Xception-like"
            network, without shuffle.
        scale: s; multiplies the channels of stages 2 to 4. A quarter of stage 2 must divide into g groups.
        dropout: before the classifier (the paper has none).
        shuffle: the channel shuffle; without it the groups of a unit do not see each other (table 3).
        units: of stages 2, 3 and 4; 2, 4 and 2 is the shallow network of table 5.
        stage2: channels of stage 2, in place of the table's times s; 144 with 4 groups makes the 576 channels of stage
            4 that section 4.2 gives.
        conv1: channels of the first convolution, in place of those of `widths`; stage2 less conv1 must divide by g.
        se_ratio: squeeze-and-excitation after each unit, with the unit's channels over se_ratio in its middle, at least
            8; 16 gives table 5's count. None is without.
    """

    groups: int = 3
    scale: float = 1.0
    dropout: float = 0.0
    shuffle: bool = True
    units: tuple[int, int, int] = UNITS
    stage2: int | None = None
    conv1: int | None = None
    se_ratio: int | None = None


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave channels so that the next group convolution sees every group.

    Source: ShuffleNet (arXiv:1707.01083), section 3.1, figure 1.

    Args:
        x: (N, C, H, W), C a multiple of groups.
        groups: g of the group convolution before it.

    Returns:
        (N, C, H, W): the channels of x, permuted; same dtype and device.

    Raises:
        BadInput: C is not a multiple of groups.
    """
    num, channels, height, width = x.shape
    if groups < 1 or channels % groups:
        raise BadInput(
            f"{channels} channels cannot be shuffled in {groups} groups: {groups} does not divide {channels}"
        )
    x = x.reshape(num, groups, channels // groups, height, width)
    return x.transpose(1, 2).reshape(num, channels, height, width)


class ChannelShuffle(nn.Module):
    """`channel_shuffle` as a layer: (N, C, H, W) to (N, C, H, W)."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """The channels of x, permuted."""
        return channel_shuffle(x, self.groups)

    def extra_repr(self) -> str:
        """The number of groups, for print(net)."""
        return f"groups={self.groups}"


def branch(
    in_channels: int, mid: int, out_channels: int, stride: int, groups: int, first_groups: int, shuffle: bool = True
) -> nn.Sequential:
    """The residual branch of figure 2: pointwise (in, mid), shuffle, depthwise without ReLU, pointwise (mid, out)."""
    between = [ChannelShuffle(groups)] if groups > 1 and shuffle else []
    return nn.Sequential(
        conv_bn(in_channels, mid, 1, 1, first_groups),
        nn.ReLU(),
        *between,
        conv_bn(mid, mid, 3, stride, groups=mid),
        conv_bn(mid, out_channels, 1, 1, groups),
    )


class AddUnit(nn.Module):
    """relu(x + branch(x)), figure 2 (b): (N, C, H, W) to (N, C, H, W)."""

    def __init__(self, channels: int, groups: int, shuffle: bool = True) -> None:
        super().__init__()
        self.branch = branch(channels, channels // 4, channels, 1, groups, groups, shuffle)

    def forward(self, x: Tensor) -> Tensor:
        """The unit's output."""
        return torch.relu(x + self.branch(x))


class ConcatUnit(nn.Module):
    """concat(average pool(x), relu(branch(x))), figure 2 (c): (N, in, H, W) to (N, out, ceil(H / stride), ...).

    On small images the stride may be 1; then the pool has nothing to reduce and is left out.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, groups: int, first_groups: int, shuffle: bool = True
    ) -> None:
        super().__init__()
        self.shortcut = nn.AvgPool2d(3, 2, 1) if stride == 2 else nn.Identity()
        mid, new = out_channels // 4, out_channels - in_channels
        self.branch = branch(in_channels, mid, new, stride, groups, first_groups, shuffle)

    def forward(self, x: Tensor) -> Tensor:
        """The unit's output."""
        return torch.cat([self.shortcut(x), torch.relu(self.branch(x))], dim=1)


class SqueezeExcitation(nn.Module):
    """x * sigmoid(fc(relu(fc(global average of x)))): (N, C, H, W) to (N, C, H, W).

    Source: SENet (arXiv:1709.01507), section 3. ShuffleNet does not say where it stands; on the output of each unit
    the printed count comes out.
    """

    def __init__(self, channels: int, mid: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, mid, 1), nn.ReLU(), nn.Conv2d(mid, channels, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """x, each channel scaled by its gate."""
        scaled: Tensor = x * self.gate(x)
        return scaled


def widths(config: ShuffleNetV1) -> tuple[int, int]:
    """Channels of conv1 and of stage 2.

    conv1 has 24 channels, 48 from 2x on; under 1x it has 12, or 16 where 12 leaves a number that g does not divide:
    those are the values with which the printed counts come out.

    Raises:
        BadInput: the scale gives a fraction of a channel, or channels that do not divide into g groups.
    """
    name = f"shufflenet_v1 of scale {config.scale} with {config.groups} groups"
    if not 0 < config.scale < math.inf:
        raise BadInput(f"{name}: the scale must be above 0, such as 0.5")
    stage2 = _table_stage2(config, name) if config.stage2 is None else config.stage2
    if config.groups < 1 or stage2 < 4 or stage2 % 4 or stage2 // 4 % config.groups:
        raise BadInput(
            f"{name}: a quarter of the {stage2} channels of stage 2 ({stage2 / 4:g}) does not divide into "
            f"{config.groups} groups; g=3 and g=8 divide at 0.25, 0.5, 1.0, 1.5, 2.0, as does stage2 a multiple of 4g"
        )
    stems = (48,) if config.scale >= 2 else (24,) if config.scale >= 1 else (12, 16)
    stems = stems if config.conv1 is None else (config.conv1,)
    for stem in stems:
        if 0 < stem < stage2 and (stage2 - stem) % config.groups == 0:
            return stem, stage2
    raise BadInput(
        f"{name}: the {stage2} channels of stage 2 less the {stems[-1]} of conv1 do not divide into "
        f"{config.groups} groups; choose a larger scale or fewer groups, or conv1 and stage2 that do"
    )


def _table_stage2(config: ShuffleNetV1, name: str) -> int:
    if config.groups not in STAGE2:
        raise BadInput(f"{name}: the paper gives widths for 1, 2, 3, 4 or 8 groups; others need stage2")
    exact = STAGE2[config.groups] * config.scale
    if abs(exact - round(exact)) > 1e-6:
        raise BadInput(f"{name}: stage 2 would have {exact:g} channels; choose a scale that gives a whole number")
    return round(exact)


PRESETS = {
    **{
        f"shufflenet_v1_{scale}_g{groups}": ShuffleNetV1(groups=groups, scale=scale)
        for scale in (0.25, 0.5, 1.0, 1.5, 2.0)
        for groups in (1, 2, 3, 4, 8)
        if groups in (1, 3, 8) or scale in (1.0, 2.0)  # 2 and 4 groups divide at 1x and 2x only
    },
    **{
        f"shufflenet_v1_{scale}_g{groups}_noshuffle": ShuffleNetV1(groups=groups, scale=scale, shuffle=False)
        for scale in (0.25, 0.5, 1.0)
        for groups in (3, 8)
    },
    "shufflenet_v1_2.0_g3_se": ShuffleNetV1(groups=3, scale=2.0, se_ratio=16),
    "shufflenet_v1_0.5_g3_shallow": ShuffleNetV1(groups=3, scale=0.5, units=(2, 4, 2)),
}


@family("shufflenet_v1", paper="arXiv:1707.01083", config=ShuffleNetV1, presets=PRESETS)
def build(config: ShuffleNetV1, image: ImageSpec, num_classes: int) -> nn.Module:
    """ShuffleNet v1 with strides fitted to the image; a max pool whose stride becomes 1 is left out.

    Raises:
        BadInput: the channels do not divide, units or se_ratio below 1, or the image is too small.
    """
    _check(config)
    channels, out_channels = widths(config)
    conv1, pool, *rest = fit_strides(STRIDES, image, "shufflenet_v1")
    stem = nn.Sequential(conv_bn(image.channels, channels, 3, conv1), nn.ReLU())
    if pool == 2:
        stem.append(nn.MaxPool2d(3, 2, 1))
    stages: list[nn.Sequential] = []
    for num_units, stride in zip(config.units, rest, strict=True):
        # Section 3.2: the first pointwise layer of stage 2 is not grouped, as its input has so few channels.
        first_groups = config.groups if stages else 1
        units: list[nn.Module] = [
            ConcatUnit(channels, out_channels, stride, config.groups, first_groups, config.shuffle),
            *(AddUnit(out_channels, config.groups, config.shuffle) for _ in range(num_units - 1)),
        ]
        if config.se_ratio is not None:
            mid = max(LEAST_SE, out_channels // config.se_ratio)
            units = [nn.Sequential(unit, SqueezeExcitation(out_channels, mid)) for unit in units]
        stages.append(nn.Sequential(*units))
        channels, out_channels = out_channels, 2 * out_channels
    net = ConvNet(stem, stages, pool_linear(channels, num_classes, config.dropout))
    _initialise(net)
    return net


def _check(config: ShuffleNetV1) -> None:
    if len(config.units) != len(UNITS) or min(config.units) < 1:
        raise BadInput(f"shufflenet_v1 with units {config.units}: three stages of at least 1, such as 4, 8 and 4")
    if config.se_ratio is not None and config.se_ratio < 1:
        raise BadInput(f"shufflenet_v1 with se_ratio {config.se_ratio}: it must be at least 1, such as 16, or None")
    if not 0 <= config.dropout < 1:
        raise BadInput(f"shufflenet_v1 with dropout {config.dropout}: it must be a fraction below 1")


def _initialise(net: ConvNet) -> None:
    """As the authors' code: normal of std 1 / (input channels a group), 0.01 in conv1 and classifier; BN bias 1e-4.

    Squeeze-and-excitation, which that code does not have, gets the same weights and bias 0: gates start near 1/2.
    """
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            std = 0.01 if name.startswith("stem.") else 1.0 / module.weight.shape[1]
            nn.init.normal_(module.weight, std=std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.bias, 1e-4)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)
