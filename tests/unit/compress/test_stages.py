"""The stages: each leaves a plain module whose tensors show what was done."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrize

from sprat.artifact import Manifest, pack, unpack
from sprat.compress import compress, row_importance
from sprat.compress.allocate import Grid, eight_bits
from sprat.compress.norm import fold_statistics, weight_layers
from sprat.compress.prune import Prune, magnitude_mask
from sprat.compress.share import Choose, Tune, vectors
from sprat.errors import BudgetExceeded
from sprat.export import state_of
from sprat.recipe import Augment, Recipe
from sprat.train import evaluate, new_state, train

CPU = torch.device("cpu")


def same(net, _):
    return net


def plain(net):
    return not any(parametrize.is_parametrized(module) for module in net.modules())


@given(st.integers(1, 300), st.floats(0, 1), st.integers(0, 100))
@settings(deadline=None, max_examples=40)
def test_a_mask_keeps_exactly_the_largest(size, density, seed):
    weight = torch.randn(size, generator=torch.Generator().manual_seed(seed))
    mask = magnitude_mask(weight, density)
    assert int(mask.sum()) == round(density * size)
    kept, dropped = weight.abs()[mask == 1], weight.abs()[mask == 0]
    if len(kept) and len(dropped):
        assert kept.min() >= dropped.max()


def test_pruned_weights_stay_zero_while_training(digits, preprocess, make_net):
    def finetune(net, phase):
        assert phase == "prune"
        recipe = Recipe(epochs=1, batch_size=64, lr=0.05, ema=0.5, augment=Augment(flip=False))
        state = new_state(net, recipe)
        for _ in train(state, recipe, digits, preprocess, device=CPU):
            pass
        return state.average.requires_grad_(True)

    net = make_net()
    name = "stages.4.1.1.0"
    before = weight_layers(net)[name].weight.detach().clone()
    net = Prune({name: 0.25}).apply(net, finetune)
    after = weight_layers(net)[name].weight
    assert plain(net)
    assert int((after != 0).sum()) == round(0.25 * after.numel())
    assert not torch.equal(after[after != 0], before[after != 0])


def test_tuned_tensors_show_few_values_that_float16_holds(make_net):
    net = make_net()
    fold_statistics(net)
    grids = {
        name: Grid(float(layer.weight.detach().abs().max()) / 5, 0.2) for name, layer in weight_layers(net).items()
    }
    net = Tune(grids).apply(net, same)
    assert plain(net)
    for name, layer in weight_layers(net).items():
        values = layer.weight.detach()
        assert len(values.unique()) <= 11, name
        assert torch.equal(values, values.half().float())
        assert isinstance(layer.weight, nn.Parameter)
    for module, key in vectors(net):
        vector = getattr(module, key).detach()
        if isinstance(module, nn.BatchNorm2d) and key == "weight":
            mantissa, _ = torch.frexp(vector)
            assert torch.equal(mantissa * 64, (mantissa * 64).round())
        elif vector.abs().max() > 0:
            values = vector.double().abs().unique()
            step = float(values[values > 0].min())
            assert all(abs(value / step - round(value / step)) < 1e-6 for value in values.tolist()) or len(values) > 3


def test_choosing_trains_through_the_grid_and_returns_latent_weights(digits, preprocess, make_net):
    seen = {}

    def finetune(net, phase):
        seen["phase"] = phase
        layer = weight_layers(net)["stages.4.1.1.0"]
        seen["values"] = len(layer.weight.unique())
        loss = net(torch.randn(8, 1, 8, 8)).square().sum()
        loss.backward()
        seen["gradient"] = float(layer.parametrizations.weight.original.grad.abs().sum())
        return net

    net = make_net()
    latent = {name: layer.weight.detach().clone() for name, layer in weight_layers(net).items()}
    grids = {name: Grid(float(weight.abs().max()) / 3, 0.2, 1e9) for name, weight in latent.items()}
    net, ended = Choose(grids).apply(net, finetune)
    assert seen["phase"] == "share"
    assert seen["values"] <= 7
    assert seen["gradient"] > 0
    assert plain(net)
    assert ended.keys() == grids.keys()
    assert all(torch.equal(layer.weight, latent[name]) for name, layer in weight_layers(net).items())


def trained(digits, preprocess, make_net):
    recipe = Recipe(epochs=6, batch_size=32, lr=0.1, ema=0.95, augment=Augment(flip=False, shift=0.0))
    state = new_state(make_net(), recipe)
    for _ in train(state, recipe, digits, preprocess, device=CPU):
        pass
    return state.average.requires_grad_(True)


def file_bytes(net):
    manifest = Manifest(architecture={"family": "mobilenet_v1"}, image=(1, 8, 8), classes=tuple("0123456789"))
    return len(pack(manifest, state_of(net)))


@pytest.mark.parametrize("max_bytes", [None, 10**7, 40_000, 30_000])
def test_the_whole_pipeline_meets_its_size(digits, preprocess, make_net, max_bytes):
    net = trained(digits, preprocess, make_net)
    before = evaluate(net, digits.val, preprocess, CPU).accuracy

    def finetune(net, phase):
        tuning = phase.startswith("tune")
        recipe = Recipe(
            epochs=2,
            batch_size=64,
            lr=2e-3 if tuning else 0.01,
            optimizer="adamw" if tuning else "sgd",
            ema=0.9,
            weight_decay=0.0,
            label_smoothing=0.0,
            clip=1.0,
            augment=Augment(flip=False, shift=0.0),
        )
        state = new_state(net, recipe)
        for _ in train(state, recipe, digits, preprocess, device=CPU, frozen_norm=True):
            pass
        return state.average.requires_grad_(True)

    result = compress(
        net,
        max_bytes=max_bytes,
        importance=lambda net: row_importance(net, digits.train, preprocess, CPU, num_images=64),
        finetune=finetune,
        file_bytes=file_bytes,
        accuracy=lambda net: evaluate(net, digits.val, preprocess, CPU).accuracy,
    )
    assert plain(result.net)
    names = [step["name"] for step in result.steps]
    assert names == [name for name in ("float32", "prune", "share", "encode") if name in names]
    assert names[0] == "float32"
    assert names[-2:] == ["share", "encode"]
    assert result.steps[-1]["bytes"] == file_bytes(result.net)
    if max_bytes is not None:
        assert result.steps[-1]["bytes"] <= max_bytes
        assert result.steps[-1]["bytes"] > 0.9 * max_bytes or max_bytes == 10**7
    lost = before - result.steps[-1]["val_accuracy"]
    assert lost < (0.15 if max_bytes == 30_000 else 0.04)
    sizes = [step["bytes"] for step in result.steps]
    assert sizes == sorted(sizes, reverse=True)
    content = pack(Manifest(architecture={}, image=(1, 8, 8), classes=("a",)), state_of(result.net))
    for name, array in unpack(content)[1].items():
        assert np.array_equal(array, state_of(result.net)[name]), name


def test_an_impossible_size_is_said(digits, preprocess, make_net):
    with pytest.raises(BudgetExceeded, match="try --max-size"):
        compress(
            make_net(),
            max_bytes=3000,
            importance=lambda net: row_importance(net, digits.train, preprocess, CPU, num_images=32),
            finetune=same,
            file_bytes=file_bytes,
            accuracy=lambda net: 0.0,
        )


def test_importance_follows_what_a_row_does(digits, preprocess, make_net):
    net = make_net()
    with torch.no_grad():
        weight_layers(net)["head.3"].weight[3] = 0
    found = row_importance(net, digits.train, preprocess, CPU, num_images=32, seed=1)
    again = row_importance(net, digits.train, preprocess, CPU, num_images=32, seed=1)
    assert all(torch.equal(found[name], again[name]) for name in found)
    assert all(bool((value >= 0).all()) for value in found.values())
    assert found.keys() == weight_layers(net).keys()


def test_eight_bit_grid_of_zero_weights_is_harmless():
    assert eight_bits(np.zeros(4, np.float32)).levels(np.zeros(4, np.float32)).tolist() == [0, 0, 0, 0]
