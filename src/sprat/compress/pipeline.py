"""compress(): prune, share, tune the shared values, until the encoded file meets its size.

The networks handed from stage to stage are plain modules; zeros and repeated values are visible in their tensors, and
the file writer finds them there.
"""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from sprat.compress.allocate import Grid, allocate, eight_bits
from sprat.compress.norm import equalise_rows, fold_statistics, is_gentle, mean_importance, weight_layers
from sprat.compress.prune import Finetune, Prune
from sprat.compress.share import Choose, Tune
from sprat.errors import BudgetExceeded

SAFETY = 0.996  # part of the size the choice of levels may fill; tuned values and vectors may code a little longer


@dataclass(frozen=True)
class Compressed:
    """The network as it will be shipped, and what each step did to size and accuracy.

    Args:
        net: a plain module; its weights are shared values.
        steps: name, bytes and validation accuracy after each step, in order.
    """

    net: nn.Module
    steps: tuple[dict[str, Any], ...]


def compress(
    net: nn.Module,
    *,
    max_bytes: int | None,
    importance: Callable[[nn.Module], dict[str, Tensor]],
    finetune: Finetune,
    file_bytes: Callable[[nn.Module], int],
    accuracy: Callable[[nn.Module], float],
) -> Compressed:
    """The network compressed to at most `max_bytes` in its file, fine-tuned after each stage.

    Args:
        net: trained; changed in place.
        max_bytes: length of the file allowed; None keeps 8 bits everywhere.
        importance: mean squared gradient of each output channel's weights, by layer name.
        finetune: trains a network further under a phase name ("prune", "share", "tune").
        file_bytes: length of the file that would be written for a network.
        accuracy: validation accuracy of a network.

    Raises:
        BudgetExceeded: the file cannot be brought under max_bytes.
    """
    float_bytes = 4 * sum(parameter.numel() for parameter in net.parameters())
    steps = [{"name": "float32", "bytes": float_bytes, "val_accuracy": accuracy(net)}]
    fold_statistics(net)
    equalise_rows(net, importance(net))
    layers = weight_layers(net)
    first = next(iter(layers))
    gentle = {name for name, layer in layers.items() if is_gentle(name, layer, first)}
    grids = _allot(net, gentle, importance(net), max_bytes, file_bytes)
    densities = {
        name: float((grid.levels(layers[name].weight.detach().cpu().numpy()) != 0).mean())
        for name, grid in grids.items()
        if name not in gentle
    }
    densities = {name: density for name, density in densities.items() if density < 0.98}
    if densities:
        net = Prune(densities).apply(net, finetune)
        # What the paper's pipeline would store here: kept weights as float32 with a 4-bit gap each, where that is less.
        sizes = [(int((layer.weight != 0).sum()), layer.weight.numel()) for layer in weight_layers(net).values()]
        saved = sum(max(0, 4 * total - 4 * kept - kept // 2) for kept, total in sizes)
        steps.append({"name": "prune", "bytes": float_bytes - saved, "val_accuracy": accuracy(net)})

    grids = _allot(net, gentle, importance(net), max_bytes, file_bytes)
    chosen, grids = Choose(grids).apply(net, finetune)
    aim = None if max_bytes is None else int(max_bytes * SAFETY)
    for attempt in ("tune", "tune-again"):
        if aim is not None:
            grids = _meet(chosen, grids, gentle, aim, file_bytes)
        net = Tune(grids).apply(copy.deepcopy(chosen), _under(finetune, attempt))
        size_bytes = file_bytes(net)
        if max_bytes is None or aim is None or size_bytes <= max_bytes:
            break
        aim -= size_bytes - max_bytes
    if max_bytes is not None and size_bytes > max_bytes:  # shared values as they are meet what was measured
        net = Tune(_meet(chosen, grids, gentle, max_bytes, file_bytes)).apply(chosen, lambda module, _: module)
        size_bytes = file_bytes(net)
    if max_bytes is not None and size_bytes > max_bytes:
        raise BudgetExceeded(
            f"the file cannot be brought under {max_bytes:,} bytes: it came to {size_bytes:,} with the coarsest steps; "
            f"try --max-size {-(-size_bytes * 11 // 10000)}KB or a smaller --model"
        )
    shared_bits = sum(_fixed_bits(layer.weight) for layer in weight_layers(net).values())
    others = sum(parameter.numel() for parameter in net.parameters()) - sum(
        layer.weight.numel() for layer in weight_layers(net).values()
    )
    steps.append({"name": "share", "bytes": shared_bits // 8 + others, "val_accuracy": accuracy(net)})
    steps.append({"name": "encode", "bytes": size_bytes, "val_accuracy": steps[-1]["val_accuracy"]})
    return Compressed(net, tuple(steps))


def _under(finetune: Finetune, phase: str) -> Finetune:
    """The same fine-tuning under another phase name."""
    return lambda net, _: finetune(net, phase)


def _allot(
    net: nn.Module,
    gentle: set[str],
    row_importance: dict[str, Tensor],
    max_bytes: int | None,
    file_bytes: Callable[[nn.Module], int],
) -> dict[str, Grid]:
    """Grids for all layers: 8 bits for the gentle ones, the rest of the file's bytes divided over the others.

    The division is by ideal code lengths; what the real file needs on top is measured and taken off, twice.
    """
    arrays = {name: layer.weight.detach().cpu().numpy() for name, layer in weight_layers(net).items()}
    kept = {name: array for name, array in arrays.items() if name in gentle}
    fixed = {name: eight_bits(array) for name, array in kept.items()}
    free = {name: array for name, array in arrays.items() if name not in gentle}
    values = {name: mean_importance(row_importance[name]) for name in free}
    if max_bytes is None:
        return fixed | allocate(free, values, math.inf)
    target = 8 * max_bytes * 0.9
    for _ in range(3):
        grids = allocate(free, values, target)
        used = sum(grid.bits or 0.0 for grid in grids.values())
        target = max(0.0, 8 * max_bytes * SAFETY - (8 * _size(net, fixed | grids, file_bytes) - used))
    return fixed | allocate(free, values, target)


def _size(net: nn.Module, grids: Mapping[str, Grid], file_bytes: Callable[[nn.Module], int]) -> int:
    """Length of the file if the weights were put on these grids as they are."""
    return file_bytes(Tune(grids).apply(copy.deepcopy(net), lambda module, _: module))


def _meet(
    net: nn.Module, grids: dict[str, Grid], gentle: set[str], max_bytes: int, file_bytes: Callable[[nn.Module], int]
) -> dict[str, Grid]:
    """The grids with all free steps scaled alike until the real file has at most `max_bytes`, by bisection."""

    finest = {name: eight_bits(layer.weight.detach().cpu().numpy()).step for name, layer in weight_layers(net).items()}

    def scaled(log_scale: float) -> dict[str, Grid]:
        factor = math.exp(log_scale)
        return {
            name: grid if name in gentle else replace(grid, step=max(finest[name], grid.step * factor))
            for name, grid in grids.items()
        }

    low, high = -0.15, 0.15
    while _size(net, scaled(high), file_bytes) > max_bytes and high < 3:
        low, high = high, high + 0.3
    best = scaled(high)
    for _ in range(6):
        middle = (low + high) / 2
        candidate = scaled(middle)
        if _size(net, candidate, file_bytes) <= max_bytes:
            best, high = candidate, middle
        else:
            low = middle
    return best


def _fixed_bits(weight: Tensor) -> int:
    """Bits of a layer with fixed-length indices: ceil(log2(values)) each, and 16 for each value."""
    num = len(torch.unique(weight))
    return weight.numel() * max(1, (num - 1).bit_length()) + 16 * num
