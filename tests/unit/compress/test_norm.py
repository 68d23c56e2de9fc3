"""Folding statistics and equalising rows leave the network's answers as they were."""

import pytest
import torch
from torch import nn

from sprat.compress.norm import conv_norm_pairs, equalise_rows, fold_statistics, is_gentle, weight_layers
from sprat.image import ImageSpec
from sprat.zoo import build, config_from_dict

CONFIGS = [
    {"family": "mobilenet_v1", "width": 0.125},
    {"family": "shufflenet_v1", "groups": 3, "scale": 0.25},
    {"family": "squeezenet", "version": "1.1", "width": 0.125, "batch_norm": True},
]


@pytest.fixture(params=CONFIGS, ids=lambda config: config["family"])
def lived_in(request):
    """A network whose batch norms have seen data and whose gains and biases are not at their start."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    net = build(config_from_dict(request.param), ImageSpec(3, 32, 32), 5)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.uniform_(module.bias, -0.5, 0.5, generator=generator)
    net.train()
    for _ in range(20):
        net(torch.randn(16, 3, 32, 32, generator=generator))
    return net.eval()


@torch.no_grad()
def test_folding_keeps_the_answers(lived_in):
    x = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    before = lived_in(x)
    fold_statistics(lived_in)
    assert torch.allclose(lived_in(x), before, rtol=1e-3, atol=1e-4 * before.abs().max())
    for module in lived_in.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean.abs().max() == 0
            assert len(module.running_var.unique()) == 1


@torch.no_grad()
def test_equal_rows_keep_the_answers_and_change_the_weights(lived_in):
    fold_statistics(lived_in)
    x = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    before = lived_in(x)
    weights = {name: layer.weight.clone() for name, layer in weight_layers(lived_in).items()}
    importance = {
        name: torch.rand(len(weight), generator=torch.Generator().manual_seed(2)) + 1e-3
        for name, weight in weights.items()
    }
    equalise_rows(lived_in, importance)
    assert torch.allclose(lived_in(x), before, rtol=1e-3, atol=1e-4 * before.abs().max())
    paired = {name for name, _, _ in conv_norm_pairs(lived_in)}
    changed = {name for name, layer in weight_layers(lived_in).items() if not torch.equal(layer.weight, weights[name])}
    assert paired
    assert changed == paired


def test_gentle_layers_are_the_first_and_the_depthwise_ones():
    net = build(config_from_dict(CONFIGS[0]), ImageSpec(3, 32, 32), 5)
    layers = weight_layers(net)
    first = next(iter(layers))
    gentle = {name for name, layer in layers.items() if is_gentle(name, layer, first)}
    assert len(gentle) == 1 + 13
    assert all(layers[name].weight.shape[1] == 1 for name in gentle - {first})


@torch.no_grad()
def test_dead_channels_do_not_disturb_the_living(lived_in):
    fold_statistics(lived_in)
    name, conv, _ = conv_norm_pairs(lived_in)[0]
    importance = {key: torch.ones(len(layer.weight)) for key, layer in weight_layers(lived_in).items()}
    importance[name][: len(importance[name]) // 2] = 0
    before = conv.weight.clone()
    equalise_rows(lived_in, importance)
    alive = importance[name] > 0
    assert torch.allclose(conv.weight[alive], before[alive])
