"""The counts of the CIFAR ResNets (shared/facts/densenet.md), their shortcuts, and published weights of ResNet-20."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from sprat.cost import Cost, count
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo import build, create, get_preset
from sprat.zoo.resnet_cifar import PadShortcut, Preactivation, ResNetCifar, units_of_depth

CIFAR = ImageSpec(3, 32, 32)


def cost(name: str) -> Cost:
    with torch.device("meta"):
        return count(create(name, num_classes=10, image=CIFAR), CIFAR)


def test_resnet_110_of_the_densenet_charts() -> None:
    assert cost("resnet_cifar_110").params == 1_727_962  # printed 1.7M


def test_resnet_1001_of_the_densenet_charts() -> None:
    seen = cost("resnet_cifar_v2_1001")
    assert seen.params == 10_327_706  # printed 10.2M, which is the count without BN
    assert sum(row.params for row in seen.layers if row.kind != "norm") == 10_178_490


@pytest.mark.parametrize(("depth", "printed"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_table_6_of_the_first_paper(depth: int, printed: float) -> None:
    params = cost(f"resnet_cifar_{depth}").params / 1e6
    assert abs(params - printed) < (0.1 if printed > 1 else 0.01)


@pytest.mark.parametrize("name", ["resnet_cifar_20", "resnet_cifar_110", "resnet_cifar_v2_164"])
def test_depth_is_the_number_of_layers_with_weights_without_shortcuts(name: str) -> None:
    assert sum(row.macs > 0 and "shortcut" not in row.name for row in cost(name).layers) == get_preset(name).depth


def test_111_bottlenecks_a_stage_with_64_128_and_256_maps() -> None:
    with torch.device("meta"):
        net = create("resnet_cifar_v2_1001", num_classes=10, image=CIFAR).eval()
        units = [[unit for unit in stage if isinstance(unit, Preactivation)] for stage in net.stages]
        assert [len(stage) for stage in units] == [111, 111, 111]
        assert [stage[0].branch[2].out_channels for stage in units] == [64, 128, 256]
        assert [[unit.projects for unit in stage].count(True) for stage in units] == [1, 1, 1]


def test_the_shortcuts_of_version_1_have_no_weights() -> None:
    net = create("resnet_cifar_20", num_classes=10, image=CIFAR)
    assert not [name for name, _ in net.named_parameters() if "shortcut" in name]
    assert sum(isinstance(module, PadShortcut) for module in net.modules()) == 2


def test_resnet_8_of_mlperf_tiny() -> None:
    """Its Keras network counts 78,666 numbers: ours, 240 biases before batch norms and 480 moving statistics."""
    net = create("resnet_cifar_8", num_classes=10, image=CIFAR)
    shortcuts = {name: m for name, m in net.named_modules() if isinstance(m, nn.Conv2d) and "shortcut" in name}
    assert {name: (m.kernel_size, m.stride, m.bias is not None) for name, m in shortcuts.items()} == {
        "stages.1.0.shortcut": ((1, 1), (2, 2), True),
        "stages.2.0.shortcut": ((1, 1), (2, 2), True),
    }
    before_norm = sum(m.num_features for m in net.modules() if isinstance(m, nn.BatchNorm2d))
    moving = 2 * before_norm
    assert cost("resnet_cifar_8").params + before_norm + moving == 78_666
    unit, x = net.eval().get_submodule("stages.1.0"), torch.randn(2, 16, 8, 8)
    torch.testing.assert_close(unit(x), torch.relu(unit.branch(x) + unit.shortcut(x)))


def test_a_padded_shortcut_takes_every_second_pixel_between_zero_maps() -> None:
    x = torch.randn(2, 16, 8, 8)
    y = PadShortcut(16, 32, 2)(x)
    assert y.shape == (2, 32, 4, 4)
    assert torch.equal(y[:, 8:24], x[:, :, ::2, ::2])
    assert not y[:, :8].any()
    assert not y[:, 24:].any()
    assert PadShortcut(3, 6, 1)(torch.randn(1, 3, 5, 5)).shape == (1, 6, 5, 5)


@pytest.mark.parametrize("version", [1, 2])
def test_units_compute_what_the_papers_draw(version: int) -> None:
    torch.manual_seed(0)
    depth = 20 if version == 1 else 29
    net = build(ResNetCifar(depth=depth, version=version), CIFAR, 10).eval()
    unit = net.get_submodule("stages.1.0")
    x = torch.randn(2, 16 if version == 1 else 64, 8, 8)
    if version == 1:
        expected = torch.relu(unit.branch(x) + unit.shortcut(x))
    else:
        nn.init.normal_(unit.norm.bias)
        activated = torch.relu(unit.norm(x))
        expected = unit.branch(activated) + unit.shortcut(activated)
        same = net.get_submodule("stages.1.1")
        y = torch.randn(2, 128, 4, 4)
        torch.testing.assert_close(same(y), same.branch(torch.relu(same.norm(y))) + y)
    torch.testing.assert_close(unit(x), expected)
    assert expected.shape[2:] == (4, 4)


@pytest.mark.parametrize("width", [0.25, 0.3, 1.5])
def test_odd_widths_build_and_run(width: float) -> None:
    for config in (ResNetCifar(depth=8, width=width), ResNetCifar(depth=11, version=2, width=width)):
        net = build(config, ImageSpec(1, 8, 8), 3).eval()
        assert net(torch.randn(2, 1, 8, 8)).shape == (2, 3)


@pytest.mark.parametrize(
    ("depth", "version", "units"), [(8, 1, 1), (20, 1, 3), (110, 1, 18), (164, 2, 18), (1001, 2, 111)]
)
def test_depth_rule(depth: int, version: int, units: int) -> None:
    assert units_of_depth(depth, version) == units


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (ResNetCifar(depth=21), "6n \\+ 2, such as 20 or 26"),
        (ResNetCifar(depth=2), "such as 8 or 14"),
        (ResNetCifar(depth=32, version=2), "9n \\+ 2, such as 29 or 38"),
        (ResNetCifar(version=3), "version 3"),
        (ResNetCifar(shortcut="none"), "shortcut 'none'"),
        (ResNetCifar(depth=29, version=2, shortcut="conv"), "version 2"),
        (ResNetCifar(width=-1.0), "above 0"),
    ],
)
def test_odd_configs_are_refused(config: ResNetCifar, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        build(config, CIFAR, 10)


@pytest.fixture(scope="module")
def trained(shared: Path) -> nn.Module:
    """ResNet-20 with the published weights, whose tensors come in the order of ours."""
    file = shared / "weights" / "resnet20-cifar10.th"
    if not file.is_file():
        pytest.skip(f"{file.name} is not here")
    state = torch.load(file, weights_only=True, map_location="cpu")["state_dict"]
    net = create("resnet_cifar_20", num_classes=10, image=CIFAR)
    own = [name for name in net.state_dict() if not name.endswith("num_batches_tracked")]
    assert [value.shape for value in state.values()] == [net.state_dict()[name].shape for name in own]
    renamed = dict(zip(own, state.values(), strict=True))
    assert sum(renamed[name].numel() for name, _ in net.named_parameters()) == 269_722
    net.load_state_dict(renamed, strict=False)
    return net.eval()


def test_the_published_weights_classify(trained: nn.Module, shared: Path) -> None:
    """81.0 % is known for these weights on this JPEG test set; zero maps in another place give far less."""
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = parquet.read_table(shared / "data" / "cifar10-test.parquet").slice(0, 400).to_pylist()
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(row["img"]["bytes"]))) for row in rows])
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = ((torch.from_numpy(pixels).float() / 255 - mean) / std).permute(0, 3, 1, 2)
    with torch.no_grad():
        guesses = trained(x).argmax(1)
    top1 = (guesses == torch.tensor([row["label"] for row in rows])).float().mean().item()
    assert top1 == pytest.approx(0.81, abs=0.05)
