"""torchvision's names and shapes, derived in torchvision_networks.py from its models' structure, against the table."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision_networks import CASES, PLANS, SQUEEZE_1_1, Walk, inception_v3, squeezenet

from sprat.image import ImageSpec
from sprat.weights.convert import Converted, convert, skeleton
from sprat.weights.foreign import Foreign
from sprat.weights.importing import import_weights
from sprat.weights.rules import pair
from sprat.weights.table import Network, networks_of
from sprat.zoo import build, config_from_dict, get_preset


def entry_of(name: str) -> Network:
    return next(n for n in networks_of("torch") if (n.source, n.name) == ("torchvision", name))


def our_parameters(state: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in state:
        module, _, parameter = name.rpartition(".")
        if parameter != "num_batches_tracked":
            found.setdefault(module, []).append(parameter)
    return found


@pytest.mark.parametrize("name", CASES)
def test_every_tensor_of_torchvision_pairs_with_one_of_ours_of_its_shape(name: str) -> None:
    entry, preset, side, _, documented, walk = CASES[name]
    network, walked = entry_of(entry), Walk("meta")
    walk(walked, torch.empty(1, 3, side, side, device="meta"))
    if documented is not None:
        statistics = ("running_mean", "running_var", "num_batches_tracked")
        counted = sum(t.numel() for n, t in walked.tensors.items() if not n.endswith(statistics))
        assert counted == documented, "the walk is not torchvision's network"
    net = skeleton(replace(get_preset(preset), **network.change), ImageSpec(3, side, side), 1000)
    state = net.state_dict()
    pairing = pair(network, list(walked.tensors), our_parameters(state))
    assert pairing.complete, pairing.faults()
    for ours, source in pairing.sources.items():
        for foreign in source.names:
            assert walked.tensors[foreign].shape == state[ours].shape, (foreign, ours)


FORWARD = ("resnet18", "densenet121 of 2017", "squeezenet1_0", "squeezenet1_1", "googlenet", "mobilenet_v2")


def logits_of(made: Converted, x: Tensor) -> Tensor:
    net = build(made.config, made.image, made.num_classes).eval()
    missing, unexpected = net.load_state_dict(
        {name: torch.from_numpy(value) for name, value in made.state.items()}, strict=False
    )
    assert not unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing)
    with torch.inference_mode():
        found: Tensor = net(x)
    return found


def both(name: str, side: int, walk: Callable[[Walk, Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Logits of torchvision's network, and of ours with its weights."""
    entry, preset, _, eps, _, _ = CASES[name]
    walked = Walk("cpu", eps)
    x = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        theirs = walk(walked, x)
    foreign = Foreign("torch", {key: value.numpy() for key, value in walked.tensors.items()})
    made = convert(foreign, entry_of(entry), preset, get_preset(preset), ImageSpec(3, side, side))
    assert isinstance(made, Converted), made
    return theirs, logits_of(made, x)


@pytest.mark.parametrize("name", FORWARD)
def test_the_imported_network_gives_torchvision_s_logits(name: str) -> None:
    theirs, ours = both(name, 128, CASES[name][-1])
    assert theirs.std() > 1e-3, "the logits say nothing"
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))


def test_inception_v3_gives_the_logits_with_tensorflow_s_pooling_and_not_torchvision_s() -> None:
    theirs, ours = both("inception_v3", 139, inception_v3)
    bound = 1e-4 * float(theirs.abs().max())
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=bound)
    counted, same = both("inception_v3", 139, lambda w, x: inception_v3(w, x, pads_count=True))
    assert float((counted - same).abs().max()) > 10 * bound


def test_the_bias_before_a_norm_goes_into_its_mean() -> None:
    """VGG with batch norm, in a narrow form that the table's line for line rules fit too."""
    walked = Walk("cpu")
    x = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    index, y = 0, x
    widths = {"a": 8, "b": 16, "c": 32, "d": 64}
    with torch.inference_mode():
        for letter in PLANS[11]:
            if letter == "M":
                y, index = F.max_pool2d(y, 2, 2), index + 1
                continue
            y = walked.conv(f"features.{index}", y, widths[letter], 3, padding=1, bias=True)
            y, index = walked.norm(f"features.{index + 1}", y).relu(), index + 3
        y = walked.linear("classifier.0", y.flatten(1), 512).relu()
        y = walked.linear("classifier.3", y, 512).relu()
        theirs = walked.linear("classifier.6", y, 10)
    foreign = Foreign("torch", {key: value.numpy() for key, value in walked.tensors.items()})
    narrow = replace(get_preset("vgg11"), width=0.125)
    made = convert(foreign, entry_of("vgg11_bn"), "vgg11", narrow, ImageSpec(3, 128, 128))
    assert isinstance(made, Converted), made
    torch.testing.assert_close(logits_of(made, x), theirs, rtol=1e-3, atol=1e-4)


def test_a_saved_file_is_recognised_among_all_networks(tmp_path: Path) -> None:
    walked = Walk()
    squeezenet(walked, torch.zeros(1, 3, 64, 64), *SQUEEZE_1_1)
    torch.save({"state_dict": {f"module.{name}": value for name, value in walked.tensors.items()}}, tmp_path / "a.pth")
    imported = import_weights(tmp_path / "a.pth")
    assert imported.model == "squeezenet_1.1"
    assert imported.manifest.licence == "BSD-3-Clause"
    assert config_from_dict(imported.manifest.architecture) == get_preset("squeezenet_1.1")
    assert imported.manifest.preprocessing == {
        "channels": 3, "height": 224, "width": 224, "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375],
        "resize": 256, "keep_aspect": True,
    }  # fmt: skip
