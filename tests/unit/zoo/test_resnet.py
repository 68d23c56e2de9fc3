"""The counts of the ResNet flavours, where their strides are, the units of both versions (shared/facts/resnext.md)."""

import pytest
import torch
from torch import nn

from sprat.cost import Cost, count
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo import build, get_preset
from sprat.zoo.resnet import PRESETS, ResNet, SamePool, Unit2


def cost(config: ResNet, side: int, classes: int) -> Cost:
    image = ImageSpec(3, side, side)
    with torch.device("meta"):
        return count(build(config, image, classes), image)


@pytest.mark.parametrize(
    ("version", "depth", "params", "slim", "torch_stride", "slim_299"),
    [
        (1, 50, 25_557_032, 3_482_255_360, 4_089_184_256, 6_536_211_200),
        (1, 101, 44_549_160, 7_194_476_544, 7_801_405_440, 13_373_516_544),
        (1, 152, 60_192_808, 10_906_697_728, 11_513_626_624, 20_210_821_888),
        (2, 50, 25_570_409, 3_482_257_408, 4_089_186_304, 6_536_213_248),
        (2, 101, 44_579_945, 7_194_478_592, 7_801_407_488, 13_373_518_592),
        (2, 152, 60_238_953, 10_906_699_776, 11_513_628_672, 20_210_823_936),
        (2, 200, 64_728_169, 14_400_555_008, 15_007_483_904, 26_645_934_848),
    ],
)
def test_counts(version: int, depth: int, params: int, slim: int, torch_stride: int, slim_299: int) -> None:
    classes = 999 + version  # TF-Slim's version 2 has a class for background
    cells = [("slim", 224), ("3x3", 224), ("slim", 299)]
    seen = [cost(ResNet(depth=depth, version=version, strides=strides), side, classes) for strides, side in cells]
    assert [each.macs for each in seen] == [slim, torch_stride, slim_299]
    assert {each.params for each in seen} == {params}


@pytest.mark.parametrize(
    ("depth", "params", "macs"),
    [(18, 11_689_512, 1_814_073_344), (34, 21_797_672, 3_663_761_408), (200, 64_673_832, 15_007_481_856)],
)
def test_other_depths(depth: int, params: int, macs: int) -> None:
    seen = cost(ResNet(depth=depth), 224, 1000)
    assert (seen.params, seen.macs) == (params, macs)


def test_the_paper_has_the_3_8_billion_that_it_prints() -> None:
    seen = cost(get_preset("resnet50_paper"), 224, 1000)
    assert (seen.params, seen.macs) == (25_557_032, 3_857_973_248)
    assert int(seen.macs / 1e8) / 10 == 3.8


def test_resnext_calls_the_first_block_70k() -> None:
    """Its 256-d block: 256 * 64 + 9 * 64 * 64 + 64 * 256, without BN."""
    rows = [
        row for row in cost(ResNet(), 224, 1000).layers if row.name.startswith("stages.0.2.") and row.kind != "norm"
    ]
    assert sum(row.params for row in rows) == 69_632


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet_v2_101", "resnet_v2_200_slim"])
def test_depth_is_the_number_of_layers_with_weights_without_shortcuts(name: str) -> None:
    config = PRESETS[name]
    rows = cost(config, 224, 1000).layers
    assert sum(row.macs > 0 and "shortcut" not in row.name for row in rows) == config.depth


@pytest.mark.parametrize(
    ("strides", "halving"),
    [
        ("3x3", ["stages.1.0.branch.1.0", "stages.2.0.branch.1.0", "stages.3.0.branch.1.0"]),
        ("1x1", ["stages.1.0.branch.0.0", "stages.2.0.branch.0.0", "stages.3.0.branch.0.0"]),
        ("slim", ["stages.1.0.branch.1.0", "stages.2.0.branch.1.0", "stages.3.0.branch.1.0"]),
    ],
)
@pytest.mark.parametrize("version", [1, 2])
def test_where_the_strides_are(version: int, strides: str, halving: list[str]) -> None:
    rows = cost(ResNet(strides=strides, version=version), 224, 1000).layers
    branch = [row for row in rows if ".branch." in row.name and row.macs]
    assert [row.name for row in branch if row.out_shape[1] * 2 == row.in_shape[1]] == halving


def test_slim_halves_in_the_last_unit_whose_shortcut_has_no_weights() -> None:
    with torch.device("meta"):
        slim = build(ResNet(strides="slim"), ImageSpec(3, 224, 224), 10).eval()
        other = build(ResNet(), ImageSpec(3, 224, 224), 10).eval()
        shapes = [[tuple(x.shape[1:3]) for x in net.features(torch.empty(1, 3, 224, 224))] for net in (slim, other)]
    assert shapes[0] == [(64, 112), (256, 56), (512, 28), (1024, 14), (2048, 7)]
    assert shapes[0] == shapes[1]
    assert [len(stage) for stage in slim.stages] == [
        3,
        4,
        6,
        4,
    ]  # pool and 2 units; then the last unit and the next 3..
    assert [len(stage) for stage in other.stages] == [4, 4, 6, 3]
    assert isinstance(slim.get_submodule("stages.1.0.shortcut"), nn.MaxPool2d)


