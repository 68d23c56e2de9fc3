"""Scores of a network on one split."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sprat.data import Split
from sprat.preprocess import Preprocess


@dataclass(frozen=True, slots=True)
class Scores:
    """Mean cross-entropy (nats) and top-1 accuracy (fraction) on `num` images."""

    loss: float
    accuracy: float
    num: int


def logits_of(net: nn.Module, split: Split, preprocess: Preprocess, device: torch.device) -> Tensor:
    """Logits (N, num_classes) of every image of a split, on the CPU; the network's training mode is kept as it was."""
    was_training = [module for module in net.modules() if module.training]
    net.eval()
    parts = []
    batch_size = max(1, min(256, 2**22 // (preprocess.height * preprocess.width)))
    with torch.inference_mode():
        for start in range(0, len(split.labels), batch_size):
            images = preprocess.apply(np.ascontiguousarray(split.images[start : start + batch_size]))
            parts.append(net(images.to(device, memory_format=torch.channels_last)).float().cpu())
    for module in was_training:
        module.training = True
    return torch.cat(parts)


def evaluate(net: nn.Module, split: Split, preprocess: Preprocess, device: torch.device) -> Scores:
    """Loss and accuracy of the network on a split, in evaluation mode."""
    logits = logits_of(net, split, preprocess, device)
    labels = torch.from_numpy(np.asarray(split.labels))
    return Scores(
        loss=functional.cross_entropy(logits, labels).item(),
        accuracy=(logits.argmax(1) == labels).double().mean().item(),
        num=len(labels),
    )
