"""The list of models: counted, with what is published, and its page is current."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from sprat.cost import count
from sprat.errors import UnknownName
from sprat.image import ImageSpec
from sprat.search.listing import listing
from sprat.zoo import create, list_models
from sprat.zoo.family import FAMILIES


def script() -> ModuleType:
    path = Path(__file__).parents[3] / "scripts/write_zoo.py"
    spec = importlib.util.spec_from_file_location("write_zoo", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_preset_is_listed_once_at_its_published_input() -> None:
    models = listing()
    assert sorted(model.name for model in models) == list_models()
    inputs = {model.name: (model.image.height, model.num_classes) for model in models}
    assert inputs["mobilenet_v1_1.0"] == (224, 1000)
    assert inputs["nasnet_a_6_4032"] == (331, 1000)
    assert inputs["densenet_bc_100_12"] == inputs["enas_macro_96"] == inputs["resnet_cifar_20"] == (32, 10)
    assert inputs["densenet121"] == (224, 1000)
    assert inputs["squeezenet_1.0"] == inputs["alexnet"] == (227, 1000)
    assert inputs["xception"] == inputs["inception_v3"] == inputs["inception_resnet_v2"] == (299, 1000)


def test_costs_and_published_accuracy() -> None:
    (model,) = listing("xception")[:1]
    assert (model.params, model.macs, model.top1) == (22_855_952, 8_357_403_496, 0.79)
    assert listing("mobilenet_v1_0.25")[0].top1 == 0.506
    assert listing("mobilenet_v1_0.125")[0].top1 is None  # nobody published it
    net = create("squeezenet_1.0", image=ImageSpec(3, 227, 227))
    assert count(net, ImageSpec(3, 227, 227)).macs == listing("squeezenet_1.0")[0].macs == 832_667_936


def test_a_family_or_a_pattern_selects() -> None:
    assert {model.family for model in listing("densenet")} == {"densenet"}
    assert {model.family for model in listing("*shuffle*")} == {"shufflenet_v1", "shufflenet_rival"}
    with pytest.raises(UnknownName, match="did you mean"):
        listing("densnet121")
    with pytest.raises(UnknownName, match="sprat zoo"):
        listing("zzz*")


def test_the_page_is_current() -> None:
    module = script()
    assert module.PAGE.read_text() == module.page(), "run python scripts/write_zoo.py"


def test_every_family_says_what_it_is() -> None:
    module = script()
    assert all(len(module.purpose(family)) > 20 for family in FAMILIES)
