"""plan(): which network, at which size, trained how; decided before any training."""

import tempfile
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sprat.artifact import Manifest
from sprat.bench import latency
from sprat.conditions import memory_bytes
from sprat.cost import count
from sprat.data import Collection
from sprat.errors import BudgetExceeded
from sprat.export import to_onnx
from sprat.export.load import read_manifest
from sprat.image import ImageSpec
from sprat.preprocess import Preprocess
from sprat.recipes import Schedule, schedule_for
from sprat.request import Request
from sprat.search import Candidate, pick
from sprat.search.pick import Plan
from sprat.search.pool import select_for_training
from sprat.zoo import Ported, build, config_from_dict

SIDES = (64, 96, 128)  # tried for photos, where the user names no size
TRAINED_SIDES = (192, 160, 128)  # tried for trained weights below their own size, where the budget asks for it
NATIVE_SIDE = 64  # images up to this side are taken as they are
IMAGES_PER_TRAINING = 1_000_000  # a small network wants to see about so many before a larger one pays
ASSUMED_MACS_PER_S = 12e9  # training speed of two CPU cores, forward macs of separable networks; used without minutes
ASSUMED_SECONDS = 1200.0
MACS_FOR_THREADS = 300e6  # of a batch; below, a second thread brings nothing and suffers from busy neighbours
RESERVE_S = 45.0  # of --minutes for export, verification and the report


