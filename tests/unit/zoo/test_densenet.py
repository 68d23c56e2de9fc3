"""The counts of DenseNet's tables 1 and 2, the dense layer, memory-efficient training (shared/facts/densenet.md)."""

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode

from sprat.cost import Cost, count
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo import build, get_preset
from sprat.zoo.densenet import DenseBlock, DenseLayer, DenseNet, blocks_of_depth

IMAGENET, CIFAR = ImageSpec(3, 224, 224), ImageSpec(3, 32, 32)


def cost(config: DenseNet, image: ImageSpec, classes: int) -> Cost:
    with torch.device("meta"):
        return count(build(config, image, classes), image)


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        ("densenet121", 7_978_856, 2_834_161_664),
        ("densenet169", 14_149_480, 3_359_843_328),
        ("densenet201", 20_013_928, 4_291_365_888),
        ("densenet264", 33_337_704, 5_751_653_376),
        ("densenet161", 28_681_000, 7_727_907_072),
    ],
)
def test_table_1(name: str, params: int, macs: int) -> None:
    seen = cost(get_preset(name), IMAGENET, 1000)
    assert (seen.params, seen.macs) == (params, macs)


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        ("densenet_40_12", 1_019_722, 264_812_928),
        ("densenet_100_12", 6_979_642, 1_769_516_448),
        ("densenet_100_24", 27_249_082, 6_889_347_744),
        ("densenet_bc_100_12", 769_162, 287_929_692),
        ("densenet_bc_250_24", 15_324_406, 5_418_785_724),
        ("densenet_bc_190_40", 25_624_430, 9_301_945_740),
    ],
)
def test_table_2(name: str, params: int, macs: int) -> None:
    seen = cost(get_preset(name), CIFAR, 10)
    assert (seen.params, seen.macs) == (params, macs)


def test_a_hundred_classes() -> None:
    assert cost(get_preset("densenet_bc_100_12"), CIFAR, 100).params == 800_032


def test_the_label_of_the_nasnet_table_is_wrong() -> None:
    """It prints 25.6M for "DenseNet-BC (L=100, k=40)"; that depth has 8.33M, and L=190 has 25.6M."""
    config = DenseNet(blocks=blocks_of_depth(100), growth=40, stem="cifar")
    assert round(cost(config, CIFAR, 10).params / 1e6, 2) == 8.33


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("densenet121", 121),
        ("densenet169", 169),
        ("densenet201", 201),
        ("densenet161", 161),
        ("densenet264", 265),  # the blocks of table 1 make one more than its name says
        ("densenet_40_12", 40),
        ("densenet_bc_100_12", 100),
    ],
)
def test_depth_is_the_number_of_layers_with_weights(name: str, depth: int) -> None:
    imagenet = "_" not in name
    seen = cost(get_preset(name), IMAGENET if imagenet else CIFAR, 10)
    assert sum(row.macs > 0 for row in seen.layers) == depth


def test_a_dense_layer_costs_its_number_times_k_squared() -> None:
    """The argument of the deck: layer l of a plain block has l * k * k * 9 weights, linear in l."""
    with torch.device("meta"):
        layers = [DenseLayer(12 * number, 12, False, 0.0) for number in (1, 2, 5)]
        weights = [count(layer, ImageSpec(12 * n, 8, 8)).layers for layer, n in zip(layers, (1, 2, 5), strict=True)]
    assert [sum(row.params for row in rows if row.kind == "conv") for rows in weights] == [
        number * 12 * 12 * 9 for number in (1, 2, 5)
    ]


@pytest.mark.parametrize(
    ("bottleneck", "kinds"),
    [
        (False, ["BatchNorm2d", "ReLU", "Conv2d 3", "Dropout"]),
        (True, ["BatchNorm2d", "ReLU", "Conv2d 1", "Dropout", "BatchNorm2d", "ReLU", "Conv2d 3", "Dropout"]),
    ],
)
def test_order_of_operations_with_a_dropout_after_every_convolution(bottleneck: bool, kinds: list[str]) -> None:
    layer = DenseLayer(24, 12, bottleneck, 0.2)
    seen: list[str] = []
    for module in layer.modules():
        if not list(module.children()):
            module.register_forward_hook(
                lambda m, *_: seen.append(
                    type(m).__name__ + (f" {m.kernel_size[0]}" if isinstance(m, nn.Conv2d) else "")
                )
            )
    assert layer(torch.randn(2, 24, 6, 6)).shape == (2, 12, 6, 6)
    assert seen == kinds


def test_dropout_follows_the_transition_but_not_the_first_convolution() -> None:
    net = build(DenseNet(blocks=(1, 1), growth=4, stem="cifar", dropout=0.2), CIFAR, 10)
    named = [name for name, module in net.named_modules() if isinstance(module, nn.Dropout)]
    assert named == ["stages.0.0.layers.0.dropout", "stages.1.3", "stages.1.5.layers.0.dropout"]


