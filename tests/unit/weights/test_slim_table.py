"""The table of TF-Slim's networks against the variables that slim's definitions create, derived apart from our zoo."""

from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest
import torch
from slim_cases import CASES, variables_of
from slim_graph import BACKGROUND, STATISTICS, TRAINED, Shape, shadowed
from torch import nn

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.weights.layout import arranged
from sprat.weights.rules import Pairing, pair
from sprat.weights.table import Network, formats, tables
from sprat.zoo import all_presets, build

Shapes = Mapping[str, Shape]

every_network = pytest.mark.parametrize("name", CASES)


def entries() -> list[Network]:
    return [network for network in tables() if network.source == "tf_slim"]


def entry(name: str) -> Network:
    return next(network for network in entries() if network.name == name)


@cache
def state_of(preset: str, side: int, num_classes: int) -> dict[str, Shape]:
    """Our parameters and statistics, name to shape, of a network without memory."""
    with torch.device("meta"):
        net = build(all_presets()[preset], ImageSpec(3, side, side), num_classes)
    counters = {f"{n}.num_batches_tracked" for n, m in net.named_modules() if isinstance(m, nn.BatchNorm2d)}
    return {name: tuple(value.shape) for name, value in net.state_dict().items() if name not in counters}


def paired(network: Network, preset: str, variables: Shapes) -> tuple[Pairing, list[str]]:
    """How a checkpoint of those variables pairs with a preset, and the tensors whose shape is then another."""
    ours = state_of(preset, network.side["*"], BACKGROUND if network.background else 1000)
    modules: dict[str, list[str]] = {}
    for name in ours:
        module, _, parameter = name.rpartition(".")
        modules.setdefault(module, []).append(parameter)
    pairing = pair(network, list(variables), modules)
    wrong = []
    for name, source in pairing.sources.items():
        for foreign in source.names:
            array = np.broadcast_to(np.float32(0), variables[foreign])  # no memory of that size
            try:
                shape = arranged(array, source.transform, foreign).shape
            except BadInput as error:
                wrong.append(str(error))
                continue
            if shape != ours[name]:
                wrong.append(f"{foreign} {variables[foreign]} is {shape}, {name} is {ours[name]}")
    return pairing, wrong


def fitting(variables: Shapes) -> list[tuple[str, str]]:
    """(entry, preset) of all that such a checkpoint fits, in the order of the table."""
    found = []
    for network in entries():
        for case in CASES.values():
            if case.entry != network.name.removesuffix("_averaged"):
                continue
            pairing, wrong = paired(network, case.preset, variables)
            if pairing.complete and not wrong:
                found.append((network.name, case.preset))
    return found


@every_network
def test_every_variable_and_every_parameter_pairs_in_its_shape(name: str) -> None:
    case = CASES[name]
    pairing, wrong = paired(entry(case.entry), case.preset, variables_of(name))
    assert pairing.faults() == ""
    assert wrong == []
    state = state_of(case.preset, entry(case.entry).side["*"], 10)
    assert set(pairing.sources) == set(state)


@every_network
def test_a_checkpoint_fits_one_entry_and_one_preset(name: str) -> None:
    case = CASES[name]
    assert fitting(variables_of(name)) == [(case.entry, case.preset)]


@every_network
def test_what_training_keeps_beside_the_weights_is_no_matter(name: str) -> None:
    variables = variables_of(name)
    extra: dict[str, Shape] = {"global_step": ()}
    for suffix in ("RMSProp", "RMSProp_1", "Momentum", "Adam", "Adam_1"):
        extra |= shadowed(variables, suffix, TRAINED)
    extra |= shadowed(variables, "ExponentialMovingAverage", (*TRAINED, *STATISTICS))
    case = CASES[name]
    pairing, _ = paired(entry(case.entry), case.preset, {**variables, **extra})
    assert pairing.faults() == ""
    assert pairing.sources == paired(entry(case.entry), case.preset, variables)[0].sources


@every_network
def test_a_variable_too_many_or_too_few_is_an_error(name: str) -> None:
    case, variables = CASES[name], variables_of(name)
    scope = next(iter(variables)).split("/")[0]
    more = {**variables, f"{scope}/Another/weights": (1, 1, 8, 8)}
    assert paired(entry(case.entry), case.preset, more)[0].unused == (f"{scope}/Another/weights",)
    used = [n for source in paired(entry(case.entry), case.preset, variables)[0].sources.values() for n in source.names]
    for lost in (used[0], used[len(used) // 2], used[-1]):
        fewer = {name: shape for name, shape in variables.items() if name != lost}
        assert not paired(entry(case.entry), case.preset, fewer)[0].complete, lost


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("mobilenet")])
def test_mobilenets_are_taken_with_their_averages_where_the_file_has_them(name: str) -> None:
    case, variables = CASES[name], variables_of(name)
    averages = shadowed(variables, "ExponentialMovingAverage", (*TRAINED, *STATISTICS))
    first, second = fitting({**variables, **averages})
    assert (first, second) == ((f"{case.entry}_averaged", case.preset), (case.entry, case.preset))
    pairing, _ = paired(entry(first[0]), case.preset, {**variables, **averages})
    for source in pairing.sources.values():
        last = source.names[0].split("/")[-1]
        assert last in ("ExponentialMovingAverage", *STATISTICS), source


