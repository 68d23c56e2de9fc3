"""The kernels that are expected of a network are those that the runtime reports of its export."""

from collections import Counter
from pathlib import Path

import pytest
import torch

from sprat.bench.profile import profile
from sprat.cost.trace import trace
from sprat.export import to_onnx
from sprat.image import ImageSpec
from sprat.latency import Kind, kernels
from sprat.preprocess import Preprocess
from sprat.zoo import build, config_from_dict, get_preset

QUICK = (("mobilenet_v1_0.25", 40), ("shufflenet_v1_0.25_g3", 64))
SLOW = (
    ("mobilenet_v1_0.75", 96),
    ("shufflenet_v1_1.0_g8", 64),
    ("shufflenet_v1_0.5_g1", 33),
    ("squeezenet_1.0_complex_bypass", 64),
    ("squeezenet_1.1_bn_0.375", 48),
    ("alexnet_bn_0.25", 64),
    ("vgg16_bn_0.125", 32),
    ("xception_0.25", 64),
    ("enas_macro_96_separable", 32),
    ("enas_micro_36", 32),
)


def compare(name: str, side: int, folder: Path) -> None:
    image = ImageSpec(3, side, side)
    net = build(get_preset(name), image, 10)
    neutral = Preprocess(3, side, side, (127.5,) * 3, (64.0,) * 3)
    path = to_onnx(net, neutral, [str(index) for index in range(10)], folder / "model.onnx")
    seen = profile(path, (side, side), repeats=1)
    expected = kernels(trace(net, image), seen.block)
    words = [
        {(Kind(row[0]).name, *row[1:]): count for row, count in (Counter(a) - Counter(b)).items()}
        for a, b in ((seen.rows, expected), (expected, seen.rows))
    ]
    assert words == [{}, {}], "only seen, only expected"
    assert len(seen.us) == len(seen.rows)
    assert min(seen.us) >= 0


@pytest.mark.parametrize(("name", "side"), QUICK)
def test_expected_kernels_are_those_that_run(name: str, side: int, tmp_path: Path):
    compare(name, side, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "side"), SLOW)
def test_expected_kernels_are_those_that_run_in_every_family(name: str, side: int, tmp_path: Path):
    compare(name, side, tmp_path)


def test_rows_of_a_trace_do_not_depend_on_the_weights():
    config, image = config_from_dict({"family": "mobilenet_v1", "width": 0.25}), ImageSpec(3, 32, 32)
    with torch.device("meta"):
        empty = build(config, image, 10)
    assert kernels(trace(empty, image)) == kernels(trace(build(config, image, 10), image))
