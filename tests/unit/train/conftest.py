"""A tiny real task: scikit-learn's digits at 8x8, split as sprat splits them."""

import pytest
import torch

from sprat.data import open_collection
from sprat.image import ImageSpec
from sprat.preprocess import Preprocess
from sprat.zoo import build, config_from_dict


@pytest.fixture(scope="session")
def digits():
    return open_collection("digits").load(ImageSpec(1, 8, 8))


@pytest.fixture(scope="session")
def preprocess():
    return Preprocess(1, 8, 8, (78.0,), (96.0,))


@pytest.fixture
def make_net():
    def make(seed: int = 0):
        torch.manual_seed(seed)
        net = build(config_from_dict({"family": "mobilenet_v1", "width": 0.125}), ImageSpec(1, 8, 8), 10)
        return net.to(memory_format=torch.channels_last)

    return make
