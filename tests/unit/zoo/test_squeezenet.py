"""The counts of SqueezeNet 1.0, 1.1 and the bypass variants, metaparameters, width (shared/facts/squeezenet.md)."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from sprat.cost import Cost, count
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo import build
from sprat.zoo.squeezenet import FIRES, SqueezeNet, fire_widths

CROP = ImageSpec(3, 227, 227)


def cost(config: SqueezeNet, image: ImageSpec = CROP) -> Cost:
    with torch.device("meta"):
        return count(build(config, image, 1000), image)


@pytest.mark.parametrize(
    ("config", "params", "macs"),
    [
        (SqueezeNet(), 1_248_424, 832_667_936),
        (SqueezeNet(conv10_padding=1), 1_248_424, 861_339_936),
        (SqueezeNet(version="1.1"), 1_235_496, 387_747_520),
        (SqueezeNet(bypass="simple"), 1_248_424, 832_667_936),
    ],
)
def test_counts(config: SqueezeNet, params: int, macs: int) -> None:
    seen = cost(config)
    assert (seen.params, seen.macs) == (params, macs)


def test_complex_bypass_parameters_are_not_the_printed_7_7_mb() -> None:
    seen = cost(SqueezeNet(bypass="complex"))
    assert seen.params == 1_589_672
    assert round(4 * seen.params / 1e6, 1) == 6.4


def test_table_1_parameters_of_each_row() -> None:
    layers = cost(SqueezeNet()).layers
    fires = [layers[1 + 3 * row : 4 + 3 * row] for row in range(8)]
    assert layers[0].params == 14_208
    assert layers[-1].params == 513_000
    assert [sum(layer.params for layer in fire) for fire in fires] == [
        11_920,
        12_432,
        45_344,
        49_440,
        104_880,
        111_024,
        188_992,
        197_184,
    ]


def test_table_1_sizes_of_the_maps() -> None:
    with torch.device("meta"):
        maps = build(SqueezeNet(), CROP, 10).features(torch.empty(1, *CROP.shape))
    assert [tuple(x.shape[1:]) for x in maps] == [(96, 111, 111), (256, 55, 55), (512, 27, 27), (512, 13, 13)]


def test_metaparameters_of_the_defaults_give_table_1() -> None:
    assert [fire_widths(SqueezeNet(), fire) for fire in FIRES] == [
        (16, 64, 64),
        (16, 64, 64),
        (32, 128, 128),
        (32, 128, 128),
        (48, 192, 192),
        (48, 192, 192),
        (64, 256, 256),
        (64, 256, 256),
    ]


@pytest.mark.parametrize(("pct3x3", "three"), [(0.01, [1, 3]), (0.125, [16, 32]), (0.3, [38, 77]), (0.99, [127, 253])])
def test_pct3x3_from_1_to_99_percent_keeps_the_number_of_expand_filters(pct3x3: float, three: list[int]) -> None:
    config = SqueezeNet(sr=0.5, pct3x3=pct3x3)
    assert [fire_widths(config, fire) for fire in (2, 4)] == [
        (64, 128 - three[0], three[0]),
        (128, 256 - three[1], three[1]),
    ]


def test_the_design_space_study_is_within_the_metaparameters() -> None:
    sweep = [SqueezeNet(sr=sr) for sr in (0.125, 0.25, 0.5, 0.75, 1.0)]
    params = [cost(config).params for config in sweep]
    assert params == [1_248_424, 1_967_080, 3_404_392, 4_841_704, 6_279_016]
    steps = {(b - a) / (d.sr - c.sr) for a, b, c, d in zip(params, params[1:], sweep, sweep[1:], strict=False)}
    assert len(steps) == 1, "parameters grow linearly in SR"
    shares = [cost(SqueezeNet(sr=0.5, pct3x3=percent / 100)).params for percent in (1, 12.5, 25, 50, 75, 99)]
    assert shares == sorted(shares)
    assert shares[3] == params[2]
    assert cost(SqueezeNet(base_e=64, incr_e=64, freq=3, sr=1.0, pct3x3=0.99)).params > 0


def test_rounded_fires_still_take_bypasses() -> None:
    net = build(SqueezeNet(pct3x3=0.3, bypass="complex"), ImageSpec(3, 32, 32), 10).eval()
    with torch.no_grad():
        assert net(torch.randn(2, 3, 32, 32)).shape == (2, 10)


def test_simple_bypass_is_around_fires_3_5_7_and_9() -> None:
    net = build(SqueezeNet(bypass="simple"), ImageSpec(3, 32, 32), 10)
    blocks = [type(module).__name__ for module in net.modules() if type(module).__name__ in ("Bypass", "Fire")]
    assert blocks == ["Fire", "Bypass", "Fire"] * 4


def test_batch_norm_replaces_biases_but_in_the_classifier() -> None:
    net = build(SqueezeNet(batch_norm=True), ImageSpec(3, 32, 32), 10)
    biased = [name for name, module in net.named_modules() if isinstance(module, nn.Conv2d) and module.bias is not None]
    assert len(biased) == 1
    assert biased[0].startswith("head.")
    assert sum(isinstance(module, nn.BatchNorm2d) for module in net.modules()) == 25


def test_logits_of_the_published_network_are_not_negative() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 3, 32, 32)
    published = build(SqueezeNet(version="1.1"), ImageSpec(3, 32, 32), 50).eval()
    ours = build(SqueezeNet(version="1.1", batch_norm=True), ImageSpec(3, 32, 32), 50).eval()
    with torch.no_grad():
        assert (published(x) >= 0).all()
        assert (ours(x) < 0).any()


def test_width_scales_parameters_about_by_its_square() -> None:
    body = [
        sum(layer.params for layer in cost(SqueezeNet(version="1.1", width=width)).layers[:-1]) for width in (1.0, 0.5)
    ]
    assert 3.8 < body[0] / body[1] < 4.0


def test_initial_values_are_caffes() -> None:
    torch.manual_seed(0)
    net = build(SqueezeNet(), ImageSpec(3, 32, 32), 1000)
    convs = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    bound = (3 / convs[0].weight[0].numel()) ** 0.5
    assert bound * 0.99 < convs[0].weight.abs().max().item() <= bound
    assert convs[-1].weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert all((conv.bias == 0).all() for conv in convs if conv.bias is not None)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"version": "1.2"}, "1.0 or 1.1"),
        ({"bypass": "all"}, "none, simple or complex"),
        ({"pct3x3": 0.003}, "pct3x3 0.003 of the 128 expand filters of fire2 leaves 0 3x3"),
        ({"pct3x3": 0.997}, "leaves 128 3x3 and 0 1x1"),
        ({"sr": 0.1}, "squeeze 1x1 would have 12.8 filters"),
        ({"base_e": 127}, "whole"),
        ({"base_e": 5, "sr": 0.4, "width": 0.5}, "fire2 expand would have 2.5 filters"),
        ({"base_e": 127, "sr": 1.0, "width": 0.5}, "63.5 filters"),
        ({"width": 0.3}, "whole"),
        ({"width": 0.01}, "whole"),
        ({"width": float("nan")}, "above 0"),
        ({"width": float("inf")}, "above 0"),
        ({"freq": 0}, "freq"),
        ({"pct3x3": 1.0}, "between 0 and 1"),
        ({"dropout": 1.0}, "dropout"),
        ({"conv10_padding": 2}, "conv10_padding"),
    ],
)
def test_configs_that_cannot_be_built_are_refused(change: dict[str, object], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        build(replace(SqueezeNet(), **change), CROP, 10)  # type: ignore[arg-type]
