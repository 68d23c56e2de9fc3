"""Two networks of very different size as ONNX files."""

from pathlib import Path

import pytest
import torch
from torch import nn

from sprat.export import to_onnx
from sprat.preprocess import Preprocess


def exported(path: Path, hidden: int) -> Path:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12 * 10, hidden), nn.ReLU(), nn.Linear(hidden, 2))
    return to_onnx(net, Preprocess(1, 12, 10, (1.0,), (2.0,)), ("a", "b"), path)


@pytest.fixture(scope="session")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("bench") / "small.onnx", 16)


@pytest.fixture(scope="session")
def large_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 MB of weights."""
    return exported(tmp_path_factory.mktemp("bench") / "large.onnx", 60_000)
