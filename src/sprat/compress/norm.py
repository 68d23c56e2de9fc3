"""Batch norm made ready for compression: statistics folded into gain and bias, rows brought to equal weight."""

import math

import torch
from torch import Tensor, nn

from sprat.zoo.blocks import conv_norm_pairs


@torch.no_grad()
def fold_statistics(net: nn.Module) -> None:
    """Move each batch norm's running mean and variance into its gain and bias, in place.

    Afterwards mean is 0 and variance 1 - eps, so that in evaluation mode the layer is exactly x * weight + bias: the
    network answers as before, and the two constant vectors cost a few bytes in a file.
    """
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            mean, variance = module.running_mean, module.running_var
            assert mean is not None, "batch norm without statistics"
            assert variance is not None, "batch norm without statistics"
            gain = module.weight / torch.sqrt(variance + module.eps)
            module.bias.sub_(mean * gain)
            module.weight.copy_(gain)
            mean.zero_()
            variance.fill_(1 - module.eps)
            if module.num_batches_tracked is not None:
                module.num_batches_tracked.zero_()


@torch.no_grad()
def equalise_rows(net: nn.Module, row_importance: dict[str, Tensor]) -> None:
    """Scale each output channel of a convolution so that one step size suits all of its rows, in place.

    A row whose errors matter more is made larger and the batch norm's gain after it smaller by the same factor, so the
    network's answers do not change (statistics must have been folded). This gives every channel a step size of its
    own without storing one.

    Args:
        row_importance: by convolution name, mean squared gradient of each output channel's weights, (O,).
    """
    for name, conv, norm in conv_norm_pairs(net):
        importance = row_importance[name]
        alive = importance > 1e-9 * importance.max()
        if not alive.any():
            continue
        typical = importance[alive].log().mean().exp()
        factor = (importance / typical).sqrt().clamp(1 / 16, 16)
        conv.weight.mul_(factor.view(-1, 1, 1, 1))
        norm.weight.div_(factor)


def is_gentle(name: str, module: nn.Module, first: str) -> bool:
    """Whether a layer is kept at 8 bits and never pruned: depthwise kernels and the first convolution."""
    if name == first:
        return True
    return isinstance(module, nn.Conv2d) and module.groups > 1 and module.weight.shape[1] == 1


def weight_layers(net: nn.Module) -> dict[str, nn.Conv2d | nn.Linear]:
    """Convolutions and linear layers by name, in network order."""
    return {name: module for name, module in net.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)}


def mean_importance(row_importance: Tensor) -> float:
    """One number for a layer: the mean over its rows."""
    value = float(row_importance.mean())
    return value if math.isfinite(value) and value > 0 else 1e-30
