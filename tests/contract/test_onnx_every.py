"""ONNX export and its agreement with the network: one preset of each variant; `make contract` takes every preset."""

import os
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sprat.export import to_onnx
from sprat.export.session import open_session
from sprat.image import ImageSpec
from sprat.preprocess import Preprocess
from sprat.zoo import all_presets, build, family_of, list_models

IMAGE, CLASSES = ImageSpec(3, 32, 32), ("one", "two", "three")
PREPROCESS = Preprocess(3, 32, 32, (120.0,) * 3, (64.0,) * 3)


# Their exports take 15 to 25 seconds each; test_exporters.py has one of each family.
LONG = ("densenet", "enas_macro", "enas_micro", "inception_resnet_v2", "inception_v3", "inception_v4", "nasnet")


def variants() -> list[str]:
    """The last preset by name of those that differ in a word of their config, which is where the graph differs."""
    found: dict[object, str] = {}
    for name, config in sorted(all_presets().items(), reverse=True):
        family = family_of(config).name
        words = [getattr(config, f.name) for f in fields(config) if isinstance(getattr(config, f.name), str | bool)]
        if family not in LONG:
            found[family, tuple(words)] = name
    return sorted(found.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", list_models() if os.environ.get("SPRAT_EVERY") else variants())
def test_the_export_agrees(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = build(all_presets()[name], IMAGE, len(CLASSES))
    x = torch.randn(8, *IMAGE.shape)
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
    with torch.no_grad():
        if norms:
            net.train()(x)
        net.eval()
        last = [module for module in net.modules() if isinstance(module, nn.Linear | nn.Conv2d)][-1]
        last.weight *= 1 / net(x).std(0).mean().clamp(min=1e-6)
        pixels = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
        expected = torch.softmax(net(PREPROCESS.apply(pixels.numpy())), 1).numpy()
    path = to_onnx(net, PREPROCESS, CLASSES, tmp_path / "model.onnx")
    seen = open_session(path).run(None, {"image": pixels.numpy()})[0]
    np.testing.assert_allclose(seen, expected, atol=2e-3)
    assert np.abs(expected - 1 / 3).max() > 1e-3
