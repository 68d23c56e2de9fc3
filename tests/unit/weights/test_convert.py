"""The traps of foreign weights, each by its name: converted, a network answers as it did elsewhere."""

import re
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sprat.image import ImageSpec
from sprat.weights.convert import Converted, convert
from sprat.weights.foreign import Foreign
from sprat.weights.rules import Pairing
from sprat.weights.table import Network, parse_table
from sprat.zoo import build, get_preset

HEAD = """
title = "as TensorFlow has it"
formats = ["test"]
[kind.conv]
weight = "weights hwio"
bias = "biases"
[kind.depthwise]
weight = "depthwise_weights hwim"
[kind.norm]
weight = "gamma ? ones"
bias = "beta"
running_mean = "moving_mean minus $2/biases"
running_var = "moving_variance"
[kind.linear]
weight = "weights io"
bias = "biases"
[input.test]
order = "ORDER"
mean = [0, 0, 0]
std = [1, 1, 1]
[[network]]
name = "theirs"
models = ["PRESET"]
input = "test"
"""


def kind_of(module: nn.Module) -> str:
    if isinstance(module, nn.Conv2d):
        return "depthwise" if module.groups > 1 else "conv"
    return "linear" if isinstance(module, nn.Linear) else "norm"


def layers_of(net: nn.Module) -> dict[str, nn.Module]:
    kinds = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)
    return {name: module for name, module in net.named_modules() if isinstance(module, kinds)}


def theirs_of(net: nn.Module) -> dict[str, np.ndarray]:
    """The tensors of a network as TensorFlow lays them out, written one layer at a time."""
    tensors: dict[str, np.ndarray] = {}
    for name, module in layers_of(net).items():
        layer, kind = name.replace(".", "_"), kind_of(module)
        if kind == "norm":
            tensors[f"{layer}/gamma"] = module.weight.detach().numpy()
            tensors[f"{layer}/beta"] = module.bias.detach().numpy()
            tensors[f"{layer}/moving_mean"] = module.running_mean.numpy()
            tensors[f"{layer}/moving_variance"] = module.running_var.numpy()
            continue
        weight = module.weight.detach().numpy()
        if kind == "linear":
            tensors[f"{layer}/weights"] = weight.T
        elif kind == "conv":
            tensors[f"{layer}/weights"] = weight.transpose(2, 3, 1, 0)
        else:
            tensors[f"{layer}/depthwise_weights"] = weight.transpose(2, 3, 0, 1)
        if module.bias is not None:
            tensors[f"{layer}/biases"] = module.bias.detach().numpy()
    return tensors


def table_of(
    net: nn.Module, preset: str, extra: str = "", order: str = "rgb", pairs: dict[str, str] | None = None
) -> Network:
    lines = []
    for name, module in layers_of(net).items():
        layer = name.replace(".", "_")
        second = f"|{pairs[name].replace('.', '_')}" if pairs and name in pairs else ""
        lines.append(f"{layer}{second}  {kind_of(module)}  {name}")
    text = (
        HEAD.replace("PRESET", preset).replace("ORDER", order)
        + extra
        + "\nrules = '''\n"
        + "\n".join(lines)
        + "\n'''\n"
    )
    if not pairs:
        text = text.replace(" minus $2/biases", "")
    (network,) = parse_table("test", text)
    return network


def random_net(preset: str, num_classes: int, side: int, eps: float | None = None) -> nn.Module:
    """A network with statistics of real activations, so that no signal dies on the way."""
    torch.manual_seed(0)
    net = build(get_preset(preset), ImageSpec(3, side, side), num_classes)
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.2)
        norm.momentum = 1.0
    with torch.no_grad():
        net.train()(torch.randn(4, 3, side, side))
        for norm in norms:
            norm.running_var.mul_(torch.rand_like(norm.running_var) + 0.5)
            norm.running_mean.add_(0.1 * torch.randn_like(norm.running_mean))
            if eps is not None:
                norm.eps = eps
    net.eval()
    return net