@pytest.mark.parametrize(
    ("name", "ours", "foreign"),
    [
        ("inception_v1", "stages.3.5b.branches.2.1.0.weight", "InceptionV1/Mixed_5b/Branch_2/Conv2d_0a_3x3/weights"),
        ("inception_v2", "stem.1.1.bias", "InceptionV2/Conv2d_1a_7x7/biases"),
        ("inception_v3", "stages.1.5c.branches.1.1.0.weight", "InceptionV3/Mixed_5c/Branch_1/Conv_1_0c_5x5/weights"),
        ("inception_v3", "stages.2.6d.branches.2.3.0.weight", "InceptionV3/Mixed_6d/Branch_2/Conv2d_0d_7x1/weights"),
        (
            "inception_v3",
            "stages.3.7b.branches.1.1.branches.1.0.1.bias",
            "InceptionV3/Mixed_7b/Branch_1/Conv2d_0b_3x1/BatchNorm/beta",
        ),
        (
            "inception_v4",
            "stages.3.7d.branches.2.3.branches.0.0.1.running_var",
            "InceptionV4/Mixed_7d/Branch_2/Conv2d_0d_1x3/BatchNorm/moving_variance",
        ),
        (
            "inception_resnet_v2",
            "stages.2.block17_10.branches.branches.1.2.0.weight",
            "InceptionResnetV2/Repeat_1/block17_10/Branch_1/Conv2d_0c_7x1/weights",
        ),
        ("inception_resnet_v2", "stages.3.block8_last.up.bias", "InceptionResnetV2/Block8/Conv2d_1x1/biases"),
        # The last unit of a block is the first of our next stage, as it halves the map.
        (
            "resnet_v1_101",
            "stages.3.0.branch.1.0.weight",
            "resnet_v1_101/block3/unit_23/bottleneck_v1/conv2/weights",
        ),
        ("resnet_v2_50", "stages.1.0.norm.bias", "resnet_v2_50/block1/unit_3/bottleneck_v2/preact/beta"),
        ("vgg_19", "stages.2.4.0.weight", "vgg_19/conv4/conv4_4/weights"),
        ("mobilenet_v1_1.0", "stages.3.4.0.0.weight", "MobilenetV1/Conv2d_10_depthwise/depthwise_weights"),
        ("mobilenet_v2_1.0", "stages.3.6.branch.0.0.weight", "MobilenetV2/expanded_conv_12/expand/weights"),
        (
            "nasnet_a_mobile",
            "cells.11.layers.right3.1.weight",
            "reduction_cell_1/comb_iter_1/right/separable_7x7_1/pointwise_weights",
        ),
        ("nasnet_a_mobile", "cells.12.older.odd.0.weight", "cell_8/path2_conv/weights"),
        ("nasnet_a_large", "cells.9.layers.right3.6.bias", "cell_6/comb_iter_1/right/bn_sep_3x3_2/beta"),
        ("nasnet_a_large", "cells.16.older.even.1.weight", "cell_12/final_path_bn/gamma"),
    ],
)
def test_layers_of_one_shape_are_not_mistaken_for_each_other(name: str, ours: str, foreign: str) -> None:
    case = CASES[name]
    pairing, _ = paired(entry(case.entry), case.preset, variables_of(name))
    assert pairing.sources[ours].names == (foreign,)


def test_the_table_says_how_each_network_is_fed_and_padded() -> None:
    assert formats()["tf_slim"] == ("tf_checkpoint",)
    said = {
        network.name: (network.padding, network.background, network.side["*"], network.resize["*"])
        for network in entries()
    }
    assert said == {
        "inception_v1": ("same", True, 224, 256),
        "inception_v2": ("same", True, 224, 256),
        "inception_v3": ("symmetric", True, 299, 342),
        "inception_v4": ("symmetric", True, 299, 342),
        "inception_resnet_v2": ("symmetric", True, 299, 342),
        "resnet_v1": ("symmetric", False, 224, 256),
        "resnet_v2": ("symmetric", True, 299, 342),
        "vgg": ("symmetric", False, 224, 256),
        "mobilenet_v1_averaged": ("same", True, 224, 256),
        "mobilenet_v1": ("same", True, 224, 256),
        "mobilenet_v2_averaged": ("same", True, 224, 256),
        "mobilenet_v2": ("same", True, 224, 256),
        "nasnet_a_mobile": ("same", True, 224, 256),
        "nasnet_a_large": ("same", True, 331, 378),
    }
    for network in entries():
        assert network.order == "rgb"
        assert network.licence == "Apache-2.0"
        # 87.5 % of both sides, or the shorter side to 256 where the source was Caffe's.
        assert network.keep_aspect == (not network.background)
        assert network.background == (network.mean == (127.5, 127.5, 127.5))
        assert network.resize["*"] == (round(network.side["*"] / 0.875) if network.background else 256)
