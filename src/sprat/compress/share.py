"""Weight sharing: every weight of a layer takes one of a few values; first the choice is trained, then the values.

Sources: Deep Compression (arXiv:1510.00149), section 3, for shared values whose gradient is the sum over their members;
straight-through training of the choice as in arXiv:1712.05877. The choice weighs squared error against code length.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sprat.compress.allocate import MAX_LEVEL, Grid, code_bits
from sprat.compress.norm import weight_layers
from sprat.compress.prune import Finetune

MAX_VECTOR_LEVEL = 511


ADJUST_EVERY = 32  # training steps between two looks at a layer's code length


class OnGrid(nn.Module):
    """Parametrisation that shows the level of each weight and lets gradients pass straight through.

    While it trains, the step follows the code length the layer was given: noise lifts ever more weights over the
    threshold next to zero, and a slightly larger step answers that without a jolt.
    """

    step: Tensor
    calls: Tensor

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.dead_zone, self.target_bits = grid.dead_zone, grid.bits
        self.register_buffer("step", torch.tensor(grid.step, dtype=torch.float32))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def levels(self, weight: Tensor) -> Tensor:
        """Level k of each weight, float32; its value is k * step."""
        scaled = weight.detach() / self.step
        return (torch.floor(scaled.abs() + (0.5 - self.dead_zone)) * scaled.sign()).clamp(-MAX_LEVEL, MAX_LEVEL)

    def forward(self, weight: Tensor) -> Tensor:
        """k * step in value, the weight in gradient."""
        levels = self.levels(weight)
        if self.training and self.target_bits is not None and self.dead_zone > 0:
            self.calls += 1
            if int(self.calls) % ADJUST_EVERY == 0:
                bits = code_bits(levels.cpu().numpy().astype(np.int64))
                growth = (bits - self.target_bits) / weight.numel()  # a doubled step saves about one bit a weight
                self.step *= 2.0 ** min(0.1, max(-0.1, 0.5 * growth))
        return weight + (levels * self.step - weight).detach()


class SharedValues(nn.Module):
    """Parametrisation by the shared values: the trained tensor holds one number a level, in steps; level 0 stays 0."""

    indices: Tensor
    alive: Tensor

    def __init__(self, levels: Tensor, step: float) -> None:
        super().__init__()
        used, indices = torch.unique(levels, return_inverse=True)
        self.step = step
        self.register_buffer("indices", indices)
        self.register_buffer("alive", (used != 0).to(torch.float32))
        self.register_buffer("used", used.to(torch.float32))

    def right_inverse(self, weight: Tensor) -> Tensor:
        """The shared values before training: the levels themselves (the weight is not looked at)."""
        return self.get_buffer("used").to(weight.device).clone()

    def forward(self, values: Tensor) -> Tensor:
        """The weights these values stand for."""
        return (values * self.alive * self.step)[self.indices]


@dataclass(frozen=True)
class Choose:
    """Train weights that are seen through their grids; the result keeps the latent weights, not yet shared.

    The steps move a little while it trains.
    """

    grids: Mapping[str, Grid]

    def apply(self, net: nn.Module, finetune: Finetune) -> tuple[nn.Module, dict[str, Grid]]:
        """The network with latent weights trained for these grids, a plain module, and the grids as they ended."""
        for name, layer in weight_layers(net).items():
            if name in self.grids:
                parametrize.register_parametrization(layer, "weight", OnGrid(self.grids[name]).to(layer.weight.device))
        net = finetune(net, "share")
        layers = weight_layers(net)
        ended = {
            name: replace(grid, step=float(layers[name].parametrizations.weight[0].step))  # type: ignore[union-attr, index]
            for name, grid in self.grids.items()
        }
        settle(net, keep_latent=True)
        return net, ended


@dataclass(frozen=True)
class Tune:
    """Put weights on their grids for good, then train the shared values with the choice held fixed.

    All other parameters (norm gains, biases) are put on grids of their own and trained through them.
    """

    grids: Mapping[str, Grid]

    def apply(self, net: nn.Module, finetune: Finetune) -> nn.Module:
        """The network whose weights are shared values that float16 holds exactly, a plain module."""
        for name, layer in weight_layers(net).items():
            if name in self.grids:
                grid = OnGrid(self.grids[name]).to(layer.weight.device)
                shared = SharedValues(grid.levels(layer.weight), self.grids[name].step)
                parametrize.register_parametrization(layer, "weight", shared.to(layer.weight.device), unsafe=True)
        for module, key in vectors(net):
            gain = key == "weight" and isinstance(module, nn.BatchNorm2d)
            rounding = ShortFloat() if gain else OnVectorGrid(getattr(module, key))
            parametrize.register_parametrization(module, key, rounding)
        net = finetune(net, "tune")
        settle(net, keep_latent=False)
        layers = weight_layers(net)
        with torch.no_grad():
            for name in self.grids:
                layers[name].weight.copy_(layers[name].weight.half().float())
        return net


def settle(net: nn.Module, *, keep_latent: bool) -> None:
    """Make the network a plain module again, with what its parametrisations show or, latent, what they were given."""
    for module in net.modules():
        for key in ("weight", "bias"):
            if parametrize.is_parametrized(module, key):
                shown = getattr(module, key).detach().clone()
                parametrize.remove_parametrizations(module, key, leave_parametrized=False)
                if not keep_latent:
                    setattr(module, key, nn.Parameter(shown))


class ShortFloat(nn.Module):
    """Parametrisation that shows a vector with 6 significant bits and lets gradients pass straight through.

    For gains: they span orders of magnitude, and each matters by its relative error, here at most 1.6 %.
    """

    def forward(self, vector: Tensor) -> Tensor:
        """The nearest m * 2^e with m a multiple of 1/64 between a half and one."""
        mantissa, exponent = torch.frexp(vector.detach())
        rounded = torch.ldexp((mantissa * 64).round() / 64, exponent)
        return vector + (rounded - vector).detach()


class OnVectorGrid(nn.Module):
    """Parametrisation that shows a vector (biases) at k * step, |k| <= 511, and lets gradients pass straight through.

    The step is one that float16 holds, so that every k * step is exact, with an eighth of room for training.
    """

    def __init__(self, vector: Tensor) -> None:
        super().__init__()
        largest = float(vector.detach().abs().max())
        self.step = float(np.nextafter(np.float16(largest * 1.125 / MAX_VECTOR_LEVEL), np.float16(np.inf)))

    def forward(self, vector: Tensor) -> Tensor:
        """k * step in value, the vector in gradient."""
        rounded = (vector / self.step).round().clamp(-MAX_VECTOR_LEVEL, MAX_VECTOR_LEVEL) * self.step
        return vector + (rounded - vector).detach()


def vectors(net: nn.Module) -> list[tuple[nn.Module, str]]:
    """All parameters that are not convolution or linear weights: their module and name in it."""
    return [
        (module, key)
        for module in net.modules()
        for key, _ in module.named_parameters(recurse=False)
        if not (key == "weight" and isinstance(module, nn.Conv2d | nn.Linear))
    ]
