"""The optimiser, its parameter groups and the learning-rate schedule."""

import math
from typing import Any

import torch
from torch import nn

from sprat.recipe import Recipe
from sprat.train.transfer import blocks_of


def optimizer_for(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum or AdamW; weight decay only on dense convolution and linear weights.

    Norm gains, biases, shared values and depthwise kernels are not decayed: MobileNets (arXiv:1704.04861), section 4.
    Each group's "scale" is its learning rate over the recipe's; a part whose scale is 0 is frozen.
    """
    parts = blocks_of(net) if recipe.layer_decay < 1 else [""]
    groups: list[dict[str, Any]] = []
    for index, prefix in enumerate(parts):
        decayed: list[nn.Parameter] = []
        free: list[nn.Parameter] = []
        scale = recipe.layer_decay ** (len(parts) - 1 - index)
        for name, parameter in net.named_parameters():
            if name.startswith(prefix) and scale == 0:
                parameter.requires_grad_(False)
            elif name.startswith(prefix) and parameter.requires_grad:
                depthwise = parameter.ndim == 4 and parameter.shape[1] == 1
                (decayed if parameter.ndim >= 2 and not depthwise else free).append(parameter)
        groups.append({"params": decayed, "weight_decay": recipe.weight_decay, "scale": scale})
        groups.append({"params": free, "weight_decay": 0.0, "scale": scale})
    groups = [group for group in groups if group["params"]]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.99))
    return torch.optim.SGD(groups, lr=recipe.lr, momentum=0.9, nesterov=True)


def lr_at(progress: float, recipe: Recipe) -> float:
    """Learning rate at a fraction of the training: linear warm-up, then cosine to zero (arXiv:1608.03983)."""
    if progress < recipe.warmup:
        return recipe.lr * max(progress / recipe.warmup, 1e-3)
    fraction = (progress - recipe.warmup) / (1 - recipe.warmup)
    return recipe.lr * 0.5 * (1 + math.cos(math.pi * min(1.0, fraction)))