def converted(net: nn.Module, network: Network, preset: str, side: int, tensors: dict[str, np.ndarray]) -> nn.Module:
    image = ImageSpec(3, side, side)
    made = convert(Foreign("test", tensors), network, preset, get_preset(preset), image)
    assert isinstance(made, Converted), made.faults() if isinstance(made, Pairing) else made
    ours = build(made.config, image, made.num_classes).eval()
    state = {name: torch.from_numpy(value) for name, value in made.state.items()}
    missing, unexpected = ours.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing)
    return ours


def close(left: Tensor, right: Tensor) -> None:
    spread = (right[0] - right[1]).abs().max()
    assert spread > 1e-4
    assert (left - right).abs().max() < 1e-4 * right.abs().max()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_layouts_of_all_kinds_of_layers(x: Tensor):
    net = random_net("mobilenet_v1_0.25", 7, 128)
    ours = converted(net, table_of(net, "mobilenet_v1_0.25"), "mobilenet_v1_0.25", 128, theirs_of(net))
    close(ours(x), net(x))


@torch.no_grad()
@pytest.mark.parametrize("eps", [1e-5, 0.01])
def test_another_epsilon_of_batch_norm_is_folded_into_the_gain(x: Tensor, eps: float):
    net = random_net("mobilenet_v1_0.25", 7, 128, eps)
    network = table_of(net, "mobilenet_v1_0.25", f"eps = {eps}")
    ours = converted(net, network, "mobilenet_v1_0.25", 128, theirs_of(net))
    close(ours(x), net(x))
    without = converted(net, table_of(net, "mobilenet_v1_0.25"), "mobilenet_v1_0.25", 128, theirs_of(net))
    assert (without(x) - net(x)).abs().max() > 1e-3 * net(x).abs().max()


@torch.no_grad()
def test_a_missing_gamma_is_one(x: Tensor):
    net = random_net("mobilenet_v1_0.25", 7, 128)
    tensors = {name: value for name, value in theirs_of(net).items() if not name.endswith("gamma")}
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
    close(converted(net, table_of(net, "mobilenet_v1_0.25"), "mobilenet_v1_0.25", 128, tensors)(x), net(x))


@torch.no_grad()
def test_blue_green_red_is_turned_into_the_first_convolution(x: Tensor):
    net = random_net("mobilenet_v1_0.25", 7, 128)
    network = table_of(net, "mobilenet_v1_0.25", order="bgr")
    ours = converted(net, network, "mobilenet_v1_0.25", 128, theirs_of(net))
    close(ours(x), net(x.flip(1)))
    assert (ours(x) - net(x)).abs().max() > 1e-2 * net(x).abs().max()


@torch.no_grad()
def test_the_background_class_is_dropped(x: Tensor):
    net = random_net("mobilenet_v1_0.25", 1001, 128)
    network = table_of(net, "mobilenet_v1_0.25", "background = true")
    ours = converted(net, network, "mobilenet_v1_0.25", 128, theirs_of(net))
    assert ours(x).shape == (2, 1000)
    close(ours(x), net(x)[:, 1:])


@torch.no_grad()
def test_other_numbers_of_classes_have_no_background(x: Tensor):
    net = random_net("mobilenet_v1_0.25", 12, 128)
    network = table_of(net, "mobilenet_v1_0.25", "background = true")
    close(converted(net, network, "mobilenet_v1_0.25", 128, theirs_of(net))(x), net(x))


@torch.no_grad()
def test_relu6_is_a_change_of_the_config(x: Tensor):
    net = random_net("mobilenet_v1_0.25_relu6", 7, 128)
    network = table_of(net, "mobilenet_v1_0.25", "change = { activation = 'relu6' }")
    loud = 30 * x
    close(converted(net, network, "mobilenet_v1_0.25", 128, theirs_of(net))(loud), net(loud))
    plain = converted(net, table_of(net, "mobilenet_v1_0.25"), "mobilenet_v1_0.25", 128, theirs_of(net))
    assert (plain(loud) - net(loud)).abs().max() > 1e-2 * net(loud).abs().max()


