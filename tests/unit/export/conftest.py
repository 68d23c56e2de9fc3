"""Small networks with batch norm statistics that were seen, and real photos."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from sprat.export import to_onnx
from sprat.preprocess import Preprocess

CLASSES = ("alpha", "beta", "gamma", "délta", "epsilon")
PREPROCESS = Preprocess(3, 24, 20, (120.5, 110.25, 100.0), (60.0, 61.5, 55.0))


class Shuffled(nn.Module):
    """Group convolutions, two shuffles, a pool that rounds up, batch norm: what exporters stumble over."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 12, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(12)
        self.second = nn.Conv2d(12, 24, 1, groups=3)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.dropout = nn.Dropout(0.5)
        self.last = nn.Linear(24, len(CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.first(x)))
        x = self.shuffle(self.second(self.shuffle(x, 3)), 4)
        return self.last(self.dropout(self.pool(x).mean((2, 3))))

    @staticmethod
    def shuffle(x: Tensor, groups: int) -> Tensor:
        n, c, h, w = x.shape
        return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


@pytest.fixture(scope="session")
def preprocess() -> Preprocess:
    return PREPROCESS


@pytest.fixture(scope="session")
def classes() -> tuple[str, ...]:
    return CLASSES


@pytest.fixture(scope="session")
def make_net() -> Callable[[int], nn.Module]:
    """A network for `preprocess` and `classes` from a seed, its answers spread over the classes."""

    def make(seed: int) -> nn.Module:
        generator = torch.Generator().manual_seed(seed)
        network = Shuffled()
        for parameter in network.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.5
        with torch.no_grad():
            network.train()(torch.randn(16, 3, 24, 20, generator=generator))
        return network.eval()

    return make


@pytest.fixture(scope="session")
def onnx_file(tmp_path_factory: pytest.TempPathFactory, make_net: Callable[[int], nn.Module]) -> Path:
    """`make_net(0)` as ONNX."""
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    return to_onnx(make_net(0), PREPROCESS, CLASSES, path)


@pytest.fixture(scope="session")
def pictures() -> list[np.ndarray]:
    """24 smooth random pictures of four sizes, two of them grey."""
    sizes = [(24, 20, 3), (50, 61, 3), (9, 13, 3), (40, 30, 1)]
    noise = np.random.default_rng(0).integers(0, 256, (24, 6, 6, 3), dtype=np.uint8)
    result = []
    for index, pixels in enumerate(noise):
        height, width, channels = sizes[index % 4]
        image = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
        result.append(np.asarray(image if channels == 3 else image.convert("L")).reshape(height, width, channels))
    return result


@pytest.fixture(scope="session")
def photos(shared: Path) -> list[np.ndarray]:
    """Eight real photos 224x224, uint8 (H, W, 3)."""
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.ParquetFile(shared / "data" / "imagenette224-val.parquet")
    rows = next(table.iter_batches(batch_size=8)).to_pylist()
    return [np.asarray(Image.open(BytesIO(row["image"]["bytes"])).convert("RGB")) for row in rows]