def test_a_strided_shortcut_takes_every_second_pixel() -> None:
    with torch.device("meta"):
        net = build(ResNet(strides="slim"), ImageSpec(3, 224, 224), 10)
    x = torch.randn(1, 4, 7, 7)
    torch.testing.assert_close(net.get_submodule("stages.1.0.shortcut")(x), x[:, :, ::2, ::2])


def test_biases_of_version_2() -> None:
    with torch.device("meta"):
        net = build(get_preset("resnet_v2_50_slim"), ImageSpec(3, 224, 224), 1001)
    biased = {name for name, module in net.named_modules() if isinstance(module, nn.Conv2d) and module.bias is not None}
    last = {name for name, _ in net.named_modules() if name.endswith(".branch.2")}
    shortcuts = {
        name
        for name, module in net.named_modules()
        if name.endswith(".shortcut") and not isinstance(module, nn.Identity | nn.MaxPool2d)
    }
    assert (len(last), len(shortcuts)) == (16, 4)
    assert biased == {"stem.0"} | last | shortcuts
    assert all(isinstance(net.get_submodule(name), nn.Conv2d) for name in shortcuts), "no BN on the shortcut"
    assert len(net.stem) == 1


def test_version_1_has_no_bias_in_any_convolution() -> None:
    with torch.device("meta"):
        net = build(ResNet(), ImageSpec(3, 32, 32), 10)
    assert all(module.bias is None for module in net.modules() if isinstance(module, nn.Conv2d))


def test_units_compute_what_the_papers_draw() -> None:
    torch.manual_seed(0)
    first = build(ResNet(width=0.25), ImageSpec(3, 64, 64), 5).eval().get_submodule("stages.0.1")
    x = torch.randn(2, 16, 8, 8)
    torch.testing.assert_close(first(x), torch.relu(first.branch(x) + first.shortcut(x)))
    second = build(ResNet(width=0.25, version=2), ImageSpec(3, 64, 64), 5).eval()
    units = [module for module in second.modules() if isinstance(module, Unit2)]
    nn.init.normal_(units[0].norm.bias)
    activated = torch.relu(units[0].norm(x))
    torch.testing.assert_close(units[0](x), units[0].branch(activated) + units[0].shortcut(activated))
    x = torch.randn(2, 64, 8, 8)
    torch.testing.assert_close(units[1](x), units[1].branch(torch.relu(units[1].norm(x))) + x)


def test_version_2_normalises_before_the_pool_of_the_head() -> None:
    net = build(ResNet(version=2, width=0.25), ImageSpec(3, 32, 32), 10).eval()
    assert (net.features(torch.randn(1, 3, 32, 32))[-1] >= 0).all()
    assert isinstance(net.stages[-1][-2], nn.BatchNorm2d)


@pytest.mark.parametrize(("height", "width"), [(112, 112), (150, 113), (7, 8), (1, 3)])
def test_same_pool_pads_as_tensorflow(height: int, width: int) -> None:
    x = torch.randn(2, 3, height, width)
    padding = []
    for side in (width, height):
        total = max((-(-side // 2) - 1) * 2 + 3 - side, 0)
        padding += [total // 2, total - total // 2]
    padded = nn.functional.pad(x, padding, value=-torch.inf)
    expected = nn.functional.max_pool2d(padded, 3, 2)
    assert expected.shape[2:] == (-(-height // 2), -(-width // 2))
    torch.testing.assert_close(SamePool()(x), expected)


@pytest.mark.parametrize(("strides", "fan"), [("3x3", 9 * 128), ("slim", 9 * 128)])
def test_initial_values(strides: str, fan: int) -> None:
    torch.manual_seed(0)
    net = build(ResNet(strides=strides), ImageSpec(3, 32, 32), 10)
    conv = net.get_submodule("stages.1.1.branch.1.0")
    assert isinstance(conv, nn.Conv2d)
    assert conv.weight.std().item() == pytest.approx((2 / fan) ** 0.5, rel=0.02)
    last = net.get_submodule("stages.1.1.branch.2.0")
    fan_in, fan_out = last.weight.shape[1], last.weight.shape[0]
    assert last.weight.std().item() == pytest.approx((2 / (fan_in if strides == "slim" else fan_out)) ** 0.5, rel=0.02)
    largest = (conv.weight.abs().max() / conv.weight.std()).item()
    assert (largest < 2.4) == (strides == "slim"), "only slim cuts the normal"


def test_width_scales_every_layer() -> None:
    with torch.device("meta"):
        net = build(ResNet(width=0.5), ImageSpec(3, 32, 32), 10)
    assert net.get_submodule("stem.0").out_channels == 32
    assert net.get_submodule("head.2").in_features == 1024


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (ResNet(depth=51), "depth 51: table 1 has 18, 34, 50, 101, 152, 200"),
        (ResNet(version=3), "version 3"),
        (ResNet(strides="5x5"), "3x3, 1x1, slim"),
        (ResNet(depth=18, strides="1x1"), "choose depth 50"),
        (ResNet(depth=34, strides="slim"), "choose depth 50"),
        (ResNet(depth=18, version=2), "choose depth 50"),
        (ResNet(width=0.0), "above 0"),
        (ResNet(width=float("inf")), "above 0"),
    ],
)
def test_odd_configs_are_refused(config: ResNet, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        build(config, ImageSpec(3, 224, 224), 10)