def test_old_maps_come_first() -> None:
    block = DenseBlock([DenseLayer(8, 4, True, 0.0), DenseLayer(12, 4, True, 0.0)], False).eval()
    x = torch.randn(2, 8, 5, 5)
    y = block(x)
    assert y.shape == (2, 16, 5, 5)
    torch.testing.assert_close(y[:, :8], x)
    torch.testing.assert_close(y[:, 12:], block.layers[1](y[:, :12]))


def test_only_convolutions_without_bias() -> None:
    net = build(DenseNet(blocks=(2, 2), growth=4), CIFAR, 10)
    assert all(module.bias is None for module in net.modules() if isinstance(module, nn.Conv2d))


@pytest.mark.parametrize(
    ("compression", "bottleneck", "stem", "first"),
    [(1.0, False, "cifar", 16), (0.5, False, "cifar", 16), (1.0, True, "cifar", 16), (0.5, True, "cifar", 24)],
)
def test_first_convolution_has_2k_maps_for_bc_only(compression: float, bottleneck: bool, stem: str, first: int) -> None:
    config = DenseNet(blocks=(2, 2), growth=12, compression=compression, bottleneck=bottleneck, stem=stem)
    net = build(config, CIFAR, 10)
    assert net.get_submodule("stem.0").out_channels == first


def test_every_resolution_is_offered() -> None:
    with torch.device("meta"):
        net = build(get_preset("densenet121"), IMAGENET, 10).eval()
        maps = net.features(torch.empty(1, 3, 224, 224))
    assert [(x.shape[1], x.shape[2]) for x in maps] == [(64, 112), (256, 56), (512, 28), (1024, 14), (1024, 7)]


def test_transition_rounds_down() -> None:
    net = build(DenseNet(blocks=(1, 1), growth=5, stem="cifar", compression=0.5), CIFAR, 10)
    assert net.get_submodule("stages.1.2").out_channels == 7  # of 10 + 5


@pytest.mark.parametrize(
    ("depth", "variant", "layers"),
    [(40, "plain", 12), (100, "plain", 32), (40, "C", 12), (100, "BC", 16), (190, "BC", 31), (250, "B", 41)],
)
def test_depth_rule(depth: int, variant: str, layers: int) -> None:
    assert blocks_of_depth(depth, variant) == (layers,) * 3


