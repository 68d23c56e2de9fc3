"""Transfer: a network that starts from the weights of another one, and the ways in which it may be trained on.

The features of a trained network are worth more the fewer images there are, and the easier spoilt. How much of it
should move depends on the data, so a short trial of each way decides, by the validation loss.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sprat.data import Dataset
from sprat.errors import BadInput
from sprat.preprocess import Preprocess
from sprat.recipe import Recipe
from sprat.zoo.blocks import conv_norm_pairs

_STATISTICS_IMAGES = 2048  # enough for a mean and a variance of each channel
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Way:
    """One way to train on.

    Args:
        name: in words.
        recipe: how.
        keeps_statistics: whether batch norm goes on with the statistics it came with; else it takes those of each
            batch, and in the end those of all training images.
    """

    name: str
    recipe: Recipe
    keeps_statistics: bool


def ways(recipe: Recipe, net: nn.Module) -> list[Way]:
    """The ways to try: the head alone, later stages faster, everything, everything with new statistics.

    Gradients are clipped, as kept statistics do not bound them. Earlier stages learn `layer_decay` times slower than
    the stage after them (arXiv:1801.06146, section 3.2, which calls it discriminative fine-tuning).

    Args:
        recipe: of a training from scratch on the same data.
        net: to be trained; without batch norm there are no statistics to renew.
    """
    recipe = replace(recipe, clip=1.0)
    found = [
        Way("head alone", replace(recipe, layer_decay=0.0), True),
        Way("later stages faster", replace(recipe, layer_decay=0.6), True),
        Way("everything", replace(recipe, lr=recipe.lr * 0.3), True),
    ]
    if any(isinstance(module, nn.BatchNorm2d) for module in net.modules()):
        found.append(Way("everything, new statistics", recipe, False))
    return found


@torch.no_grad()
def transplant(net: nn.Module, state: Mapping[str, NDArray[Any]], fresh: Sequence[str]) -> None:
    """Copy trained weights into a network, in place; the tensors named in `fresh` keep their first values.

    Raises:
        BadInput: a tensor of the network is missing in the weights or of another shape; the message lists them.
    """
    own = net.state_dict()
    kept = [name for name in own if name not in set(fresh) and not name.endswith("num_batches_tracked")]
    wrong = [name for name in kept if name not in state or state[name].shape != tuple(own[name].shape)]
    if wrong:
        more = ", ..." if len(wrong) > 5 else ""
        raise BadInput(
            f"the weights do not fit the network in {len(wrong)} tensors: {', '.join(wrong[:5])}{more}; they belong to "
            "another architecture"
        )
    for name in kept:
        own[name].copy_(torch.from_numpy(np.array(state[name])))


@torch.no_grad()
def restore_norms(net: nn.Module, dataset: Dataset, preprocess: Preprocess, device: torch.device) -> None:
    """Give folded batch norms statistics again, in place, without a change of the network's answers.

    Compressed and quantised files have batch norm folded into the convolutions: such a network answers well, but does
    not train, as its kernels are of any scale and its norms normalise nothing. The statistics of the training images
    go into the norm, the scale out of the kernel before it.
    """
    pairs = [(conv, norm) for _, conv, norm in conv_norm_pairs(net) if _is_folded(norm)]
    sums = {norm: torch.zeros(2, norm.num_features, dtype=torch.float64) for _, norm in pairs}
    counts = dict.fromkeys(sums, 0)

    def look(norm: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        x = inputs[0].double().cpu()
        sums[norm] += torch.stack([x.sum((0, 2, 3)), (x * x).sum((0, 2, 3))])
        counts[norm] += x.shape[0] * x.shape[2] * x.shape[3]

    hooks = [norm.register_forward_pre_hook(look) for norm in sums]
    net.eval()
    for images in _batches(dataset.train.images) if pairs else ():
        net(preprocess.apply(images).to(device, memory_format=torch.channels_last))
    for hook in hooks:
        hook.remove()
    for conv, norm in pairs:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        mean, square = (sums[norm] / counts[norm]).to(conv.weight.device)
        variance = (square - mean * mean).clamp(min=0)
        scale = torch.where(variance > 1e-12, variance.sqrt(), torch.ones_like(variance))  # a dead channel stays
        gain, spread = norm.weight.double(), variance / scale**2
        conv.weight.div_(scale.view(-1, 1, 1, 1))
        norm.bias.add_(gain * mean)
        norm.weight.copy_(gain * scale * torch.sqrt(spread + norm.eps))
        norm.running_mean.copy_(mean / scale)
        norm.running_var.copy_(spread)


def _is_folded(norm: nn.BatchNorm2d) -> bool:
    """Whether the norm normalises nothing: mean 0 and variance 1 - eps in every channel."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return not norm.running_mean.any() and bool(((norm.running_var + norm.eps - 1).abs() < 1e-5).all())


@torch.no_grad()
def renew_statistics(net: nn.Module, dataset: Dataset, preprocess: Preprocess, device: torch.device) -> None:
    """Set the mean and variance of every batch norm to those of the training images as they are, in place.

    A running average over a few small batches of augmented images is off; this is the mean over batches of the images
    that the network will see.
    """
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [module.momentum for module in norms]
    for module in norms:
        module.reset_running_stats()
        module.momentum = None  # the plain mean over batches
        module.train()
    for images in _batches(dataset.train.images):
        net(preprocess.apply(images).to(device, memory_format=torch.channels_last))
    for module, momentum in zip(norms, before, strict=True):
        module.momentum = momentum
        module.eval()


def _batches(images: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Batches of equal size, evenly over the images, which may be sorted by class."""
    count = min(len(images), _STATISTICS_IMAGES)
    order = np.random.default_rng(0).permutation(len(images))[:count]
    for part in np.array_split(order, max(1, count // _BATCH)):
        yield np.ascontiguousarray(images[np.sort(part)])


def blocks_of(net: nn.Module) -> list[str]:
    """Prefixes of the network's parts in order: its children, lists of stages taken apart; the head is the last."""
    parts = []
    for name, child in net.named_children():
        if isinstance(child, nn.ModuleList):
            parts += [f"{name}.{index}." for index in range(len(child))]
        else:
            parts.append(f"{name}.")
    return parts
