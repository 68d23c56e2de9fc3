"""The counts of Inception v2 with both stems, its table, its initial values (shared/facts/inception.md)."""

import pytest
import torch
from torch import nn

from sprat.cost import Cost, count
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo import build
from sprat.zoo.inception_v2 import InceptionV2

IMAGENET = ImageSpec(3, 224, 224)
SMALL = ImageSpec(3, 32, 32)


def cost(config: InceptionV2, classes: int = 1000) -> Cost:
    with torch.device("meta"):
        return count(build(config, IMAGENET, classes), IMAGENET)


@pytest.mark.parametrize(
    ("stem", "classes", "params", "macs"),
    [
        ("separable", 1000, 11_188_288, 1_934_857_216),
        ("separable", 1001, 11_189_313, 1_934_858_240),
        ("plain", 1000, 11_194_984, 2_018_851_840),
    ],
)
def test_counts(stem: str, classes: int, params: int, macs: int) -> None:
    seen = cost(InceptionV2(stem=stem), classes)
    assert (seen.params, seen.macs) == (params, macs)


def test_separable_stem_is_8_channels_an_input_channel_and_one_batch_norm() -> None:
    rows = cost(InceptionV2()).layers[:3]
    assert [(row.kind, row.out_shape) for row in rows] == [
        ("depthwise", (24, 112, 112)),
        ("pointwise", (64, 112, 112)),
        ("norm", (64, 112, 112)),
    ]
    assert [row.params for row in rows] == [3 * 8 * 49, 24 * 64, 128]


@pytest.mark.parametrize(("channels", "middle"), [(1, 8), (3, 24), (12, 60), (100, 100)])
def test_separable_stem_takes_any_number_of_input_channels(channels: int, middle: int) -> None:
    net = build(InceptionV2(), ImageSpec(channels, 32, 32), 10)
    assert net.get_submodule("stem.0").out_channels == middle


def test_sizes_and_channels_of_the_modules() -> None:
    layers: dict[str, tuple[int, ...]] = {}
    with torch.device("meta"):
        net = build(InceptionV2(), IMAGENET, 10)
        for stage in net.stages:
            for name, block in stage.named_children():
                block.register_forward_hook(lambda _, __, y, name=name: layers.update({name: tuple(y.shape[1:])}))
        net(torch.empty(2, *IMAGENET.shape))
    assert layers == {
        "pool2": (64, 56, 56),
        "2b": (64, 56, 56),
        "2c": (192, 56, 56),
        "pool3": (192, 28, 28),
        "3b": (256, 28, 28),
        "3c": (320, 28, 28),
        "4a": (576, 14, 14),
        "4b": (576, 14, 14),
        "4c": (576, 14, 14),
        "4d": (576, 14, 14),
        "4e": (576, 14, 14),
        "5a": (1024, 7, 7),
        "5b": (1024, 7, 7),
        "5c": (1024, 7, 7),
    }


def test_only_the_last_module_and_the_reductions_pool_by_maximum() -> None:
    net = build(InceptionV2(), SMALL, 10)
    kinds = {
        name: {type(module).__name__ for module in block.modules() if "Pool" in type(module).__name__}
        for stage in net.stages
        for name, block in stage.named_children()
        if name[0] in "345"
    }
    by_maximum = [name for name, kind in kinds.items() if kind == {"MaxPool2d"} and not name.startswith("pool")]
    assert by_maximum == ["4a", "5a", "5c"]
    assert kinds["3b"] == {"AvgPool2d"}


def test_average_pool_leaves_the_padding_out() -> None:
    net = build(InceptionV2(), SMALL, 10)
    pool = net.get_submodule("stages.1.3b.branches.3.0")
    torch.testing.assert_close(pool(torch.ones(1, 1, 4, 4)), torch.ones(1, 1, 4, 4))


def test_initial_values_are_slims() -> None:
    torch.manual_seed(0)
    net = build(InceptionV2(), SMALL, 1000)
    wanted = {
        "stem.0": 1.0,
        "stem.1.0": 1.0,
        "stages.0.2b.0": 0.1,
        "stages.2.4b.branches.1.0.0": 0.09,
        "stages.2.4b.branches.2.0.0": 0.09,
        "stages.2.4b.branches.3.1.0": 0.1,
    }
    for name, std in wanted.items():
        weight = net.get_submodule(name).weight
        assert weight.std().item() == pytest.approx(0.8796 * std, rel=0.05), name
        assert weight.abs().max().item() <= 2 * std
    for name, fan_in in {"stages.2.4b.branches.0.0": 576, "stages.0.2c.0": 576, "head.3": 1024}.items():
        assert net.get_submodule(name).weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.03), name


def test_width_scales_every_convolution() -> None:
    assert 3.6 < cost(InceptionV2()).macs / cost(InceptionV2(width=0.5)).macs < 4.1


def test_batch_norm_has_slims_epsilon() -> None:
    norms = [m for m in build(InceptionV2(), SMALL, 10).modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 69
    assert all(norm.eps == 1e-3 for norm in norms)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (InceptionV2(stem="7x7"), "separable or plain"),
        (InceptionV2(dropout=1.0), "dropout"),
        (InceptionV2(width=-1.0), "width"),
    ],
)
def test_configs_that_cannot_be_built_are_refused(config: InceptionV2, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        build(config, SMALL, 10)


def test_too_small_an_image_is_refused() -> None:
    with pytest.raises(BadInput, match="at least 4 pixels"):
        build(InceptionV2(), ImageSpec(3, 3, 32), 10)
