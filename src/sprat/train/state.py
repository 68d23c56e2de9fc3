"""TrainState: everything a training needs to go on as if it had never stopped. No pickle: tensors and JSON."""

import copy
import json
from dataclasses import dataclass, field
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from sprat.errors import BadInput


@dataclass
class TrainState:
    """A training in progress; saved between epochs.

    Args:
        net: the network being trained.
        average: its moving average, the one that is evaluated and shipped.
        optimizer: with its momenta.
        step: optimiser steps done.
        epoch: epochs done.
        progress: fraction of the schedule done.
        elapsed_s: seconds spent training, over all sessions.
    """

    net: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    epoch: int = 0
    progress: float = 0.0
    elapsed_s: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)

    def to_bytes(self, note: dict[str, Any]) -> bytes:
        """The state as one safetensors file; `note` is any JSON the caller keeps beside it."""
        tensors: dict[str, Tensor] = {}
        for prefix, module in (("net", self.net), ("average", self.average)):
            for name, tensor in module.state_dict().items():
                tensors[f"{prefix}.{name}"] = tensor
        for index, parameter in enumerate(self._parameters()):
            for key, value in self.optimizer.state.get(parameter, {}).items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{index}.{key}"] = value
        meta = {
            "step": self.step,
            "epoch": self.epoch,
            "progress": self.progress,
            "elapsed_s": self.elapsed_s,
            "history": self.history,
            "note": note,
        }
        plain = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
        return safetensors.torch.save(plain, {"sprat": json.dumps(meta)})

    def restore(self, content: bytes) -> dict[str, Any]:
        """Take over a state that `to_bytes` wrote for the same network and optimiser; returns its note.

        Raises:
            BadInput: the state belongs to another network, or is damaged.
        """
        try:
            meta, tensors = _header(content), safetensors.torch.load(content)
            for prefix, module in (("net", self.net), ("average", self.average)):
                start = len(prefix) + 1
                own = {name[start:]: tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}.")}
                module.load_state_dict(own)
            for index, parameter in enumerate(self._parameters()):
                prefix = f"optimizer.{index}."
                own = {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
                if own:
                    self.optimizer.state[parameter] = {
                        name: value if value.ndim == 0 else _like(value, parameter) for name, value in own.items()
                    }
            self.step, self.epoch = int(meta["step"]), int(meta["epoch"])
            self.progress, self.elapsed_s = float(meta["progress"]), float(meta["elapsed_s"])
            self.history = list(meta["history"])
            return dict(meta["note"])
        except (RuntimeError, KeyError, ValueError, TypeError, safetensors.SafetensorError) as error:
            raise BadInput(
                f"the checkpoint does not belong to this training ({error}); delete it to start over"
            ) from None

    def _parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]


def note_of(content: bytes) -> dict[str, Any]:
    """The note kept in a saved state.

    Raises:
        BadInput: not a saved state.
    """
    try:
        return dict(_header(content)["note"])
    except (KeyError, ValueError, TypeError) as error:
        raise BadInput(f"the checkpoint is damaged ({error}); delete it to start this phase over") from None


def _like(value: Tensor, parameter: nn.Parameter) -> Tensor:
    """The tensor on the parameter's device and in its memory format, so that sums run in the same order."""
    placed = torch.empty_like(parameter)
    placed.copy_(value)
    return placed


def _header(content: bytes) -> dict[str, Any]:
    length = int.from_bytes(content[:8], "little")
    return dict(json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["sprat"]))


def average_of(net: nn.Module) -> nn.Module:
    """A copy of the network that will follow it as a moving average."""
    average = copy.deepcopy(net)
    for parameter in average.parameters():
        parameter.requires_grad_(False)
    return average


@torch.no_grad()
def follow(average: nn.Module, net: nn.Module, decay: float) -> None:
    """Move the average towards the network: average = decay * average + (1 - decay) * net."""
    kept: list[Tensor] = list(average.parameters())
    new: list[Tensor] = list(net.parameters())
    for old_buffer, new_buffer in zip(average.buffers(), net.buffers(), strict=True):
        if old_buffer.dtype.is_floating_point:
            kept.append(old_buffer)
            new.append(new_buffer)
        else:
            old_buffer.copy_(new_buffer)
    torch._foreach_lerp_(kept, new, 1 - decay)
