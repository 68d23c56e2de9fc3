"""train(): a generator of epochs. The caller logs them, saves their state, or stops."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sprat.data import Dataset
from sprat.errors import SpratError
from sprat.preprocess import Preprocess
from sprat.recipe import Recipe
from sprat.train.augment import augment, mix
from sprat.train.evaluate import Scores, evaluate
from sprat.train.optimize import lr_at, optimizer_for
from sprat.train.state import TrainState, average_of, follow

_CHECK_EVERY = 16  # steps between looks at the clock and the loss


class Stuck(SpratError):
    """Training does not learn: `kind` is "nan" (the loss is not finite) or "flat" (it stays at ln(classes))."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Step:
    """Where a training is, for a progress bar: loss and accuracy are means over the epoch so far."""

    epoch: int
    progress: float
    loss: float
    accuracy: float
    images_per_s: float
    left_s: float


@dataclass(frozen=True, slots=True)
class Epoch:
    """One finished epoch: its figures (contract of metrics.jsonl) and the state to go on from."""

    epoch: int
    epochs: float
    loss: float
    train_accuracy: float
    val: Scores
    lr: float
    num_images: int
    images_per_s: float
    seconds: float
    state: TrainState

    def to_dict(self) -> dict[str, Any]:
        """The figures as one JSON object."""
        return {
            "epoch": self.epoch,
            "epochs": round(self.epochs, 3),
            "loss": self.loss,
            "train_accuracy": self.train_accuracy,
            "val_loss": self.val.loss,
            "val_accuracy": self.val.accuracy,
            "lr": self.lr,
            "num_images": self.num_images,
            "images_per_s": round(self.images_per_s, 1),
            "seconds": round(self.seconds, 3),
        }


def new_state(net: nn.Module, recipe: Recipe) -> TrainState:
    """The state before the first step."""
    return TrainState(net=net, average=average_of(net), optimizer=optimizer_for(net, recipe))