@pytest.mark.parametrize(
    ("depth", "variant", "why"),
    [
        (41, "plain", "multiple of 3, such as 40 or 43"),
        (102, "BC", "multiple of 6, such as 100 or 106"),
        (4, "plain", "such as 7 or 10"),
        (-8, "BC", "such as 10 or 16"),
        (40, "bc", "must be one of plain, C, B, BC"),
    ],
)
def test_depths_that_do_not_fit_are_refused(depth: int, variant: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        blocks_of_depth(depth, variant)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (DenseNet(blocks=()), "layers of each block"),
        (DenseNet(blocks=(6, 0)), "layers of each block"),
        (DenseNet(growth=0), "growth is 0"),
        (DenseNet(compression=0.0), "compression is 0.0"),
        (DenseNet(compression=1.5), "compression is 1.5"),
        (DenseNet(compression=float("nan")), "compression is nan"),
        (DenseNet(blocks=(1, 1), growth=1, compression=0.1), "leave a map"),
        (DenseNet(blocks=(1, 1, 1), growth=1, compression=0.3), "leave a map"),
        (DenseNet(stem="mnist"), "imagenet or cifar"),
        (DenseNet(dropout=1.0), "dropout is 1.0"),
    ],
)
def test_odd_configs_are_refused(config: DenseNet, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        build(config, CIFAR, 10)


def test_initial_values_are_the_authors() -> None:
    torch.manual_seed(0)
    net = build(get_preset("densenet_bc_100_12"), CIFAR, 10)
    conv = net.get_submodule("stages.2.4.layers.5.parts.1.2")
    assert isinstance(conv, nn.Conv2d)
    assert conv.weight.std().item() == pytest.approx((2 / (9 * 12)) ** 0.5, rel=0.05)
    assert (net.get_submodule("head.2").bias == 0).all()


def _trained(
    config: DenseNet, image: ImageSpec, steps: int = 2
) -> tuple[list[Tensor], dict[str, Tensor], list[Tensor]]:
    """Losses of SGD steps, the state after them and the last gradients, always from the same seed."""
    torch.manual_seed(0)
    net = build(config, image, 5).train()
    x, labels = torch.randn(4, *image.shape), torch.tensor([0, 1, 2, 3])
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return losses, net.state_dict(), [parameter.grad for parameter in net.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("bottleneck", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_memory_efficient_training_changes_nothing(bottleneck: bool, dropout: float, stem: str) -> None:
    """Losses, gradients, weights, and running statistics: those would move twice if recomputing counted as a step."""
    image = ImageSpec(3, 16, 16)
    results = [
        _trained(
            DenseNet(
                blocks=(3, 2), growth=6, bottleneck=bottleneck, dropout=dropout, stem=stem, memory_efficient=efficient
            ),
            image,
        )
        for efficient in (False, True)
    ]
    (losses, state, gradients), (other_losses, other_state, other_gradients) = results
    assert len(gradients) == len(other_gradients) == sum(1 for key in state if key.endswith(("weight", "bias")))
    torch.testing.assert_close(losses, other_losses)
    torch.testing.assert_close(state, other_state)
    torch.testing.assert_close(gradients, other_gradients)
    tracked = [value.item() for key, value in other_state.items() if key.endswith("num_batches_tracked")]
    assert set(tracked) == {2}
    means = [value for key, value in other_state.items() if key.endswith("running_mean")]
    assert any(mean.abs().max() > 0 for mean in means)


def test_a_failure_in_the_backward_pass_leaves_the_statistics_in_place() -> None:
    layer = DenseLayer(4, 4, True, 0.0)
    norm = layer.get_submodule("parts.0.0")
    assert isinstance(norm, nn.BatchNorm2d)
    x = torch.randn(2, 4, 4, 4, requires_grad=True)
    y = layer.recomputed([x])
    before, values = norm.running_mean, norm.running_mean.clone()
    norm.register_forward_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("broken")))
    with pytest.raises(RuntimeError, match="broken"):
        y.sum().backward()
    assert norm.running_mean is before
    assert torch.equal(norm.running_mean, values)


class _Counted(TorchDispatchMode):
    """Counts the operators that run inside."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, int] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.seen[str(func)] = self.seen.get(str(func), 0) + 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("bottleneck", [False, True])
def test_recomputation_costs_no_convolution(bottleneck: bool) -> None:
    config = DenseNet(blocks=(3, 2), growth=4, bottleneck=bottleneck, stem="cifar", memory_efficient=True)
    net = build(config, CIFAR, 5).train()
    loss = net(torch.randn(2, 3, 32, 32)).sum()
    with _Counted() as counted:
        loss.backward()
    assert counted.seen["aten.native_batch_norm.default"] == counted.seen["aten.relu.default"] == 5 * (1 + bottleneck)
    assert counted.seen["aten.cat.default"] == 5 - 2  # the first layer of a block reads one map
    assert "aten.convolution.default" not in counted.seen
    assert counted.seen["aten.convolution_backward.default"] > 5


def _kept_bytes(config: DenseNet, image: ImageSpec) -> int:
    """Bytes that the forward pass keeps for the backward pass, weights left out."""
    net = build(config, image, 10).train()
    own = {tensor.untyped_storage().data_ptr() for tensor in net.state_dict().values()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        _loss = net(torch.randn(2, *image.shape)).sum()
    return sum(kept.values())


@pytest.mark.parametrize("name", ["densenet_bc_100_12", "densenet_40_12"])
def test_memory_efficient_training_keeps_under_30_percent(name: str) -> None:
    plain = get_preset(name)
    efficient = DenseNet(
        blocks=plain.blocks,
        growth=plain.growth,
        bottleneck=plain.bottleneck,
        compression=plain.compression,
        stem=plain.stem,
        memory_efficient=True,
    )
    assert _kept_bytes(efficient, CIFAR) < 0.3 * _kept_bytes(plain, CIFAR)


def test_memory_efficient_is_invisible_in_evaluation_and_export() -> None:
    image = ImageSpec(3, 16, 16)
    nets = []
    for efficient in (False, True):
        torch.manual_seed(0)
        nets.append(build(DenseNet(blocks=(2, 2), growth=4, stem="cifar", memory_efficient=efficient), image, 5))
    x = torch.randn(2, 3, 16, 16)
    with torch.device("meta"):
        costs = [count(net, image) for net in nets]
    assert costs[0] == costs[1]
    assert torch.equal(nets[0].eval()(x), nets[1].eval()(x))
    for training in (False, True):
        graphs = [torch.export.export(net.train(training), (x,)).graph for net in nets]
        # The plain one's ReLUs may overwrite their input, which is the same operator otherwise.
        ops = [[str(node.target).replace("relu_", "relu") for node in graph.nodes] for graph in graphs]
        assert [op.rstrip("_0123456789") for op in ops[0]] == [op.rstrip("_0123456789") for op in ops[1]]


def test_memory_efficient_trains_on_the_meta_device() -> None:
    with torch.device("meta"):
        net = build(DenseNet(blocks=(2, 2), growth=4, stem="cifar", memory_efficient=True), CIFAR, 5).train()
        net(torch.empty(2, 3, 32, 32)).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
