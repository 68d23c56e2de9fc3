"""Transfer: weights into a new network, parts that learn at their own rate, batch norm on few images."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from sprat.compress.norm import fold_statistics
from sprat.data import Dataset
from sprat.data.collection import Split
from sprat.errors import BadInput
from sprat.export import state_of
from sprat.image import ImageSpec
from sprat.preprocess import Preprocess
from sprat.recipe import Recipe
from sprat.train import new_state, renew_statistics, train, transplant, ways
from sprat.train.optimize import optimizer_for
from sprat.train.transfer import blocks_of, restore_norms
from sprat.zoo import all_presets, build, class_tensors, family_of, get_preset
from sprat.zoo.family import FAMILIES

CPU = torch.device("cpu")
IMAGE = ImageSpec(3, 32, 32)
PLAIN = Preprocess(3, 32, 32, (120.0,) * 3, (60.0,) * 3)


@pytest.fixture
def colours() -> Dataset:
    """Three classes of coloured noise, 12 + 6 + 6 images."""
    rng = np.random.default_rng(0)

    def split(count: int) -> Split:
        labels = np.arange(count) % 3
        images = rng.integers(0, 120, (count, 32, 32, 3), dtype=np.uint8)
        images[np.arange(count), :, :, labels] += 100
        return Split(images, labels.astype(np.int64), tuple(map(str, range(count))))

    return Dataset("colours", ("r", "g", "b"), IMAGE, "0" * 64, split(12), split(6), split(6))


def network(name: str = "mobilenet_v1_0.25", num_classes: int = 3, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build(get_preset(name), IMAGE, num_classes)


def lived_in(net: nn.Module) -> nn.Module:
    """With statistics of some activations."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
    with torch.no_grad():
        net.train()(torch.randn(8, 3, 32, 32))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1
    return net.eval()


@pytest.mark.parametrize("family", list(FAMILIES))
def test_the_head_is_the_last_part_of_every_network(family: str):
    """So that training the head alone trains the classifier, and every parameter belongs to one part."""
    config = min((c for c in all_presets().values() if family_of(c).name == family), key=repr)
    image = ImageSpec(3, 64, 64)
    with torch.device("meta"):
        net = build(config, image, 10)
    parts = blocks_of(net)
    assert class_tensors(config, image)
    assert all(name.startswith(parts[-1]) for name in class_tensors(config, image))
    for name, _ in net.named_parameters():
        assert sum(name.startswith(part) for part in parts) == 1, name


def test_all_but_the_head_is_copied():
    source, target = lived_in(network(num_classes=10)), network(seed=1)
    fresh = class_tensors(get_preset("mobilenet_v1_0.25"), IMAGE)
    before = {name: value.clone() for name, value in target.state_dict().items()}
    transplant(target, state_of(source), tuple(fresh))
    for name, value in target.state_dict().items():
        expected = before[name] if name in fresh or name.endswith("tracked") else source.state_dict()[name]
        assert torch.equal(value, expected), name


def test_weights_of_another_network_are_refused_by_name():
    state = state_of(network("mobilenet_v1_0.5"))
    with pytest.raises(BadInput, match=r"do not fit the network in \d+ tensors: stem.0.weight"):
        transplant(network(), state, ())


def test_the_head_alone_leaves_every_other_number_as_it_was(colours: Dataset):
    net = lived_in(network())
    before = copy.deepcopy(net.state_dict())
    recipe = Recipe(epochs=2, batch_size=4, lr=0.1, layer_decay=0.0)
    state = new_state(net, recipe)
    for _ in train(state, recipe, colours, PLAIN, device=CPU, frozen_norm=True):
        pass
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"head.3.weight", "head.3.bias"}


def test_each_part_learns_slower_than_the_one_after_it():
    net = network()
    optimizer = optimizer_for(net, Recipe(layer_decay=0.5))
    scale = {id(p): group["scale"] for group in optimizer.param_groups for p in group["params"]}
    assert len(scale) == sum(1 for _ in net.parameters())
    parts = blocks_of(net)
    for name, parameter in net.named_parameters():
        index = next(i for i, part in enumerate(parts) if name.startswith(part))
        assert scale[id(parameter)] == 0.5 ** (len(parts) - 1 - index)


def test_without_layer_decay_the_groups_are_those_of_before():
    optimizer = optimizer_for(network(), Recipe())
    assert [group["scale"] for group in optimizer.param_groups] == [1.0, 1.0]


@torch.no_grad()
def test_folded_norms_get_statistics_back_without_another_answer(colours: Dataset):
    net = lived_in(network())
    fold_statistics(net)
    x = torch.randn(4, 3, 32, 32)
    before = net(x)
    restore_norms(net, colours, PLAIN, CPU)
    assert (net(x) - before).abs().max() < 1e-4 * before.abs().max()
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(norm.running_mean.any() for norm in norms)

    # On the training images each norm now sees what its statistics say: taking those of the batch changes nothing.
    seen = PLAIN.apply(colours.train.images)
    kept = net(seen)
    net.train()
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    assert (net(seen) - kept).abs().max() < 0.05 * kept.abs().max()


@torch.no_grad()
def test_norms_that_have_statistics_are_left_alone(colours: Dataset):
    net = lived_in(network())
    before = copy.deepcopy(net.state_dict())
    restore_norms(net, colours, PLAIN, CPU)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@torch.no_grad()
def test_renewed_statistics_are_those_of_the_training_images(colours: Dataset):
    net = lived_in(network())
    renew_statistics(net, colours, PLAIN, CPU)
    first = net.stem[1]
    values = net.stem[0](PLAIN.apply(colours.train.images))
    assert torch.allclose(first.running_mean, values.mean((0, 2, 3)), atol=1e-4)
    assert torch.allclose(first.running_var, values.var((0, 2, 3)), rtol=1e-3)
    assert first.momentum == 0.1
    assert not net.stem[1].training


def test_the_ways_differ_and_networks_without_norms_have_no_statistics_to_renew():
    recipe = Recipe()
    found = ways(recipe, network())
    assert len({way.name for way in found}) == len(found) == 4
    assert len({replace(way.recipe, seed=0) for way in found}) >= 3
    assert [way.keeps_statistics for way in ways(replace(recipe, optimizer="adamw"), network("squeezenet_1.1"))] == [
        True,
        True,
        True,
    ]
