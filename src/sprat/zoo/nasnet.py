"""NASNet: N normal cells at each of three resolutions, a reduction cell between them; the cells were found by a search.

Source: NASNet (arXiv:1707.07012), sections 3 and 4, figures 2 and 4, tables 1 to 3; details from the released code.
NASNet-B and C are not here: their wiring was published in figures alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo.blocks import conv_bn, conv_bn_act, fit_strides, pool_linear
from sprat.zoo.family import family
from sprat.zoo.nasnet_cell import Cell, Map, NASNetCell, Step, check_cell

# NASNet-A, figure 4: operation and state, left and right. State 0 is the output of the last cell, 1 of the one before.
NORMAL = Cell(
    steps=(
        Step("sep5", 0, "sep3", 1),
        Step("sep5", 1, "sep3", 1),
        Step("avg3", 0, "identity", 1),
        Step("avg3", 1, "avg3", 1),
        Step("sep3", 0, "identity", 0),
    ),
    outputs=(1, 2, 3, 4, 5, 6),
)
REDUCTION = Cell(
    steps=(
        Step("sep5", 0, "sep7", 1),
        Step("max3", 0, "sep7", 1),
        Step("avg3", 0, "sep5", 1),
        Step("identity", 3, "avg3", 2),
        Step("sep3", 2, "max3", 0),
    ),
    outputs=(3, 4, 5, 6),
)

# Stem: filters of its convolution, which has stride 2 and is followed by two reduction cells of f/4 and f/2 filters;
# that of "cifar" has 3 f filters, stride 1 and no cells after it.
STEMS = {"cifar": None, "mobile": 32, "large": 96}
RESOLUTIONS = 3
UNPADDED = 128  # pixels from which the stem of stride 2 has no padding, as published


@dataclass(frozen=True, slots=True, kw_only=True)
class NASNet:
    """NASNet "N @ F"; the defaults are NASNet-A (4 @ 1056), the mobile network.

    Args:
        cells: N, normal cells at each resolution.
        filters: F, of the last cell: 4 f times the outputs of the normal cell, 24 f for NASNet-A. The first cells
            have f filters a state, with "mobile" and "large" a multiple of 4.
        stem: "cifar", "mobile" or "large".
        skip_reduction_input: the normal cell after a reduction reads the output that came before the reduction's input,
            instead of that input.
        drop_path: probability with which an operation's output in the last cell is dropped, an image, at the end of
            training; it grows with the progress of training and with the depth of the cell. Identities are kept.
        dropout: before the classifier.
        auxiliary: a second classifier on the cell before the second reduction, for training only.
        normal: cell of stride 1.
        reduction: cell that halves the map and doubles the filters.
        eps: of batch norm.
    """

    cells: int = 4
    filters: int = 1056
    stem: str = "mobile"
    skip_reduction_input: bool = False
    drop_path: float = 0.0
    dropout: float = 0.5
    auxiliary: bool = False
    normal: Cell = NORMAL
    reduction: Cell = REDUCTION
    eps: float = 1e-3


def _cifar(cells: int, filters: int) -> NASNet:
    return NASNet(cells=cells, filters=filters, stem="cifar", drop_path=0.4, dropout=0.0, eps=1e-5)


def _large(cells: int, filters: int) -> NASNet:
    return NASNet(cells=cells, filters=filters, stem="large", skip_reduction_input=True, drop_path=0.3)


PRESETS = {
    "nasnet_a_4_1056": NASNet(),
    "nasnet_a_6_4032": _large(6, 4032),
    "nasnet_a_7_1920": _large(7, 1920),
    "nasnet_a_5_1536": _large(5, 1536),  # printed as 5 @ 1538, which no f gives
    "nasnet_a_7_2304": _cifar(7, 2304),
    "nasnet_a_6_768": _cifar(6, 768),
    "nasnet_a_2_768": _cifar(2, 768),  # the size of the networks that the search trained
}
INPUTS = {
    "nasnet_a_6_4032": (331, 1000),
    "nasnet_a_7_1920": (299, 1000),
    "nasnet_a_5_1536": (299, 1000),
    "nasnet_a_7_2304": (32, 10),
    "nasnet_a_6_768": (32, 10),
    "nasnet_a_2_*": (32, 10),
}


class Place(NamedTuple):
    """One cell of the network: its wiring, filters of a state, published stride."""

    cell: Cell
    filters: int
    stride: int


def places(config: NASNet) -> tuple[Place, ...]:
    """The cells in order.

    Raises:
        BadInput: F is not 4 f times the outputs of the normal cell.
    """
    cifar = config.stem == "cifar"
    unit = 4 * len(config.normal.outputs) * (1 if cifar else 4)
    if config.filters < unit or config.filters % unit:
        below = config.filters // unit * unit
        near = " and ".join(str(filters) for filters in (below, max(0, below) + unit) if filters > 0)
        raise BadInput(
            f"nasnet of {config.filters} filters: with this normal cell and the {config.stem!r} stem the last cell has "
            f"a multiple of {unit}; nearest: {near}"
        )
    f = config.filters // (4 * len(config.normal.outputs))
    found = [] if cifar else [Place(config.reduction, f // 4, 2), Place(config.reduction, f // 2, 2)]
    for resolution in range(RESOLUTIONS):
        if resolution:
            found.append(Place(config.reduction, f * 2**resolution, 2))
        found.extend([Place(config.normal, f * 2**resolution, 1)] * config.cells)
    return tuple(found)


class NASNetwork(nn.Module):
    """Stem, cells and head; `features` are the maps after the stem and after the last cell of each resolution.

    Args:
        stem: convolution, without a ReLU.
        cells: each reads the outputs of the two before it.
        skips: positions of the cells whose input the next cell does not read.
        ends: position of the last cell of each resolution.
        head: of the last cell's output.
        auxiliary: head of the last cell of the last resolution but one, or None.
    """

    auxiliary_weight = 0.4

    def __init__(
        self,
        stem: nn.Module,
        cells: Sequence[NASNetCell],
        skips: tuple[int, ...],
        ends: tuple[int, ...],
        head: nn.Module,
        auxiliary: nn.Module | None,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.cells = nn.ModuleList(cells)
        self.skips = skips
        self.ends = ends
        self.head = head
        self.auxiliary = auxiliary

    def features(self, x: Tensor) -> list[Tensor]:
        """Feature maps after the stem, before each reduction and after the last cell, each (N, C_i, H_i, W_i)."""
        return self._maps(x, (-1, *self.ends))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, num_classes) of images x (N, C, H, W)."""
        logits: Tensor = self.head(self._maps(x, self.ends[-1:])[0])
        return logits

    def with_auxiliary(self, x: Tensor) -> tuple[Tensor, ...]:
        """The logits, followed by the auxiliary ones where the network has that head."""
        if self.auxiliary is None:
            return (self.forward(x),)
        middle, last = self._maps(x, self.ends[-2:])
        return self.head(last), self.auxiliary(middle)

    def set_progress(self, fraction: float) -> None:
        """The fraction of training that is done, 0 to 1; drop path grows with it. A new network is at 0."""
        if not 0 <= fraction <= 1:
            raise BadInput(f"progress of training is {fraction}; it must be a fraction from 0 to 1")
        for module in self.cells:
            if isinstance(module, NASNetCell):
                module.progress = fraction

    def _maps(self, x: Tensor, keep: tuple[int, ...]) -> list[Tensor]:
        """The outputs of the cells at the positions `keep`, where -1 is the stem; the others are not held on to."""
        newer = self.stem(x)
        older, older_relu = newer, torch.relu(newer)
        maps = [newer] if -1 in keep else []
        for position, cell in enumerate(self.cells):
            newer_relu = torch.relu(newer) if position else older_relu
            y = cell(older, older_relu, newer_relu)
            if position not in self.skips:
                older, older_relu = newer, newer_relu
            newer = y
            if position in keep:
                maps.append(y)
        return maps