@dataclass(frozen=True)
class Planned:
    """The choice and what it was chosen from.

    Args:
        candidate: the network to train.
        schedule: how.
        candidates: all that were ranked, contract of plan.json.
        threads: of PyTorch on the CPU; a run goes on with the number it began with, as sums depend on it.
    """

    candidate: Candidate
    schedule: Schedule
    candidates: tuple[Candidate, ...]
    threads: int

    def to_dict(self) -> dict[str, Any]:
        """plan.json; `from_dict` is the inverse."""
        return {
            "chosen": self.candidate.name,
            "image": list(self.candidate.image.shape),
            "threads": self.threads,
            "recipe": self.schedule.recipes["train"].to_dict(),
            "schedule": self.schedule.to_dict(),
            "candidates": [candidate.to_dict() for candidate in self.candidates],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Planned":
        """The plan that `to_dict` wrote."""
        candidates = tuple(Candidate.from_dict(entry) for entry in values["candidates"])
        (chosen,) = [c for c in candidates if c.name == values["chosen"] and list(c.image.shape) == values["image"]]
        return cls(chosen, Schedule.from_dict(values["schedule"]), candidates, int(values["threads"]))


def plan(
    collection: Collection,
    request: Request,
    *,
    seconds: float | None,
    device: torch.device,
    say: Callable[[str], None],
) -> Planned:
    """The best candidate under the whole budget, and its schedule.

    Args:
        collection: the data.
        request: what was asked.
        seconds: left for everything, or None where the request names no minutes.
        device: where training will run.
        say: told what is being measured.

    Raises:
        BudgetExceeded: nothing fits; the message names the nearest budget that can be met.
        UnknownName: a model that does not exist.
    """
    budget = request.budget
    started = read_manifest(Path(request.start)) if request.start else None
    images = sizes_for(collection, request.image) if started is None else sizes_from(started, request.image)
    num_train, num_classes = len(collection.labels("train")), len(collection.classes)
    speed = ASSUMED_MACS_PER_S if seconds is None else _training_speed(images[0], num_classes, device)
    train_s = ASSUMED_SECONDS if seconds is None else max(1.0, (seconds - RESERVE_S) * 0.76)

    def ranked_at(images: list[ImageSpec]) -> Plan:
        return pick(
            images,
            num_classes,
            budget,
            models=select_for_training(request.models or None) if started is None else None,
            given=None if started is None else {Path(request.start).stem: _config_at(started, images)},
            names_bytes=len(zlib.compress("".join(collection.classes).encode())),
            max_train_macs=speed * train_s / min(IMAGES_PER_TRAINING, 100 * num_train),
        )

    ranked = ranked_at(images[:1] if started else images)
    if not ranked.candidates[0].fits and started and images[1:]:
        ranked = ranked_at(images)  # trained weights leave their own size only where the budget asks for it
    chosen, candidates = ranked.chosen, list(ranked.candidates)
    if budget.max_latency_ms is not None:
        chosen, candidates = _fast_enough(candidates, budget.max_latency_ms, num_classes, say)
    network = build(config_from_dict(chosen.architecture), chosen.image, num_classes)
    # Training holds each activation about three times: value, gradient, and what batch norm keeps.
    memory_batch = int(0.25 * memory_bytes(device) / (12 * count(network, chosen.image).activations))
    schedule = schedule_for(
        num_train,
        chosen.image,
        net=network,
        epochs=request.epochs,
        seconds=None if seconds is None else max(4.0, seconds - min(RESERVE_S, 0.4 * seconds)),
        memory_batch=max(8, memory_batch),
        seed=request.seed,
        grey=collection.channels == 1,
    )
    small = schedule.recipes["train"].batch_size * chosen.macs < MACS_FOR_THREADS
    return Planned(chosen, schedule, tuple(candidates), 1 if small else torch.get_num_threads())


def sizes_for(collection: Collection, side: int | None) -> list[ImageSpec]:
    """Input sizes to try: the one asked for; small images as they are; for photos the usual ones up to their own."""
    if side is not None:
        return [ImageSpec(collection.channels, side, side)]
    height, width = collection.sizes["median"]
    if max(height, width) <= NATIVE_SIDE:
        return [ImageSpec(collection.channels, height, width)]
    fitting = [candidate for candidate in SIDES if candidate <= max(min(height, width), SIDES[0])]
    return [ImageSpec(collection.channels, candidate, candidate) for candidate in fitting]


def sizes_from(start: Manifest, side: int | None) -> list[ImageSpec]:
    """Input sizes for a network that has trained weights: the one asked for, or its own and the usual smaller ones."""
    channels, height, width = start.image
    if side is not None:
        return [ImageSpec(channels, side, side)]
    smaller = [ImageSpec(channels, one, one) for one in TRAINED_SIDES if TRAINED_SIDES[-1] <= one < min(height, width)]
    return [ImageSpec(channels, height, width), *smaller]


def _config_at(start: Manifest, images: list[ImageSpec]) -> Any:
    """The architecture of trained weights with the strides they were trained with, also on smaller images."""
    config, own = config_from_dict(start.architecture), ImageSpec(*start.image)
    if images == [own] or (isinstance(config, Ported) and config.built_for):
        return config
    if isinstance(config, Ported):
        return replace(config, built_for=own.height)
    return Ported(network=config, built_for=own.height)


def _training_speed(image: ImageSpec, num_classes: int, device: torch.device) -> float:
    """Forward macs a second while training a small separable network here, from the fastest of a few steps."""
    with torch.random.fork_rng(devices=[]):
        config = config_from_dict({"family": "mobilenet_v1", "width": 0.25})
        net = build(config, image, num_classes).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        batch = max(2, min(64, 2**20 // (image.height * image.width)))
        x = torch.zeros(batch, *image.shape, device=device).contiguous(memory_format=torch.channels_last)
        times: list[float] = []
        while len(times) < 6 and sum(times) < 3:
            start = time.perf_counter()
            loss: torch.Tensor = nn.functional.cross_entropy(
                net(x), torch.zeros(batch, dtype=torch.long, device=device)
            )
            loss.backward()  # type: ignore[no-untyped-call]
            if device.type == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
    return batch * count(net.cpu(), image).macs / min(times)


def _fast_enough(
    candidates: list[Candidate], limit_ms: float, num_classes: int, say: Callable[[str], None]
) -> tuple[Candidate, list[Candidate]]:
    """The best candidate whose untrained export is measured within the limit, and the list with what was measured.

    Raises:
        BudgetExceeded: none is.
    """
    measured: dict[int, float] = {}
    too_slow = float("inf")  # macs of the least network that was too slow
    for index, candidate in enumerate(candidates):
        if not candidate.fits or candidate.macs > 0.85 * too_slow:
            continue
        measured[index] = _latency_of(candidate, num_classes)
        say(f"{candidate.name} at {candidate.image}: {measured[index]:.3g} ms on one thread (limit {limit_ms:g} ms)")
        if measured[index] <= 0.95 * limit_ms:
            break
        too_slow = min(too_slow, candidate.macs)
    fitting = [index for index, value in measured.items() if value <= 0.95 * limit_ms]
    noted = [
        replace(candidate, latency_ms=measured.get(index), fits=False)
        if index in measured.keys() - set(fitting) or (index < min(fitting, default=0) and candidate.fits)
        else replace(candidate, latency_ms=measured.get(index))
        for index, candidate in enumerate(candidates)
    ]
    if not fitting:
        best = min(measured.values(), default=float("nan"))
        raise BudgetExceeded(
            f"no candidate predicts within {limit_ms:g} ms on one CPU thread: the fastest tried took {best:.3g} ms; "
            f"try --max-latency {best * 1.2:.2g}ms, a smaller --image, or a smaller --model"
        )
    (winner,) = fitting
    return noted[winner], noted


def _latency_of(candidate: Candidate, num_classes: int) -> float:
    """Median milliseconds of the untrained network's export: time does not depend on the weights."""
    image = candidate.image
    with torch.random.fork_rng(devices=[]):
        net = build(config_from_dict(candidate.architecture), image, num_classes).eval()
    neutral = Preprocess(image.channels, image.height, image.width, (127.5,) * image.channels, (64.0,) * image.channels)
    with tempfile.TemporaryDirectory() as folder:
        path = to_onnx(net, neutral, [str(index) for index in range(num_classes)], Path(folder) / "candidate.onnx")
        return float(latency(path, (image.height, image.width), repeats=60)["median_ms"])
