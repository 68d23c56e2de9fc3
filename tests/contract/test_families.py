"""The same checks on every family and preset of the zoo."""

import json
import os
from dataclasses import fields
from typing import Any

import pytest
import torch

from sprat.cost import count
from sprat.errors import BadInput, UnknownName
from sprat.image import ImageSpec
from sprat.zoo import (
    all_presets,
    build,
    config_from_dict,
    config_to_dict,
    create,
    family_of,
    get_preset,
    list_models,
    published_input,
)
from sprat.zoo.blocks import fit_strides
from sprat.zoo.family import FAMILIES

IMAGENET = ImageSpec(3, 224, 224)


def variants() -> list[str]:
    """The cheapest preset of each variant, of those that differ by more than numbers.

    Every preset is built, counted and run without weights; `make contract` runs every one with weights too.
    """
    found: dict[Any, tuple[int, str]] = {}
    for name, config in all_presets().items():
        words = tuple(
            getattr(config, f.name) for f in fields(config) if isinstance(getattr(config, f.name), str | bool)
        )
        with torch.device("meta"):
            params = sum(p.numel() for p in create(name, num_classes=5, image=ImageSpec(3, 32, 32)).parameters())
        key = (family_of(config).name, words, getattr(config, "groups", 2) == 1)
        found[key] = min(found.get(key, (params, name)), (params, name))
    return sorted(name for _, name in found.values())


VARIANTS = variants()
# All presets where SPRAT_EVERY is set.
SMALL = list_models() if os.environ.get("SPRAT_EVERY") else VARIANTS
SLOW_AT_64 = ("enas_macro", "enas_micro", "inception_v4", "vgg")  # families: 2 to 6 seconds forward and backward


@pytest.mark.parametrize("family", list(FAMILIES))
def test_family_has_a_paper_and_presets(family: str) -> None:
    found = FAMILIES.get(family)
    assert found.paper.startswith("arXiv:")
    assert found.presets
    assert all(family_of(config).name == family for config in found.presets.values())
    assert all(name.startswith(family) for name in found.presets)


@pytest.mark.parametrize("name", list_models())
def test_preset_builds_without_weights_and_its_layers_sum(name: str) -> None:
    with torch.device("meta"):
        cost = count(create(name), IMAGENET)
    assert cost.params > 0
    assert sum(layer.params for layer in cost.layers) == cost.params
    assert sum(layer.macs for layer in cost.layers) == cost.macs
    assert cost.peak_bytes >= 4 * 3 * 224 * 224


@pytest.mark.parametrize("name", list_models())
def test_preset_survives_json(name: str) -> None:
    config = get_preset(name)
    again = config_from_dict(json.loads(json.dumps(config_to_dict(config))))
    assert again == config
    assert hash(again) == hash(config)


@pytest.mark.parametrize("name", list_models())
def test_preset_takes_small_and_grey_images(name: str) -> None:
    sizes = (ImageSpec(1, 8, 8), ImageSpec(3, 5, 9), ImageSpec(3, 32, 32), ImageSpec(3, 64, 48))
    for image in sizes if name in SMALL else sizes[1:2]:
        with torch.device("meta"):
            net = create(name, num_classes=7, image=image).eval()
            maps = net.features(torch.empty(2, *image.shape))
            logits = net.head(maps[-1])
        assert logits.shape == (2, 7)
        assert min(maps[-1].shape[2:]) >= 2


@pytest.mark.parametrize("name", list_models())
def test_preset_refuses_too_small_an_image(name: str) -> None:
    with pytest.raises(BadInput, match="at least 4 pixels"), torch.device("meta"):
        create(name, image=ImageSpec(3, 3, 3))


