"""How much the loss minds an error in a weight: the diagonal of the empirical Fisher information."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sprat.compress.norm import weight_layers
from sprat.data import Split
from sprat.preprocess import Preprocess


def row_importance(
    net: nn.Module, split: Split, preprocess: Preprocess, device: torch.device, *, num_images: int = 512, seed: int = 0
) -> dict[str, Tensor]:
    """Mean squared gradient of the loss for the weights of each output channel, by layer name: (O,) each.

    The labels are drawn from the network's own answers, which makes it the Fisher information (Kunstner et al.,
    arXiv:1905.12558), and gradients are taken in small batches of 8.

    Args:
        net: in evaluation mode or not; its answers are taken in evaluation mode.
        split: images to draw from.
        preprocess: of the network.
        device: where the network is.
        num_images: how many images to use at most.
        seed: of the draw.
    """
    generator = torch.Generator().manual_seed(seed)
    layers = weight_layers(net)
    sums = {name: torch.zeros(layer.weight.shape[0], device=device) for name, layer in layers.items()}
    chosen = torch.randperm(len(split.labels), generator=generator)[:num_images].numpy()
    net.eval()
    batches = [np.sort(chosen[start : start + 8]) for start in range(0, len(chosen), 8)]
    for rows in batches:
        images = preprocess.apply(np.ascontiguousarray(split.images[rows]))
        logits = net(images.to(device, memory_format=torch.channels_last))
        drawn = torch.multinomial(logits.detach().softmax(1).cpu(), 1, generator=generator).squeeze(1).to(device)
        loss = functional.cross_entropy(logits, drawn, reduction="sum")
        gradients = torch.autograd.grad(loss, [layer.weight for layer in layers.values()])
        for name, gradient in zip(layers, gradients, strict=True):
            sums[name] += gradient.detach().flatten(1).square().mean(1)
    return {name: total / (8 * len(batches)) for name, total in sums.items()}