@torch.no_grad()
def test_a_bias_before_batch_norm_moves_into_the_mean(x: Tensor):
    net = random_net("mobilenet_v1_0.25", 7, 128)
    layers, tensors = layers_of(net), theirs_of(net)
    names = list(layers)
    pairs = {norm: conv for conv, norm in pairwise(names) if isinstance(layers[norm], nn.BatchNorm2d)}
    rng = np.random.default_rng(0)
    for conv in pairs.values():
        bias = rng.normal(size=layers[conv].out_channels).astype(np.float32)
        tensors[f"{conv.replace('.', '_')}/biases"] = bias
        layers[conv].bias = nn.Parameter(torch.from_numpy(bias))
    network = table_of(net, "mobilenet_v1_0.25", pairs=pairs)
    close(converted(net, network, "mobilenet_v1_0.25", 128, tensors)(x), net(x))


@torch.no_grad()
def test_small_images_keep_the_strides_that_the_weights_were_trained_with():
    net = random_net("mobilenet_v1_0.25", 2, 128)
    small = torch.randn(2, 3, 96, 96)
    ours = converted(net, table_of(net, "mobilenet_v1_0.25", "side = 96"), "mobilenet_v1_0.25", 96, theirs_of(net))
    assert ours.features(small)[-1].shape[2:] == (3, 3)
    close(ours(small), net(small))


def drop(name: str) -> Callable[[dict[str, np.ndarray]], None]:
    def change(tensors: dict[str, np.ndarray]) -> None:
        del tensors[name]

    return change


def put(name: str, value: np.ndarray) -> Callable[[dict[str, np.ndarray]], None]:
    return lambda tensors: tensors.update({name: value})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (drop("stem_0/weights"), ["1 missing", "stem.0.weight"]),
        (put("extra/weights", np.zeros((1, 1, 2, 2))), ["1 unused", "extra/weights"]),
        (put("stem_0/weights", np.zeros((3, 3, 3, 9))), ["stem_0/weights", "(9, 3, 3, 3)", "(8, 3, 3, 3)"]),
        (put("stem_0/weights", np.zeros((3, 3))), ["stem_0/weights", "4 dimensions"]),
        (put("stem_1/beta", np.full(8, np.nan)), ["stem.1.bias", "not finite"]),
        (put("head_3/biases", np.zeros(6)), ["6", "7", "classes"]),
    ],
)
def test_what_does_not_fit_is_listed_by_name(change: Callable[[dict[str, np.ndarray]], None], words: list[str]):
    net = random_net("mobilenet_v1_0.25", 7, 128)
    tensors = theirs_of(net)
    assert {"stem_0/weights", "head_3/biases"} <= set(tensors)
    change(tensors)
    made = convert(
        Foreign("test", tensors),
        table_of(net, "mobilenet_v1_0.25"),
        "mobilenet_v1_0.25",
        get_preset("mobilenet_v1_0.25"),
        ImageSpec(3, 128, 128),
    )
    assert not isinstance(made, Converted)
    text = made.faults() if isinstance(made, Pairing) else "; ".join(made)
    for word in words:
        assert re.search(re.escape(word), text), text


@pytest.mark.parametrize("side", [64, 160])
def test_a_network_that_flattens_its_map_is_refused_at_another_size(side: int):
    """AlexNet's fully-connected layers read a map of 6x6; its weights fit whatever the image is said to be."""
    with torch.device("meta"):
        net = build(get_preset("alexnet"), ImageSpec(3, 227, 227), 7)
    tensors = {
        name: np.broadcast_to(np.float32(0), value.shape)
        for name, value in net.state_dict().items()
        if "num_" not in name
    }
    text = HEAD.replace("PRESET", "alexnet").replace("ORDER", "rgb").replace(" hwio", "").replace(" io", "")
    kinds = {name: "linear" if isinstance(module, nn.Linear) else "conv" for name, module in layers_of(net).items()}
    lines = "\n".join(f"{name} {kind} {name}" for name, kind in kinds.items())
    text = text.replace('weight = "weights', 'weight = "weight').replace('"biases"', '"bias"')
    text = text.replace('formats = ["test"]', 'formats = ["test"]\nseparator = "."') + f"\nrules = '''\n{lines}\n'''\n"
    (network,) = parse_table("test", text)
    made = convert(Foreign("test", tensors), network, "alexnet", get_preset("alexnet"), ImageSpec(3, side, side))
    assert not isinstance(made, Converted | Pairing)
    assert any("shape" in line or "images of" in line for line in made), made