@family("nasnet", paper="arXiv:1707.07012", config=NASNet, presets=PRESETS, inputs=INPUTS)
def build(config: NASNet, image: ImageSpec, num_classes: int) -> nn.Module:
    """A NASNet with strides fitted to the image; a reduction cell of stride 1 changes the filters only.

    Convolutions and pools of stride 2 pad both ends; the released code pads the end alone where the size is even, with
    the same sizes and counts. Images under 128 pixels get a padded stem (our addition).

    Raises:
        BadInput: a cell that cannot be built, filters that do not divide, or too small an image.
    """
    _check(config)
    plan = places(config)
    published = 1 if config.stem == "cifar" else 2
    stem_stride, *strides = fit_strides((published, *(place.stride for place in plan)), image, "nasnet")
    channels = STEMS[config.stem] or 3 * plan[0].filters
    valid = published == 2 and min(image.height, image.width) >= UNPADDED
    stem = conv_bn(image.channels, channels, 3, stem_stride, padding=0 if valid else 1, eps=config.eps)
    sides = [(side - (3 if valid else 1)) // stem_stride + 1 for side in (image.height, image.width)]
    ends = (*(p - 1 for p, place in enumerate(plan) if place.stride == 2 and p), len(plan) - 1)
    reductions = tuple(end + 1 for end in ends[-RESOLUTIONS:-1])
    older, newer = None, Map(channels, 0)
    cells: list[NASNetCell] = []
    auxiliary: nn.Module | None = None
    for position, (place, stride) in enumerate(zip(plan, strides, strict=True)):
        drop_path = config.drop_path * (position + 1) / len(plan)
        cell = NASNetCell(place.cell, older, newer, place.filters, stride, drop_path, config.eps)
        if not (config.skip_reduction_input and position in reductions):
            older = newer
        newer = Map(cell.out_channels, newer.halvings + (stride == 2))
        sides = [-(-side // stride) for side in sides]
        cells.append(cell)
        if config.auxiliary and position == ends[-2]:
            auxiliary = auxiliary_head(newer.channels, sides[0], sides[1], num_classes, config.eps)
    head = nn.Sequential(nn.ReLU(), *pool_linear(newer.channels, num_classes, config.dropout))
    net = NASNetwork(stem, cells, reductions if config.skip_reduction_input else (), ends, head, auxiliary)
    _initialise(net)
    return net


def auxiliary_head(in_channels: int, height: int, width: int, num_classes: int, eps: float) -> nn.Sequential:
    """(N, C, H, W) to logits: ReLU, 5x5/3 average, 1x1 to 128, full-map convolution to 768, classifier.

    On maps under 5 pixels the average takes the whole side (our addition).
    """
    window = (min(5, height), min(5, width))
    full = ((height - window[0]) // 3 + 1, (width - window[1]) // 3 + 1)
    return nn.Sequential(
        nn.ReLU(),
        nn.AvgPool2d(window, 3),
        conv_bn_act(in_channels, 128, 1, eps=eps),
        conv_bn_act(128, 768, full, padding=0, eps=eps),
        nn.Flatten(),
        nn.Linear(768, num_classes),
    )


def _check(config: NASNet) -> None:
    if config.stem not in STEMS:
        raise BadInput(f"nasnet: stem is {config.stem!r}; it must be one of {', '.join(STEMS)}")
    if config.cells < 1:
        raise BadInput(f"nasnet of {config.cells} cells: each of the three resolutions needs at least 1")
    for name in ("drop_path", "dropout"):
        if not 0 <= getattr(config, name) < 1:
            raise BadInput(f"nasnet: {name} is {getattr(config, name)}; it must be a fraction below 1")
    if not 0 < config.eps < 1:
        raise BadInput(f"nasnet: eps is {config.eps}; it must be above 0 and small, such as 0.001")
    check_cell(config.normal, "nasnet: the normal cell")
    check_cell(config.reduction, "nasnet: the reduction cell")


def _initialise(net: nn.Module) -> None:
    """Truncated normal of variance 2 / fan-out, as in the released code also in the classifiers, whose biases are 0."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            groups = module.groups if isinstance(module, nn.Conv2d) else 1
            fan_out = module.weight.shape[0] // groups * module.weight[0, 0].numel()
            std = (1.3 * 2 / fan_out) ** 0.5  # 1.3 makes up for what the truncation at two deviations takes
            nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
