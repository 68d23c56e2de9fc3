"""Magnitude pruning: the smallest weights of each layer become zero and stay zero while the rest is fine-tuned.

Source: Han et al., Learning both Weights and Connections (arXiv:1506.02626); Deep Compression (1510.00149), section 2.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sprat.compress.norm import weight_layers

Finetune = Callable[[nn.Module, str], nn.Module]
"""Trains a network further under a phase name and returns it; what is parametrised stays parametrised."""


class Masked(nn.Module):
    """Parametrisation that keeps pruned weights at zero: weight * mask."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight: Tensor) -> Tensor:
        """The weight with its pruned entries zero; gradients reach the others alone."""
        return weight * self.mask


def magnitude_mask(weight: Tensor, density: float) -> Tensor:
    """1 for the round(density * n) entries of largest magnitude, 0 for the others; ties go to the earlier entry."""
    keep = round(density * weight.numel())
    order = torch.sort(weight.detach().abs().flatten(), descending=True, stable=True).indices
    mask = torch.zeros(weight.numel(), dtype=weight.dtype, device=weight.device)
    mask[order[:keep]] = 1
    return mask.view_as(weight)


@dataclass(frozen=True)
class Prune:
    """Prune each named layer to its density (fraction kept), then fine-tune the survivors."""

    densities: Mapping[str, float]

    def apply(self, net: nn.Module, finetune: Finetune) -> nn.Module:
        """The pruned and fine-tuned network, a plain module again."""
        layers = weight_layers(net)
        for name, density in self.densities.items():
            weight = layers[name].weight
            parametrize.register_parametrization(layers[name], "weight", Masked(magnitude_mask(weight, density)))
        net = finetune(net, "prune")
        for name in self.densities:
            parametrize.remove_parametrizations(weight_layers(net)[name], "weight", leave_parametrized=True)
        return net