@pytest.mark.parametrize(
    ("name", "side"),
    [(name, side) for side in (8, 32) for name in SMALL]
    + [(name, 64) for name in VARIANTS if family_of(get_preset(name)).name not in SLOW_AT_64],
)
def test_forward_and_backward_reach_every_parameter(name: str, side: int) -> None:
    torch.manual_seed(0)
    image = ImageSpec(3, side, side)
    net = create(name, num_classes=5, image=image)
    x = torch.randn(4, *image.shape)
    loss = torch.nn.functional.cross_entropy(net(x), torch.tensor([0, 1, 2, 3]))
    loss.backward()
    assert torch.isfinite(loss)
    for parameter_name, parameter in net.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert torch.isfinite(parameter.grad).all(), parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("side", [8, 32, 64, 224])
def test_features_halve_from_stage_to_stage(name: str, side: int) -> None:
    image = ImageSpec(3, side, side)
    with torch.device("meta"):
        net = create(name, image=image).eval()
        maps = net.features(torch.empty(1, *image.shape))
    sides = [x.shape[-1] for x in maps]
    # AlexNet's first convolution, 11x11 with stride 4, has no padding: 224 to 54.
    cut = 2 if side == 224 and family_of(get_preset(name)).name == "alexnet" else 1
    for before, after in zip([side, *sides], sides, strict=False):
        assert before // 4 - cut <= after <= before
    assert sides == sorted(sides, reverse=True)
    if side < 224:
        for_cifar = published_input(name)[0].height == 32  # such a network halves twice at the most
        assert sides[-1] == (max(4, side // 4) if for_cifar else 4)


@pytest.mark.parametrize("name", SMALL)
def test_the_same_seed_builds_the_same_network(name: str) -> None:
    nets = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        nets.append(create(name, num_classes=5, image=ImageSpec(3, 32, 32)).state_dict())
    assert all(torch.equal(nets[0][key], nets[1][key]) for key in nets[0])
    assert any(not torch.equal(nets[0][key], nets[2][key]) for key in nets[0])


@pytest.mark.parametrize("name", SMALL)
def test_a_state_dict_loads_into_a_fresh_network(name: str) -> None:
    image = ImageSpec(3, 32, 32)
    torch.manual_seed(0)
    first = create(name, num_classes=5, image=image)
    first(torch.randn(8, *image.shape))  # moves the running statistics
    second = create(name, num_classes=5, image=image)
    second.load_state_dict(first.state_dict())
    x = torch.randn(2, *image.shape)
    with torch.no_grad():
        assert torch.equal(first.eval()(x), second.eval()(x))


@pytest.mark.parametrize("name", SMALL)
def test_logits_are_head_of_the_last_feature(name: str) -> None:
    torch.manual_seed(0)
    net = create(name, num_classes=5, image=ImageSpec(3, 32, 32)).eval()
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(net(x), net.head(net.features(x)[-1]))


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"did you mean .*mobilenet_v1_0\.5"):
        get_preset("mobilenetv1_0.5")


def test_an_unknown_family_in_json_offers_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean squeezenet"):
        config_from_dict({"family": "squeeznet"})


def test_a_wrong_field_in_json_is_refused() -> None:
    with pytest.raises(BadInput, match="has no field 'alpha'"):
        config_from_dict({"family": "mobilenet_v1", "alpha": 0.5})
    with pytest.raises(BadInput, match="must be int"):
        config_from_dict({"family": "shufflenet_v1", "groups": "3"})


def test_no_classes_are_refused() -> None:
    with pytest.raises(BadInput, match="at least 1 class"):
        build(get_preset("squeezenet_1.1"), IMAGENET, 0)


def test_presets_are_distinct_values() -> None:
    presets = all_presets()
    assert len(set(presets.values())) == len(presets)


@pytest.mark.parametrize(
    ("side", "strides"),
    [
        (224, (2, 2, 2, 2, 2)),
        (128, (2, 2, 2, 2, 2)),
        (64, (1, 2, 2, 2, 2)),
        (32, (1, 1, 2, 2, 2)),
        (8, (1, 1, 1, 1, 2)),
        (4, (1,) * 5),
    ],
)
def test_the_earliest_strides_go_on_small_images(side: int, strides: tuple[int, ...]) -> None:
    assert fit_strides((2,) * 5, ImageSpec(3, side, side), "net") == strides
