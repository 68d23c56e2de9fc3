"""The optimiser, its parameter groups and the learning-rate schedule."""

import math

import torch
from torch import nn

from sprat.recipe import Recipe


def optimizer_for(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum or AdamW; weight decay only on dense convolution and linear weights.

    Norm gains, biases, shared values and depthwise kernels are not decayed: MobileNets (arXiv:1704.04861), section 4.
    """
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for parameter in net.parameters():
        if parameter.requires_grad:
            depthwise = parameter.ndim == 4 and parameter.shape[1] == 1
            (decayed if parameter.ndim >= 2 and not depthwise else free).append(parameter)
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": free, "weight_decay": 0.0}]
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
