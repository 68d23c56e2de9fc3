from pathlib import Path

import numpy as np
import torch

from sprat import artifact
from sprat.artifact import Manifest
from sprat.export import to_sprat
from sprat.preprocess import Preprocess
from sprat.zoo import config_to_dict
from sprat.zoo.mobilenet_v1 import MobileNetV1


def test_the_file_holds_every_weight_and_statistic_exactly(tmp_path: Path):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    net(torch.randn(2, 3, 8, 8))
    said = Manifest(
        architecture=config_to_dict(MobileNetV1()),
        image=(3, 8, 8),
        classes=("a", "b"),
        preprocessing=Preprocess(3, 8, 8, (1.0,) * 3, (2.0,) * 3).to_dict(),
        scores={},
        licence=None,
    )
    path = tmp_path / "model.sprat"
    written = to_sprat(net, said, path)
    told, state = artifact.load(path)
    expected = {k: v.detach().numpy() for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    assert state.keys() == expected.keys()
    assert all(np.array_equal(state[name], value) for name, value in expected.items())
    assert told.classes == ("a", "b")
    assert (written.path, written.size_bytes) == (path, path.stat().st_size)
    assert told.state_sha256 == artifact.state_sha256(expected)
