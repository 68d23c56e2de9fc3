"""The counts of ENAS's macro networks, the released architecture, the wiring (shared/facts/enas.md)."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from sprat.cost import count
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo import build, config_from_dict, config_to_dict, create
from sprat.zoo.enas_macro import OPS, RELEASED, EnasMacro, MacroLayer, operation

CIFAR = ImageSpec(3, 32, 32)
# The released architecture as its script has it: an operation's code, then one bit for each map it may skip from.
ARC = """
0
3 0
0 1 0
2 0 0 1
2 0 0 0 0
3 1 1 0 1 0
2 0 0 0 0 0 1
2 0 1 1 0 1 1 1
1 0 1 1 1 0 1 0 1
0 0 0 0 0 0 0 0 0 0
2 0 0 0 0 0 1 0 0 0 0
0 1 0 0 1 1 0 0 0 0 1 1
2 0 1 0 0 0 0 0 1 0 1 1 0
1 0 0 1 0 0 0 1 1 1 0 1 0 1
0 1 1 0 1 0 1 0 0 0 0 0 1 0 0
2 0 0 1 0 0 0 0 0 0 0 1 0 1 0 1
2 0 1 0 0 0 1 0 0 1 1 1 1 0 0 1 0
2 0 0 0 0 1 0 1 0 1 0 0 1 0 1 0 0 1
3 0 1 1 0 1 0 0 0 0 0 1 0 1 0 1 0 0 0
3 0 1 1 0 0 0 0 0 0 0 0 0 1 1 0 0 0 0 1
0 1 0 0 1 0 1 1 0 0 0 1 0 0 0 0 0 1 1 0 0
3 0 1 0 1 1 0 0 1 0 1 1 0 1 1 0 1 0 0 1 0 0
0 1 0 1 0 1 0 0 0 0 0 0 0 0 1 0 1 0 0 1 0 0 0
0 1 1 0 0 0 1 1 1 0 1 0 0 0 1 0 1 0 0 1 1 0 0 0
"""
PLAIN = (MacroLayer("conv3"), MacroLayer("conv3"), MacroLayer("conv3"))
# Every operation, layers without skips, and reductions of maps that are read in the last part alone.
MIXED = (
    MacroLayer("max3"),
    MacroLayer("sep5", (0,)),
    MacroLayer("avg3", (0, 1)),
    MacroLayer("sep3"),
    MacroLayer("conv5", (1, 2)),
    MacroLayer("conv3", (0, 1, 4)),
    MacroLayer("conv3", (2, 5)),
)


def arc() -> list[list[int]]:
    return [[int(code) for code in line.split()] for line in ARC.split("\n") if line]


@pytest.mark.parametrize(
    ("name", "params", "channels"),
    [
        ("enas_macro_96", 42_559_392, 384),
        ("enas_macro_128", 75_636_608, 512),
        ("enas_macro_96_separable", 30_947_424, 384),
        ("enas_macro_128_separable", 54_976_640, 512),
    ],
)
def test_counts(name: str, params: int, channels: int) -> None:
    with torch.device("meta"):
        net = create(name, num_classes=10, image=CIFAR)
        maps = net.features(torch.empty(1, *CIFAR.shape))
        assert count(net, CIFAR).params == params
    top = channels // 4
    assert [tuple(x.shape[1:]) for x in maps] == [
        (top, 32, 32),
        (top, 32, 32),
        (2 * top, 16, 16),
        (4 * top, 8, 8),
    ]


@pytest.mark.parametrize(("filters", "printed"), [(96, 21.3), (128, 38.0)])
def test_the_printed_sizes_are_about_half_and_not_reproduced(filters: int, printed: float) -> None:
    for separable in (False, True):
        with torch.device("meta"):
            seen = count(build(EnasMacro(filters=filters, separable=separable), CIFAR, 10), CIFAR).params / 1e6
        assert abs(seen - printed) > 9
        assert separable or 1.98 < seen / printed < 2.01


def test_released_architecture() -> None:
    decoded = [MacroLayer(OPS[code], tuple(i for i, bit in enumerate(bits) if bit)) for code, *bits in arc()]
    assert tuple(decoded) == RELEASED
    assert [len(bits) for _, *bits in arc()] == list(range(24))
    assert sum(len(layer.skips) for layer in RELEASED) == 98
    assert Counter(layer.op for layer in RELEASED) == {"conv5": 9, "conv3": 8, "sep5": 5, "sep3": 2}


def randomise(net: nn.Module) -> nn.Module:
    """Statistics and affine values of batch norm that a mix-up would show."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return net.eval()


