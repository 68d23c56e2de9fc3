"""A training phase inside a run folder: saved after every epoch, and never done twice."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sprat.data import Dataset
from sprat.preprocess import Preprocess
from sprat.recipe import Recipe
from sprat.run import Run
from sprat.train.evaluate import evaluate
from sprat.train.state import note_of
from sprat.train.train import Step, Stuck, new_state, train
from sprat.train.transfer import renew_statistics


@dataclass(frozen=True)
class Phase:
    """What all phases of a run share.

    Args:
        run: the folder; `phases/NAME.safetensors` holds a finished phase, `checkpoint.safetensors` the one under way.
        dataset: images at the network's size.
        preprocess: of the network.
        device: where to compute.
        on_step: called now and then, with the phase's name.
        on_epochs: called with the phase's name and all its epochs so far, after each has been saved.
    """

    run: Run
    dataset: Dataset
    preprocess: Preprocess
    device: torch.device
    on_step: Callable[[str, Step], None]
    on_epochs: Callable[[str, list[dict[str, Any]]], None]

    def train(
        self,
        name: str,
        net: nn.Module,
        recipe: Recipe,
        *,
        seconds: float | None = None,
        teacher: nn.Module | None = None,
        frozen_norm: bool = False,
    ) -> nn.Module:
        """The averaged network after the phase: trained now, continued from its checkpoint, or read back.

        Raises:
            Stuck: training does not learn.
            BadInput: a checkpoint in the folder belongs to another network.
        """
        state = new_state(net, recipe)
        finished = f"phases/{name}.safetensors"
        if self.run.has(finished):
            state.restore((self.run.path / finished).read_bytes())
            self.on_epochs(name, state.history)
            return state.average.requires_grad_(True)
        if self.run.has("checkpoint.safetensors"):
            content = (self.run.path / "checkpoint.safetensors").read_bytes()
            if note_of(content).get("phase") == name:
                state.restore(content)
        epochs = train(
            state,
            recipe,
            self.dataset,
            self.preprocess,
            device=self.device,
            teacher=teacher,
            frozen_norm=frozen_norm,
            time_limit_s=seconds,
            on_step=lambda step: self.on_step(name, step),
        )
        for _ in epochs:
            self.run.write_bytes("checkpoint.safetensors", state.to_bytes({"phase": name}))
            self.on_epochs(name, state.history)
        self.run.write_bytes(finished, state.to_bytes({"phase": name}))
        return state.average.requires_grad_(True)

    def trial(self, net: nn.Module, recipe: Recipe, seconds: float | None, *, frozen_norm: bool) -> dict[str, float]:
        """{"val_loss", "val_accuracy"} after a short training that leaves no file; 1e9 if it does not learn."""
        state = new_state(net, recipe)
        epochs = train(
            state,
            recipe,
            self.dataset,
            self.preprocess,
            device=self.device,
            frozen_norm=frozen_norm,
            time_limit_s=seconds,
            on_step=lambda step: self.on_step("transfer", step),
        )
        try:
            for _ in epochs:
                pass
        except Stuck:
            return {"val_loss": 1e9, "val_accuracy": 0.0}
        if not frozen_norm:
            renew_statistics(state.average, self.dataset, self.preprocess, self.device)
        scores = evaluate(state.average, self.dataset.val, self.preprocess, self.device)
        return {"val_loss": scores.loss, "val_accuracy": scores.accuracy}