def train(
    state: TrainState,
    recipe: Recipe,
    dataset: Dataset,
    preprocess: Preprocess,
    *,
    device: torch.device,
    teacher: nn.Module | None = None,
    frozen_norm: bool = False,
    time_limit_s: float | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> Iterator[Epoch]:
    """Epochs of training, from where `state` is until the schedule ends.

    Args:
        state: from `new_state`, perhaps restored; it is advanced in place.
        recipe: how to train; `recipe.epochs` is ignored where there is a time limit.
        dataset: its train split is learnt, its val split is scored after each epoch.
        preprocess: gives the normalisation; sizes already fit.
        device: where to compute; on CUDA in mixed precision.
        teacher: logits to match instead of labels (arXiv:1503.02531, temperature 1); None learns the labels alone.
        frozen_norm: normalise by the running statistics instead of the batch's, for short fine-tuning.
        time_limit_s: end the schedule after so many seconds of training, counted over all sessions.
        on_step: called now and then with the position.

    Raises:
        Stuck: the loss is not finite, or stays at ln(classes).
    """
    net, average, num_train = state.net, state.average, len(dataset.train.labels)
    batch_size = min(recipe.batch_size, num_train)
    steps_per_epoch = max(1, num_train // batch_size)
    total_steps = max(1, round(recipe.epochs * steps_per_epoch))
    images = torch.from_numpy(np.asarray(dataset.train.images))
    labels = torch.from_numpy(np.asarray(dataset.train.labels))
    mean = torch.tensor(preprocess.mean, device=device).view(1, -1, 1, 1)
    scale = 1 / torch.tensor(preprocess.std, device=device).view(1, -1, 1, 1)
    mixed_precision = torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda")

    while state.progress < 1:
        generator = torch.Generator().manual_seed(_seed(recipe.seed, state.epoch, 0))
        torch.manual_seed(_seed(recipe.seed, state.epoch, 1))  # dropout
        _training_mode(net, frozen_norm)
        order = torch.randperm(num_train, generator=generator)
        start, lr, done = time.perf_counter(), 0.0, 0
        loss_sum = torch.zeros((), device=device)
        correct = torch.zeros((), device=device)
        left = total_steps - state.step
        elapsed_before = state.elapsed_s
        for index in range(steps_per_epoch):
            if index % _CHECK_EVERY == 0 and index:
                mean_loss = loss_sum.item() / index  # on CUDA this also waits for the steps that are timed
                state.elapsed_s = elapsed_before + time.perf_counter() - start
                speed = done / (state.elapsed_s - elapsed_before)
                if time_limit_s is not None:
                    left = max(0, int((time_limit_s - state.elapsed_s) * speed / batch_size))
                if not math.isfinite(mean_loss):
                    raise Stuck("nan", f"the loss is {mean_loss} after {state.step} steps at learning rate {lr:.3g}")
                if on_step is not None:
                    on_step(
                        Step(
                            state.epoch,
                            state.progress,
                            mean_loss,
                            correct.item() / done,
                            speed,
                            left * batch_size / speed,
                        )
                    )
            if time_limit_s is not None and index == 0:
                speed = _recent_speed(state)
                left = int((time_limit_s - state.elapsed_s) * speed / batch_size) if speed else steps_per_epoch * 100
            if left <= 0:
                state.progress = 1.0
                break
            lr = lr_at(state.progress, recipe)
            for group in state.optimizer.param_groups:
                group["lr"] = lr * group["scale"]
            chosen = order[index * batch_size : (index + 1) * batch_size]
            batch = augment(images[chosen], recipe.augment, generator).to(device, memory_format=torch.channels_last)
            batch = batch.sub_(mean).mul_(scale)
            truth = labels[chosen].to(device)
            targets = functional.one_hot(truth, len(dataset.classes)).float()
            if recipe.augment.mix:
                batch, targets = mix(batch, targets, recipe.augment.mix, generator)
            with mixed_precision:
                logits = net(batch)
                loss = _loss(logits, targets, recipe.label_smoothing, batch, teacher)
            state.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            if recipe.clip:
                nn.utils.clip_grad_norm_(net.parameters(), recipe.clip)
            state.optimizer.step()
            state.step += 1
            if recipe.ema:
                # A young average forgets its random start faster.
                follow(average, net, min(recipe.ema, (1 + state.step) / (10 + state.step)))
            state.progress = min(1.0, state.progress + (1 - state.progress) / left)
            left -= 1
            done += batch_size
            loss_sum += loss.detach()
            correct += (logits.detach().argmax(1) == truth).sum()
        seconds = time.perf_counter() - start
        state.elapsed_s = elapsed_before + seconds
        if done == 0:
            break
        if not recipe.ema:
            average.load_state_dict(net.state_dict())
        state.epoch += 1
        mean_loss = loss_sum.item() / (done // batch_size)
        val = evaluate(average, dataset.val, preprocess, device)
        if not (math.isfinite(mean_loss) and math.isfinite(val.loss)):
            raise Stuck(
                "nan", f"the loss is {mean_loss} (validation {val.loss}) after {state.step} steps at lr {lr:.3g}"
            )
        state.elapsed_s = elapsed_before + time.perf_counter() - start
        finished = Epoch(
            epoch=state.epoch,
            epochs=state.epoch + max(0, left) / steps_per_epoch,
            loss=mean_loss,
            train_accuracy=correct.item() / done,
            val=val,
            lr=lr,
            num_images=done,
            images_per_s=done / seconds,
            seconds=state.elapsed_s - elapsed_before,
            state=state,
        )
        state.history.append(finished.to_dict())
        if teacher is None and not recipe.clip:  # fine-tuning and the second try may be slow: they are not stuck
            _check_learning(state, len(dataset.classes))
        yield finished


def _loss(logits: Tensor, targets: Tensor, smoothing: float, batch: Tensor, teacher: nn.Module | None) -> Tensor:
    """Cross-entropy with the smoothed labels or, with a teacher, mostly with the teacher's probabilities."""
    if teacher is None:
        return functional.cross_entropy(logits, targets, label_smoothing=smoothing)
    with torch.no_grad():
        soft = teacher(batch).softmax(1)
    return functional.cross_entropy(logits, torch.lerp(targets, soft, 0.9))


def _training_mode(net: nn.Module, frozen_norm: bool) -> None:
    net.train()
    if frozen_norm:
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d | nn.Dropout):
                module.eval()


def _recent_speed(state: TrainState) -> float:
    """Images per second over the last epochs, validation included; 0 where there is none yet."""
    last = state.history[-3:]
    images = sum(entry["num_images"] for entry in last)
    seconds = sum(entry["seconds"] for entry in last)
    return images / seconds if seconds else 0.0


def _check_learning(state: TrainState, num_classes: int) -> None:
    """A training past its warm-up whose training and validation loss are still at ln(classes) is stuck."""
    if state.step < 60 or state.progress < 0.4 or num_classes < 2:
        return
    chance = math.log(num_classes)
    last = state.history[-1]
    if last["loss"] > 0.985 * chance and last["val_loss"] > 0.985 * chance:
        raise Stuck(
            "flat",
            f"the loss is {last['loss']:.3f} after {state.step} steps; chance is ln({num_classes}) = {chance:.3f}",
        )


def _seed(seed: int, epoch: int, stream: int) -> int:
    """A seed of its own for each epoch and stream, so that a resumed run draws the same numbers."""
    return int(np.random.SeedSequence([seed, epoch, stream]).generate_state(1, np.uint64)[0]) % 2**63
