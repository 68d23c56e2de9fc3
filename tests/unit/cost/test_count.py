"""Count: totals, rows, and that the network given is left as it was."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sprat.cost import LayerCost, count
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo import create, list_models

IMAGE = ImageSpec(3, 16, 16)


def flops(net: nn.Module, image: ImageSpec) -> int:
    device = next(net.parameters()).device
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.eval()(torch.zeros(1, *image.shape, device=device))
    return int(counter.get_total_flops())


class Functional(nn.Module):
    """Convolutions and products without a module of their own, attention, a transposed and a shared convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(8, 3, 3, 3))
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.shared = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.unused = nn.Linear(5, 7)

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.kernel, stride=2)
        x = self.shared(self.shared(self.up(x)))
        tokens = x.flatten(2).transpose(1, 2)
        tokens = self.attention(tokens, tokens, tokens)[0]
        return tokens @ tokens.transpose(1, 2)


class Looking(nn.Module):
    """Its Python code looks at the contents of a tensor, which the meta device has not."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y if y.mean().item() > 1e9 else y + torch.rand(())


@pytest.mark.parametrize("name", [name for name in list_models() if "bypass" not in name][::3])
def test_macs_are_half_of_torchs_flops(name: str) -> None:
    image = ImageSpec(3, 64, 64)
    with torch.device("meta"):
        net = create(name, image=image, num_classes=10)
    assert 2 * count(net, image).macs == flops(net, image)


def test_functional_operators_are_counted() -> None:
    net = Functional()
    cost = count(net, IMAGE)
    attention = 196 * 4 * 12 + 2 * 196 * 196 * 4 + 196 * 16
    assert cost.macs == 49 * 8 * 27 + 49 * 8 * 16 + 2 * 196 * 72 + attention + 196 * 196 * 4
    assert 2 * cost.macs == flops(
        copy.deepcopy(net).to("meta"), IMAGE
    )  # on the CPU torch's attention is one opaque call
    rows = {row.name: row for row in cost.layers}
    assert rows["Functional"].kind == "conv"
    assert rows["up"] == LayerCost("up", "transposed conv", (8, 7, 7), (4, 14, 14), 132, 7 * 7 * 8 * 4 * 4)
    assert rows["shared"].macs == 2 * (14 * 14 * 4 * 2 * 9)
    assert rows["shared"].kind == "group conv"
    assert (rows["unused"].macs, rows["unused"].in_shape) == (0, ())
    assert sum(row.macs for row in cost.layers) == cost.macs
    assert sum(row.params for row in cost.layers) == cost.params == sum(p.numel() for p in net.parameters())


def test_rows_of_a_small_network_by_hand() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False),
        nn.Conv2d(8, 4, 1, groups=2, bias=False),
        nn.Conv2d(4, 6, 1, bias=False),
        nn.Flatten(),
        nn.Linear(6 * 64, 10),
    )
    cost = count(net, IMAGE)
    assert cost.layers == (
        LayerCost("0", "conv", (3, 16, 16), (8, 8, 8), 224, 64 * 216),
        LayerCost("1", "norm", (8, 8, 8), (8, 8, 8), 16, 0),
        LayerCost("2", "depthwise", (8, 8, 8), (8, 8, 8), 72, 64 * 72),
        LayerCost("3", "group pointwise", (8, 8, 8), (4, 8, 8), 16, 64 * 16),
        LayerCost("4", "pointwise", (4, 8, 8), (6, 8, 8), 24, 64 * 24),
        LayerCost("6", "linear", (384,), (10,), 3850, 3840),
    )
    assert cost.activations == (8 + 8 + 4 + 6) * 64 + 10


def test_a_parameter_of_two_modules_counts_once() -> None:
    first, second = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
    second.weight = first.weight
    cost = count(nn.Sequential(first, second), IMAGE)
    assert [row.params for row in cost.layers] == [84, 3]
    assert cost.params == 87


def test_the_network_is_left_as_it_was() -> None:
    torch.manual_seed(0)
    net = create("mobilenet_v1_0.125", image=IMAGE, num_classes=5)
    net.get_submodule("head").eval()
    before, modes = copy.deepcopy(net.state_dict()), [module.training for module in net.modules()]
    state = torch.get_rng_state()
    count(net, IMAGE)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in net.modules()] == modes
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in net.modules())
    assert all(parameter.device.type == "cpu" and parameter.requires_grad for parameter in net.parameters())


def test_a_network_that_looks_at_contents_is_counted_on_a_copy() -> None:
    net = Looking().half()
    state = torch.get_rng_state()
    cost = count(net, IMAGE)
    assert cost.macs == 14 * 14 * 4 * 27
    assert torch.equal(torch.get_rng_state(), state)
    assert net.conv.weight.dtype == torch.float16
    assert net.training


def test_modes_come_back_when_the_network_fails() -> None:
    with torch.device("meta"):
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(5, 5))
    net[1].eval()
    with pytest.raises(BadInput, match="Sequential cannot take an image of 3x16x16"):
        count(net, IMAGE)
    assert [net.training, net[0].training, net[1].training] == [True, True, False]


def test_wrong_number_of_channels_is_refused() -> None:
    with pytest.raises(BadInput, match="cannot take an image of 1x16x16"):
        count(create("squeezenet_1.1", image=IMAGE, num_classes=5), ImageSpec(1, 16, 16))


def test_a_network_without_parameters_costs_nothing() -> None:
    cost = count(nn.Sequential(nn.ReLU(), nn.Flatten()), IMAGE)
    assert (cost.params, cost.macs, cost.layers) == (0, 0, ())


def test_weights_under_parametrisation_are_counted() -> None:
    net = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3, bias=False)))
    cost = count(net, IMAGE)
    assert cost.macs == 14 * 14 * 4 * 27
    assert cost.params == 4 * 27 + 4 == sum(row.params for row in cost.layers)


class Fourier(nn.Module):
    """Runs an operator whose cost nobody has stated."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.rfft2(self.conv(x)).abs()


def test_an_unknown_operator_is_an_error_that_names_it() -> None:
    with pytest.raises(BadInput, match=r"cannot count aten\._fft_r2c, which the network runs"):
        count(Fourier(), IMAGE)


def test_an_unknown_operator_inside_a_module_is_named_with_the_module() -> None:
    with pytest.raises(BadInput, match=r"cannot count aten\._fft_r2c, which 1 runs"):
        count(nn.Sequential(nn.ReLU(), Fourier()), IMAGE)


def test_matrix_vector_products_are_counted() -> None:
    class Vector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(256))

        def forward(self, x: Tensor) -> Tensor:
            return torch.mv(x[0].flatten(1), self.weight)

    assert count(Vector(), IMAGE).macs == 3 * 256


def test_elementwise_work_is_counted_apart() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    cost = count(net, IMAGE)
    norm = relu = pool_reads = 8 * 256
    assert cost.elementwise == norm + relu + pool_reads + 8 * 64
    assert cost.macs == 256 * 24


def test_bytes_and_shares() -> None:
    cost = count(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 196, 2)), IMAGE)
    assert cost.params == 224 + 16 + 3138
    assert cost.weight_bytes() == {"float32": 4 * 3378, "float16": 2 * 3378, "int8": 3378}
    assert cost.shares() == {"conv": (196 * 216, 224), "linear": (3136, 3138), "norm": (0, 16)}
