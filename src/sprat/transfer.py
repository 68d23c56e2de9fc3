"""Starting from trained weights in a run folder: the first network, and the way to train it on that a trial found best.

What a way is, and what happens to batch norm, is in `sprat.train.transfer`.
"""

import dataclasses
import time
from typing import Any

import torch
from torch import nn

from sprat.plan import Planned
from sprat.start import Start
from sprat.train import Phase, Way, restore_norms, transplant, ways
from sprat.watch import Watcher
from sprat.zoo import build, class_tensors, config_from_dict

TRIAL_SHARE = 0.12  # of the epochs, that each way is tried for
TRIAL_TIME = 0.06  # of the time, where minutes were given


def first_network(phase: Phase, planned: Planned, seed: int, start: Start | None) -> nn.Module:
    """The network before training: new, or with the weights of the start and a new head."""
    torch.manual_seed(seed)
    image, classes = planned.candidate.image, phase.dataset.classes
    config = config_from_dict(planned.candidate.architecture)
    net = build(config, image, len(classes))
    if start is not None:
        fresh = () if start.manifest.classes == classes else class_tensors(config, image)
        transplant(net, start.state, tuple(fresh))
    placed: nn.Module = net.to(phase.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if start is not None:
        restore_norms(placed, phase.dataset, phase.preprocess, phase.device)
    return placed


def choose_way(phase: Phase, planned: Planned, start: Start, watch: Watcher) -> tuple[Way, float]:
    """The way to train on that a short trial found best by validation loss, and the seconds the trial took.

    transfer.json holds what was tried; a run that goes on reads it back.
    """
    schedule = planned.schedule
    base = schedule.recipes["train"]
    found = {way.name: way for way in ways(base, first_network(phase, planned, base.seed, start))}
    before = phase.run.read_json("transfer.json")
    if before is None:
        began = time.monotonic()
        tried: list[dict[str, Any]] = []
        epochs = min(base.epochs, max(4.0, round(TRIAL_SHARE * base.epochs)))
        limit = None if schedule.seconds is None else TRIAL_TIME * schedule.seconds["train"]
        for way in found.values():
            net = first_network(phase, planned, base.seed, start)
            score = phase.trial(
                net, dataclasses.replace(way.recipe, epochs=epochs), limit, frozen_norm=way.keeps_statistics
            )
            tried.append({"way": way.name, **score})
            watch.say(
                "transfer",
                f"{way.name}: val loss {score['val_loss']:.4f}, top-1 {score['val_accuracy']:.4f} in a trial",
            )
        best = min(tried, key=lambda entry: float(entry["val_loss"]))
        before = {
            "from": start.note,
            "trial_epochs": epochs,
            "tried": tried,
            "chosen": best["way"],
            "seconds": round(time.monotonic() - began, 1),
        }
        phase.run.write_json("transfer.json", before)
    watch.say("transfer", f"from {start.manifest.origin.get('network', start.note['file'])}: {before['chosen']}")
    return found[before["chosen"]], float(before["seconds"])
