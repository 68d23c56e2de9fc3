"""The counts of Inception v1 in both variants, table 1, side classifiers (shared/facts/inception.md)."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from sprat.cost import Cost, count
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo import build
from sprat.zoo.inception_v1 import STAGES, AuxiliaryNet, InceptionV1

IMAGENET = ImageSpec(3, 224, 224)
SMALL = ImageSpec(3, 32, 32)
PAPER = InceptionV1(variant="paper", dropout=0.4)


def cost(config: InceptionV1, classes: int = 1000) -> Cost:
    with torch.device("meta"):
        return count(build(config, IMAGENET, classes), IMAGENET)


@pytest.mark.parametrize(
    ("config", "classes", "params", "macs"),
    [
        (InceptionV1(), 1000, 6_624_904, 1_498_376_192),
        (InceptionV1(), 1001, 6_625_929, 1_498_377_216),
        (PAPER, 1000, 6_998_552, 1_582_671_872),
    ],
)
def test_counts(config: InceptionV1, classes: int, params: int, macs: int) -> None:
    seen = cost(config, classes)
    assert (seen.params, seen.macs) == (params, macs)


def test_side_classifiers_cost_parameters_but_no_macs() -> None:
    with_side, without = cost(replace(PAPER, auxiliary=True)), cost(PAPER)
    assert with_side.macs == without.macs
    fully_connected = 4 * 4 * 128 * 1024 + 1024 + 1024 * 1000 + 1000
    extra = sum(channels * 128 + 128 + fully_connected for channels in (512, 528))
    assert with_side.params - without.params == extra == 6_379_728


def test_modules_end_with_the_output_sizes_of_table_1() -> None:
    totals = [one + threes[1] + fives[1] + pool for rows in STAGES for _, one, threes, fives, pool in rows]
    assert totals == [256, 480, 512, 512, 512, 528, 832, 832, 1024]


@pytest.mark.parametrize("variant", ["slim", "paper"])
def test_maps_have_the_sizes_of_table_1(variant: str) -> None:
    with torch.device("meta"):
        maps = build(InceptionV1(variant=variant), IMAGENET, 10).features(torch.empty(1, *IMAGENET.shape))
    assert [tuple(x.shape[1:]) for x in maps] == [
        (64, 112, 112),
        (192, 56, 56),
        (480, 28, 28),
        (832, 14, 14),
        (1024, 7, 7),
    ]


def test_the_variants_differ_where_they_should() -> None:
    with torch.device("meta"):
        slim, paper = build(InceptionV1(), IMAGENET, 10), build(PAPER, IMAGENET, 10)
    assert [sum(isinstance(m, nn.LocalResponseNorm) for m in net.modules()) for net in (slim, paper)] == [0, 2]
    assert [sum(isinstance(m, nn.BatchNorm2d) for m in net.modules()) for net in (slim, paper)] == [57, 0]
    assert [any(getattr(m, "kernel_size", 0) == (5, 5) for m in net.modules()) for net in (slim, paper)] == [
        False,
        True,
    ]
    assert [net.get_submodule("stages.3.pool5").kernel_size for net in (slim, paper)] == [2, 3]
    assert list(dict(paper.get_submodule("stages.0").named_children())) == ["pool2", "norm1", "2b", "2c", "norm2"]


def test_with_auxiliary_gives_three_logits_and_forward_runs_no_side_classifier() -> None:
    torch.manual_seed(0)
    net = build(replace(PAPER, auxiliary=True, width=0.25), SMALL, 5).eval()
    assert isinstance(net, AuxiliaryNet)
    assert net.auxiliary_weight == 0.3
    x = torch.randn(2, *SMALL.shape)
    logits = net.with_auxiliary(x)
    assert [tuple(part.shape) for part in logits] == [(2, 5)] * 3
    assert torch.equal(logits[0], net(x))
    torch.nn.functional.cross_entropy(net(x), torch.tensor([0, 1])).backward()
    assert all((p.grad is None) == name.startswith("auxiliary.") for name, p in net.named_parameters())
    sum(torch.nn.functional.cross_entropy(part, torch.tensor([0, 1])) for part in logits).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_side_classifiers_only_where_asked() -> None:
    assert not hasattr(build(PAPER, SMALL, 5), "with_auxiliary")


def test_initial_values() -> None:
    torch.manual_seed(0)
    slim = build(InceptionV1(), SMALL, 1000)
    convs = [module for module in slim.modules() if isinstance(module, nn.Conv2d)]
    assert max(conv.weight.abs().max().item() for conv in convs) <= 0.02
    assert convs[-1].weight.std().item() == pytest.approx(0.0088, rel=0.02)  # 0.01 before the cut
    paper = build(replace(PAPER, auxiliary=True), SMALL, 1000)
    conv = paper.get_submodule("stages.1.3b.branches.1.1.0")
    assert conv.weight.std().item() == pytest.approx((1 / (96 * 9)) ** 0.5, rel=0.02)
    biases = {name: p for name, p in paper.named_parameters() if name.endswith(".bias")}
    zero = [name for name, bias in biases.items() if (bias == 0).all()]
    assert zero == [name for name in biases if name in ("head.3.bias", "auxiliary.4b.7.bias", "auxiliary.4e.7.bias")]
    assert len(zero) == 3
    assert all((bias == 0.2).all() for name, bias in biases.items() if name not in zero)


def test_width_scales_every_convolution() -> None:
    half = cost(InceptionV1(width=0.5))
    assert 3.6 < cost(InceptionV1()).macs / half.macs < 4.0
    assert half.layers[0].out_shape == (32, 112, 112)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (InceptionV1(variant="caffe"), "slim or paper"),
        (InceptionV1(auxiliary=True), "no auxiliary heads; take variant 'paper'"),
        (InceptionV1(dropout=1.0), "dropout"),
        (InceptionV1(dropout=-0.1), "dropout"),
        (InceptionV1(width=0.0), "width"),
        (InceptionV1(width=float("nan")), "width"),
    ],
)
def test_configs_that_cannot_be_built_are_refused(config: InceptionV1, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        build(config, SMALL, 10)


def test_too_small_an_image_is_refused() -> None:
    with pytest.raises(BadInput, match="at least 4 pixels"):
        build(InceptionV1(), ImageSpec(3, 3, 32), 10)