class Straight:
    """The released fixed network, written down naively: each tensor of the state dict is used once, in its order."""

    def __init__(self, net: nn.Module) -> None:
        self.values: Iterator[Tensor] = iter([value for value in net.state_dict().values() if value.ndim])

    def conv(self, x: Tensor, groups: int = 1, stride: int = 1) -> Tensor:
        weight = next(self.values)
        return torch.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=groups)

    def norm(self, x: Tensor) -> Tensor:
        gain, bias, mean, variance = (next(self.values).view(1, -1, 1, 1) for _ in range(4))
        return (x - mean) / (variance + 1e-5).sqrt() * gain + bias

    def operation(self, code: int, x: Tensor, separable: bool) -> Tensor:
        x = self.norm(self.conv(x.relu())).relu()
        channels = x.shape[1]
        if code == 4:
            area = nn.functional.avg_pool2d(torch.ones_like(x), 3, 1, 1)
            return self.norm(nn.functional.avg_pool2d(x, 3, 1, 1) / area)
        if code == 5:
            return self.norm(nn.functional.max_pool2d(nn.functional.pad(x, (1,) * 4, value=-1e9), 3, 1))
        if code in (1, 3) and separable:
            return self.norm(self.conv(self.conv(x, groups=channels)))
        return self.norm(self.conv(x))

    def reduce(self, x: Tensor, stride: int) -> Tensor:
        if stride == 1:
            return self.norm(self.conv(x))
        bottom_right = nn.functional.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        halves = []
        for y in (x, bottom_right):
            weight = next(self.values)[:, :, 0, 0]
            halves.append(self.norm(torch.einsum("oc,nchw->nohw", weight, y[:, :, ::2, ::2])))
        return torch.cat(halves, 1)

    def logits(self, x: Tensor, layers: list[list[int]], separable: bool, strides: tuple[int, int]) -> Tensor:
        stored = [self.norm(self.conv(x))]
        third = len(layers) // 3
        for number, (code, *bits) in enumerate(layers):
            if number in (third, 2 * third):
                later = [bits for _, *bits in layers[number:]]
                kept = [i == number or any(row[i] for row in later if i < len(row)) for i in range(len(stored))]
                stride = strides[number // third - 1]
                stored = [self.reduce(y, stride) if keep else y for y, keep in zip(stored, kept, strict=True)]
            y = self.operation(code, stored[number], separable)
            if number:
                chosen = [stored[i] for i, bit in enumerate(bits) if bit]
                y = self.norm(self.conv(torch.cat([*chosen, y], 1).relu()))
            stored.append(y)
        logits = stored[-1].mean((2, 3)) @ next(self.values).T
        assert next(self.values, None) is None, "a tensor that the network never uses"
        return logits


@pytest.mark.parametrize(
    ("layers", "separable", "image", "strides"),
    [
        (RELEASED, False, ImageSpec(3, 16, 21), (2, 2)),
        (RELEASED, True, ImageSpec(3, 16, 16), (2, 2)),
        (MIXED, True, ImageSpec(1, 17, 19), (2, 2)),
        (MIXED, False, ImageSpec(3, 9, 8), (1, 2)),
        (MIXED, False, ImageSpec(3, 5, 6), (1, 1)),
    ],
)
def test_logits_are_those_of_a_straight_line(
    layers: tuple[MacroLayer, ...], separable: bool, image: ImageSpec, strides: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    net = randomise(build(EnasMacro(layers=layers, filters=4, separable=separable), image, 5)).double()
    x = torch.randn(2, *image.shape, dtype=torch.float64)
    codes = [[OPS.index(layer.op), *(int(i in layer.skips) for i in range(k))] for k, layer in enumerate(layers)]
    with torch.no_grad():
        wanted = Straight(net).logits(x, arc() if layers is RELEASED else codes, separable, strides)
        torch.testing.assert_close(net(x), wanted, rtol=1e-9, atol=1e-9)
        assert torch.equal(net(x), net.head(net.features(x)[-1]))
    assert (wanted[0] - wanted[1]).abs().max() > 1e-3 * wanted.abs().max()


@pytest.mark.parametrize("layers", [RELEASED, MIXED])
def test_gradient_reaches_every_parameter(layers: tuple[MacroLayer, ...]) -> None:
    torch.manual_seed(0)
    net = build(EnasMacro(layers=layers, filters=4, separable=True), ImageSpec(3, 16, 16), 5)
    nn.functional.cross_entropy(net(torch.randn(4, 3, 16, 16)), torch.tensor([0, 1, 2, 3])).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_only_maps_that_are_read_later_are_reduced() -> None:
    def reduced(layers: tuple[MacroLayer, ...]) -> list[list[str]]:
        with torch.device("meta"):
            return [list(part.reductions) for part in build(EnasMacro(layers=layers), CIFAR, 10).parts]

    assert reduced(RELEASED) == [[], [str(i) for i in range(9)], [str(i) for i in range(17)]]
    assert reduced(PLAIN) == [[], ["1"], ["2"]]
    assert reduced((*PLAIN[:2], MacroLayer("conv3", (0,)))) == [[], ["0", "1"], ["0", "2"]]


def test_reductions_come_after_each_third() -> None:
    for layers, sizes in ((12, [4, 4, 4]), (24, [8, 8, 8]), (3, [1, 1, 1]), (8, [2, 2, 4])):
        with torch.device("meta"):
            net = build(EnasMacro(layers=(MacroLayer("conv3"),) * layers), CIFAR, 10)
        assert [len(part.layers) for part in net.parts] == sizes


@pytest.mark.parametrize("op", OPS)
def test_operations_keep_the_shape_and_cost_what_they_are(op: str) -> None:
    params = {"conv3": 9 * 64, "conv5": 25 * 64, "sep3": 9 * 8 + 64, "sep5": 25 * 8 + 64, "avg3": 0, "max3": 0}
    run = operation(op, 8, separable=True)
    assert run(torch.randn(2, 8, 5, 6)).shape == (2, 8, 5, 6)
    assert sum(p.numel() for p in run.parameters()) == 64 + 16 + params[op] + 16


def test_initial_values_are_hes() -> None:
    torch.manual_seed(0)
    net = build(EnasMacro(layers=PLAIN, filters=32), CIFAR, 1000)
    weight = net.parts[1].layers[0].run[4].weight
    assert weight.shape == (64, 64, 3, 3)
    assert weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
    assert net.head[-1].weight.std().item() == pytest.approx((2 / 128) ** 0.5, rel=0.02)
    assert net.head[-1].bias is None


def test_a_searched_network_survives_json() -> None:
    config = EnasMacro(layers=MIXED, filters=6, separable=True, dropout=0.1)
    again = config_from_dict(json.loads(json.dumps(config_to_dict(config))))
    assert again == config
    assert hash(again) == hash(config)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"filters": 35}, "35 filters: .* even"),
        ({"filters": 0}, "0 filters"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"layers": PLAIN[:2]}, "of 2 layers"),
        ({"layers": (MacroLayer("conv7"), *PLAIN)}, "layer 0 has operation 'conv7'; .*sep5"),
        ({"layers": (MacroLayer("conv3", (0,)), *PLAIN)}, r"layer 0 has skips \(0,\); the first layer has none"),
        ({"layers": (*PLAIN, MacroLayer("conv3", (3,)))}, r"layer 3 has skips \(3,\); it may read 0 to 2"),
        ({"layers": (*PLAIN, MacroLayer("conv3", (-1,)))}, "it may read 0 to 2"),
        ({"layers": (*PLAIN, MacroLayer("conv3", (1, 1)))}, "give each once, increasing"),
        ({"layers": (*PLAIN, MacroLayer("conv3", (2, 0)))}, "give each once, increasing"),
    ],
)
def test_configs_that_cannot_be_built_are_refused(change: dict[str, object], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        build(replace(EnasMacro(), **change), CIFAR, 10)  # type: ignore[arg-type]


def test_too_small_an_image_is_refused() -> None:
    with pytest.raises(BadInput, match="at least 4 pixels"):
        build(EnasMacro(layers=PLAIN), ImageSpec(3, 3, 32), 10)
