"""Recorded behaviour of every family: names and shapes of its parameters, shapes of its features, ten logits.

The weights are filled by a formula, so the files outlive versions of PyTorch. SPRAT_ACCEPT=1 writes them anew; the
difference is then read. A refactor changes none.
"""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sprat.image import ImageSpec
from sprat.zoo import config_from_dict, config_to_dict, get_preset
from sprat.zoo.family import FAMILIES, build

FOLDER = Path(__file__).parent
IMAGE = ImageSpec(3, 64, 64)

# The preset of each family that is recorded, and fields changed to keep it small.
RECORDED: dict[str, tuple[str, dict[str, Any]]] = {
    "alexnet": ("alexnet", {"width": 0.125}),
    "densenet": ("densenet121", {"blocks": [2, 2, 2, 2], "growth": 8}),
    "enas_macro": ("enas_macro_96", {"filters": 4}),
    "enas_micro": ("enas_micro_36", {"cells": 3, "filters": 8}),
    "inception_resnet_v2": ("inception_resnet_v2", {"width": 0.125}),
    "inception_v1": ("inception_v1", {"width": 0.25}),
    "inception_v2": ("inception_v2", {"width": 0.25}),
    "inception_v3": ("inception_v3", {"width": 0.125}),
    "inception_v4": ("inception_v4", {"width": 0.125}),
    "mobilenet_v2": ("mobilenet_v2_0.35", {}),
    "mobilenet_v1": ("mobilenet_v1_0.25", {}),
    "nasnet": ("nasnet_a_4_1056", {"cells": 1, "filters": 96}),
    "resnet": ("resnet_v2_50", {"width": 0.125}),
    "resnet_cifar": ("resnet_cifar_20", {}),
    "resnext": ("resnext50_32x4d", {"groups": 8, "group_width": 4}),
    "shufflenet_rival": ("shufflenet_rival_resnet", {}),
    "vgg": ("vgg11", {"width": 0.125}),
    "xception": ("xception", {"width": 0.125}),
    "shufflenet_v1": ("shufflenet_v1_0.5_g3", {}),
    "squeezenet": ("squeezenet_1.0_complex_bypass", {}),
}


def fill(net: nn.Module) -> None:
    """Weights from a formula: sines of their position, scaled by fan-in; statistics near 0 and 1."""
    with torch.no_grad():
        for index, (name, tensor) in enumerate([*net.named_parameters(), *net.named_buffers()]):
            if not tensor.is_floating_point():
                continue
            wave = torch.sin(0.7 * torch.arange(tensor.numel(), dtype=torch.float64) + index).reshape(tensor.shape)
            if name.endswith("running_var"):
                values = 1 + 0.3 * wave
            elif tensor.dim() > 1:
                values = wave * math.sqrt(2 / tensor[0].numel()) * 1.4
            elif name.endswith("weight"):
                values = 1 + 0.2 * wave
            else:
                values = 0.1 * wave
            tensor.copy_(values)


def behaviour(family: str) -> dict[str, Any]:
    preset, changes = RECORDED[family]
    config = config_from_dict({**config_to_dict(get_preset(preset)), **changes})
    net = build(config, IMAGE, 10).eval()
    fill(net)
    side = torch.arange(IMAGE.height, dtype=torch.float64)
    picture = torch.stack([torch.outer(torch.sin(0.31 * side + c), torch.cos(0.17 * side - c)) for c in range(3)])
    with torch.no_grad():
        maps = net.features(picture.float()[None])
        logits = net(picture.float()[None])[0]
    return {
        "preset": preset,
        "changes": changes,
        "image": list(IMAGE.shape),
        "parameters": {name: list(value.shape) for name, value in net.state_dict().items() if value.dim()},
        "features": [list(value.shape[1:]) for value in maps],
        "logits": [float(f"{value:.6g}") for value in logits.double()],
    }


@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_family_behaves_as_recorded(family: str) -> None:
    assert family in RECORDED, f"name a preset of {family} in RECORDED"
    path = FOLDER / f"{family}.json"
    seen = behaviour(family)
    if os.environ.get("SPRAT_ACCEPT"):
        path.write_text(json.dumps(seen, indent=1) + "\n")
    recorded = json.loads(path.read_text())
    logits, wanted = seen.pop("logits"), recorded.pop("logits")
    assert seen == recorded
    spread = max(wanted) - min(wanted)
    assert spread > 1e-3, "the recorded network says nothing"
    assert logits == pytest.approx(wanted, abs=1e-4 * spread)
