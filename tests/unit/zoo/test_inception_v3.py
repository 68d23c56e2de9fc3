"""The counts of Inception v3, its table, its side classifier, padding on small images (shared/facts/inception.md)."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from sprat.cost import Cost, count
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo import build
from sprat.zoo.inception_v3 import AuxiliaryNet, InceptionV3

PUBLISHED = ImageSpec(3, 299, 299)
SMALL = ImageSpec(3, 32, 32)


def cost(config: InceptionV3, classes: int = 1000) -> Cost:
    with torch.device("meta"):
        return count(build(config, PUBLISHED, classes), PUBLISHED)


@pytest.mark.parametrize(
    ("classes", "params", "macs"), [(1000, 23_834_568, 5_713_216_096), (1001, 23_836_617, 5_713_218_144)]
)
def test_counts(classes: int, params: int, macs: int) -> None:
    seen = cost(InceptionV3(), classes)
    assert (seen.params, seen.macs) == (params, macs)


def test_the_side_classifier_costs_parameters_but_no_macs() -> None:
    seen = cost(InceptionV3(auxiliary=True))
    extra = 768 * 128 + 2 * 128 + 128 * 25 * 768 + 2 * 768 + 768 * 1000 + 1000
    assert (seen.params - 23_834_568, seen.macs) == (extra, 5_713_216_096)
    assert extra == 3_326_696


def test_modules_have_the_sizes_of_table_1() -> None:
    shapes: dict[str, tuple[int, ...]] = {}
    with torch.device("meta"):
        net = build(InceptionV3(), PUBLISHED, 10)
        for stage in (net.stem, *net.stages):
            for name, block in stage.named_children():
                block.register_forward_hook(lambda _, __, y, name=name: shapes.update({name: tuple(y.shape[1:])}))
        maps = net.features(torch.empty(2, *PUBLISHED.shape))
    assert shapes == {
        "1a": (32, 149, 149),
        "2a": (32, 147, 147),
        "2b": (64, 147, 147),
        "3a": (64, 73, 73),
        "3b": (80, 73, 73),
        "4a": (192, 71, 71),
        "5a": (192, 35, 35),
        "5b": (256, 35, 35),
        "5c": (288, 35, 35),
        "5d": (288, 35, 35),
        "6a": (768, 17, 17),
        "6b": (768, 17, 17),
        "6c": (768, 17, 17),
        "6d": (768, 17, 17),
        "6e": (768, 17, 17),
        "7a": (1280, 8, 8),
        "7b": (2048, 8, 8),
        "7c": (2048, 8, 8),
    }
    assert [x.shape[-1] for x in maps] == [147, 71, 35, 17, 8]


def test_the_last_modules_fork() -> None:
    torch.manual_seed(0)
    net = build(InceptionV3(width=0.1), SMALL, 10).eval()
    fork = net.get_submodule("stages.3.7b.branches.1.1")
    kernels = [[conv.kernel_size for conv in part.modules() if isinstance(conv, nn.Conv2d)] for part in fork.branches]
    assert kernels == [[(1, 3)], [(3, 1)]]
    y = torch.rand(2, fork.branches[0][0][0].in_channels, 4, 4)
    torch.testing.assert_close(fork(y), torch.cat([fork.branches[0](y), fork.branches[1](y)], dim=1))


def test_small_images_are_padded_and_large_ones_are_not() -> None:
    paddings = []
    for image in (ImageSpec(3, 127, 200), ImageSpec(3, 128, 128)):
        with torch.device("meta"):
            net = build(InceptionV3(), image, 10)
            maps = net.features(torch.empty(2, *image.shape))
        paddings.append((net.get_submodule("stem.1a.0").padding, net.get_submodule("stages.3.7a.branches.2.0").padding))
        assert min(maps[-1].shape[2:]) >= 2
    assert paddings == [((1, 1), 1), ((0, 0), 0)]


def test_with_auxiliary_gives_two_logits_and_forward_runs_no_side_classifier() -> None:
    torch.manual_seed(0)
    net = build(InceptionV3(auxiliary=True, width=0.125), SMALL, 5)
    assert isinstance(net, AuxiliaryNet)
    assert net.auxiliary_weight == 0.4
    x = torch.randn(4, *SMALL.shape)
    labels = torch.tensor([0, 1, 2, 3])
    torch.nn.functional.cross_entropy(net(x), labels).backward()
    assert all((p.grad is None) == name.startswith("auxiliary.") for name, p in net.named_parameters())
    logits = net.with_auxiliary(x)
    assert [tuple(part.shape) for part in logits] == [(4, 5)] * 2
    torch.nn.functional.cross_entropy(logits[1], labels).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
    net.eval()
    with torch.no_grad():
        assert torch.equal(net.with_auxiliary(x)[0], net(x))


def test_the_side_classifier_sees_5x5_at_the_published_size() -> None:
    with torch.device("meta"):
        net = build(InceptionV3(auxiliary=True), PUBLISHED, 5).eval()
        side = net.get_submodule("auxiliary.6e")
        pooled = side[1](side[0](torch.empty(1, 768, 17, 17)))
        assert tuple(pooled.shape) == (1, 128, 5, 5)
        assert tuple(net.with_auxiliary(torch.empty(2, *PUBLISHED.shape))[1].shape) == (2, 5)


def test_initial_values_are_slims() -> None:
    torch.manual_seed(0)
    net = build(InceptionV3(auxiliary=True), SMALL, 1000)
    wanted = {"stages.2.6b.branches.1.1.0": (2 / (128 * 7)) ** 0.5, "head.3": (2 / 2048) ** 0.5}
    wanted |= {"auxiliary.6e.3.0": 0.0088, "auxiliary.6e.5": 0.00088}  # 0.01 and 0.001 before the cut
    for name, std in wanted.items():
        assert net.get_submodule(name).weight.std().item() == pytest.approx(std, rel=0.02), name


@pytest.mark.parametrize(
    ("change", "why"), [({"dropout": 1.0}, "dropout"), ({"width": 0.0}, "width"), ({"width": float("inf")}, "width")]
)
def test_configs_that_cannot_be_built_are_refused(change: dict[str, float], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        build(replace(InceptionV3(), **change), SMALL, 10)  # type: ignore[arg-type]


def test_too_small_an_image_is_refused() -> None:
    with pytest.raises(BadInput, match="at least 4 pixels"):
        build(InceptionV3(), ImageSpec(3, 3, 32), 10)
