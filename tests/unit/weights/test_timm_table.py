"""timm's names and shapes, derived in timm_names.py from its models' structure, against the table."""

from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from timm_names import CASES, nasnetalarge, vgg
from torch import Tensor
from torchvision_networks import CASES as TORCHVISION
from torchvision_networks import PLANS, Walk

from sprat.image import ImageSpec
from sprat.weights.convert import Converted, config_of, convert, parameters_of, skeleton
from sprat.weights.foreign import Foreign
from sprat.weights.importing import import_weights
from sprat.weights.layout import arranged
from sprat.weights.rules import pair
from sprat.weights.table import Network, networks_of
from sprat.zoo import build, get_preset


def entry_of(name: str) -> Network:
    return next(n for n in networks_of("torch") if (n.source, n.name) == ("timm", name))


class Centred(Walk):
    """A walk whose filters have a sum of zero: in networks as deep as the Inceptions others forget the image."""

    def tensor(self, name: str, shape: tuple[int, ...], low: float = -1.0, high: float = 1.0) -> Tensor:
        made = super().tensor(name, shape, low, high)
        return made.sub_(made.mean((1, 2, 3), keepdim=True)) if made.dim() == 4 and made[0].numel() > 9 else made


def test_every_entry_is_tested() -> None:
    assert {case[0] for case in CASES.values()} == {n.name for n in networks_of("torch") if n.source == "timm"}


@pytest.mark.parametrize("name", CASES)
def test_every_tensor_of_timm_pairs_with_one_of_ours_of_its_shape(name: str) -> None:
    entry, preset, side, _, walk = CASES[name]
    network, walked, image = entry_of(entry), Walk("meta"), ImageSpec(3, side, side)
    walk(walked, torch.empty(1, 3, side, side, device="meta"))
    ours = skeleton(config_of(network, preset, get_preset(preset), image), image, 1000)
    wanted = {key: tuple(value.shape) for key, value in ours.state_dict().items()}
    pairing = pair(network, list(walked.tensors), parameters_of(ours))
    assert pairing.complete, pairing.faults()
    for key, source in pairing.sources.items():
        for foreign in source.names:
            empty = np.broadcast_to(np.float32(0), tuple(walked.tensors[foreign].shape))
            assert arranged(empty, source.transform, foreign).shape == wanted[key], (foreign, key)


def compared(entry: str, name: str, preset: Any, side: int, eps: float, walk: Callable[[Walk, Tensor], Tensor]) -> None:
    """Logits of timm's network for two images, and of ours with its weights, agree within 1e-4 of the largest."""
    walked = Centred("cpu", eps)
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        theirs = walk(walked, x)
    foreign = Foreign("torch", {key: value.numpy() for key, value in walked.tensors.items()})
    found = convert(foreign, entry_of(entry), name, preset, ImageSpec(3, side, side))
    assert isinstance(found, Converted), found
    net = build(found.config, found.image, found.num_classes).eval()
    net.load_state_dict({key: torch.from_numpy(value) for key, value in found.state.items()}, strict=False)
    with torch.inference_mode():
        ours = net(x)
    scale = theirs.abs().max()
    assert (theirs[0] - theirs[1]).abs().max() > 1e-3 * scale, "the two images give the same logits: a dead network"
    assert (ours - theirs).abs().max() <= 1e-4 * scale


@pytest.mark.parametrize(("name", "side"), [
    ("mobilenetv1_100", 64), ("mobilenetv1_125", 64), ("mobilenetv2_050", 64), ("mobilenetv2_140", 64),
    ("legacy_xception", 64), ("inception_v4", 107), ("inception_resnet_v2", 107), ("resnext101_32x4d", 64),
])  # fmt: skip
def test_the_imported_network_gives_timm_s_logits(name: str, side: int) -> None:
    entry, preset, _, eps, walk = CASES[name]
    compared(entry, preset, get_preset(preset), side, eps, walk)


@pytest.mark.parametrize("norm", [False, True])
def test_vgg_in_a_narrow_form(norm: bool) -> None:
    entry = "vgg11_bn" if norm else "vgg11"
    narrow = replace(get_preset("vgg11"), width=0.125)
    compared(entry, "vgg11", narrow, 128, 1e-5, lambda w, x: vgg(w, x, PLANS[11], norm, width=8, hidden=512))


def test_nasnet_in_a_narrow_form() -> None:
    """The strides and the padding of the published one, 4,032 filters made 192."""
    narrow = replace(get_preset("nasnet_a_6_4032"), filters=192)
    compared("nasnetalarge", "nasnet_a_6_4032", narrow, 83, 1e-3, lambda w, x: nasnetalarge(w, x, channels=8))
    with pytest.raises(AssertionError):
        compared("nasnetalarge", "nasnet_a_6_4032", narrow, 83, 1e-3, lambda w, x: nasnetalarge(w, x, 8, True))


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnext50_32x4d", "densenet121", "inception_v3"])
def test_networks_of_torchvision_s_names_are_in_its_table_alone(name: str) -> None:
    walked, (_, preset, side, _, _, walk) = Walk("meta"), TORCHVISION[name]
    walk(walked, torch.empty(1, 3, side, side, device="meta"))
    image = ImageSpec(3, side, side)
    ours = parameters_of(skeleton(get_preset(preset), image, 1000))
    listed = [n for n in networks_of("torch") if any(fnmatchcase(preset, pattern) for pattern in n.models)]
    assert {n.source for n in listed if pair(n, list(walked.tensors), ours).complete} == {"torchvision"}


def test_a_saved_file_is_recognised_among_all_networks(tmp_path: Path) -> None:
    walked = Walk()
    entry, preset, *_, walk = CASES["mobilenetv2_035"]
    walk(walked, torch.zeros(1, 3, 64, 64))
    torch.save(walked.tensors, tmp_path / "a.pth")
    imported = import_weights(tmp_path / "a.pth")
    assert (imported.model, imported.manifest.licence) == (preset, "Apache-2.0")
    assert imported.manifest.origin is not None
    assert imported.manifest.origin["network"] == f"timm/{entry}"
    assert imported.manifest.preprocessing["resize"] == 256
