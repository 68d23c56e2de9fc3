"""The steps of the main job: each takes values, leaves its file in the run folder, and returns a value."""

import copy
import csv
import dataclasses
import io
import json
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sprat import artifact
from sprat.artifact import Artifact, Manifest, pack
from sprat.bench import Verified
from sprat.budget import Budget
from sprat.compress import Compressed, compress, row_importance
from sprat.conditions import device_for, versions
from sprat.cost import Cost
from sprat.data import Collection, Dataset, open_collection
from sprat.errors import RunConflict
from sprat.export import state_of, to_onnx, to_sprat
from sprat.plan import Planned, plan
from sprat.preprocess import Preprocess
from sprat.recipe import Recipe
from sprat.recipes import remedy
from sprat.request import Request
from sprat.run import Run
from sprat.start import Start
from sprat.train import Phase, Step, Stuck, evaluate, renew_statistics
from sprat.transfer import choose_way, first_network
from sprat.units import format_bytes, format_count, format_duration
from sprat.watch import Watcher

SCORE_BYTES = 8  # by which the deflated header may grow with another score


def conditions(command: str) -> dict[str, Any]:
    """Under which circumstances the run was begun: command, versions, device, threads, platform."""
    return {
        "command": command,
        "versions": versions(),
        "device": str(device_for()),
        "threads": torch.get_num_threads(),
        "platform": platform.platform(),
    }


def claimed(request: Request, start: Start | None) -> dict[str, Any]:
    """What a run folder belongs to: the request and, where there is a start, its very weights."""
    values = request.to_dict()
    return values if start is None else {**values, "start_sha256": start.manifest.state_sha256}


def open_data(request: Request, run: Run, watch: Watcher) -> Collection:
    """The data of the request; data.json and splits.csv are written, or checked to be the same as before.

    Raises:
        RunConflict: the data is not what it was when the run began.
    """
    collection = open_collection(request.data, seed=request.seed, on_progress=_bar(watch, "data"))
    before = run.read_json("data.json")
    if before is not None and before["fingerprint"] != collection.fingerprint:
        raise RunConflict(
            f"{request.data} has changed since {run.path} was begun (fingerprint {before['fingerprint'][:12]} then, "
            f"{collection.fingerprint[:12]} now); give another --out"
        )
    if before is None:
        run.write_bytes("splits.csv", _table(["key", "label", "split"], collection.split_rows()))
        run.write_json("data.json", collection.to_dict())
    counts = [len(collection.labels(split)) for split in ("train", "val", "test")]
    split = "/".join(f"{count:,}" for count in counts)
    watch.say("data", f"{sum(counts):,} images, {len(collection.classes)} classes, split {split}")
    if collection.skipped:
        first = collection.skipped[0]
        watch.say("data", f"{len(collection.skipped)} skipped, such as {first.key}: {first.reason} (all in data.json)")
    for warning in collection.warnings:
        watch.say("data", f"note: {warning}")
    return collection


def plan_run(
    request: Request, run: Run, collection: Collection, device: torch.device, started: float, watch: Watcher
) -> Planned:
    """The plan: made and written to plan.json, or read back."""
    before = run.read_json("plan.json")
    if before is not None:
        planned = Planned.from_dict(before)
    else:
        seconds = None if request.minutes is None else request.minutes * 60 - (time.monotonic() - started)
        planned = plan(collection, request, seconds=seconds, device=device, say=lambda text: watch.say("plan", text))
        run.write_json("plan.json", planned.to_dict())
    torch.set_num_threads(planned.threads)
    chosen = planned.candidate
    fitting = sum(candidate.fits for candidate in planned.candidates)
    watch.say("plan", f"{fitting} of {len(planned.candidates)} candidates fit {request.budget}")
    watch.say(
        "plan",
        f"{chosen.name} at {chosen.image}: {format_count(chosen.params)} params, {format_count(chosen.macs)} macs, "
        f"about {format_bytes(chosen.expected_bytes)} expected",
    )
    return planned


def load_data(
    collection: Collection, planned: Planned, run: Run, watch: Watcher, start: Start | None = None
) -> tuple[Dataset, Preprocess]:
    """The images at the network's size, cached in the run folder, and the preprocessing their pixels call for.

    Trained weights bring the normalisation they were trained with. They do not bring its crop: a user's pictures are
    seen whole.
    """
    image = planned.candidate.image
    dataset = collection.load(image, run.path / "cache", _bar(watch, "data"))
    if start is not None:
        mean, std = start.normalisation
    else:
        mean, std = _pixel_statistics(dataset.train.images)
    return dataset, Preprocess(image.channels, image.height, image.width, mean, std)


def phase_of(run: Run, dataset: Dataset, preprocess: Preprocess, device: torch.device, watch: Watcher) -> Phase:
    """What all training phases share; after each epoch metrics.jsonl is written anew with all phases so far."""
    epochs: dict[str, list[dict[str, Any]]] = {}

    def on_epochs(name: str, history: list[dict[str, Any]]) -> None:
        epochs[name] = history
        run.write_lines("metrics.jsonl", [{"phase": key, **entry} for key, lines in epochs.items() for entry in lines])
        last = history[-1]
        text = f"epoch {last['epoch']}  val top-1 {last['val_accuracy']:.4f}  loss {last['loss']:.3f}"
        watch.progress(name, min(1.0, last["epoch"] / last["epochs"]), text)

    def on_step(name: str, step: Step) -> None:
        text = (
            f"epoch {step.epoch + 1}  loss {step.loss:.3f}  acc {step.accuracy:.3f}  "
            f"{step.images_per_s:,.0f} images/s  {format_duration(step.left_s)} left"
        )
        watch.progress(name, step.progress, text)

    return Phase(run, dataset, preprocess, device, on_step, on_epochs)


def train_network(phase: Phase, planned: Planned, watch: Watcher, start: Start | None = None) -> nn.Module:
    """The trained float network. Training that does not learn is begun once more with a remedy, which is recorded.

    With a start, the network begins with its weights and is trained on in the way that a short trial found best.

    Raises:
        Stuck: it does not learn with the remedy either.
    """
    schedule, run = planned.schedule, phase.run
    seconds = None if schedule.seconds is None else schedule.seconds["train"]
    recipe: Recipe = schedule.recipes["train"]
    way = None
    if start is not None:
        way, tried_s = choose_way(phase, planned, start, watch)
        recipe = way.recipe
        seconds = None if seconds is None else max(1.0, seconds - tried_s)
    first, applied = recipe, run.read_json("remedies.json") or []
    while True:
        for entry in applied:
            recipe = remedy(first, entry["kind"])
        net = first_network(phase, planned, recipe.seed, start)
        try:
            frozen = way is not None and way.keeps_statistics
            trained = phase.train("train", net, recipe, seconds=seconds, frozen_norm=frozen)
        except Stuck as stuck:
            if applied:
                raise
            applied = [
                {
                    "kind": stuck.kind,
                    "seen": str(stuck),
                    "remedy": f"learning rate {recipe.lr:g} divided by 8, clipped gradients",
                }
            ]
            run.remove("checkpoint.safetensors")  # first: a kill between the two lines repeats the first try
            run.write_json("remedies.json", applied)
            watch.say("train", f"{stuck}; starting over once with {applied[0]['remedy']}")
            continue
        break
    if way is not None and not way.keeps_statistics:
        renew_statistics(trained, phase.dataset, phase.preprocess, phase.device)
    scores = evaluate(trained, phase.dataset.val, phase.preprocess, phase.device)
    watch.say("train", f"{planned.candidate.name}  val top-1 {scores.accuracy:.4f} ({scores.num:,} images)")
    return trained


def manifest_of(planned: Planned, dataset: Dataset, preprocess: Preprocess, start: Start | None = None) -> Manifest:
    """What the file says of itself; its scores and checksum are filled in when it is written."""
    return Manifest(
        architecture=dict(planned.candidate.architecture),
        image=planned.candidate.image.shape,
        classes=dataset.classes,
        preprocessing=preprocess.to_dict(),
        scores={},
        licence=None if start is None else start.manifest.licence,
        origin={} if start is None else {"from": start.note},
    )


def compress_network(
    phase: Phase, planned: Planned, trained: nn.Module, manifest: Manifest, budget: Budget, watch: Watcher
) -> Compressed:
    """The network as it will be shipped, within the byte limit."""
    schedule, dataset, preprocess, device = planned.schedule, phase.dataset, phase.preprocess, phase.device
    teacher = copy.deepcopy(trained).eval()

    def accuracy(net: nn.Module) -> float:
        return evaluate(net, dataset.val, preprocess, device).accuracy

    def finetune(net: nn.Module, name: str) -> nn.Module:
        kind = name.removesuffix("-again")
        seconds = None if schedule.seconds is None else schedule.seconds[kind]
        return phase.train(name, net, schedule.recipes[kind], seconds=seconds, teacher=teacher, frozen_norm=True)

    compressed = compress(
        copy.deepcopy(trained),
        max_bytes=budget.max_bytes,
        importance=lambda net: row_importance(net, dataset.train, preprocess, device),
        finetune=finetune,
        file_bytes=lambda net: len(pack(_scored(manifest, 0.9876), state_of(net))) + SCORE_BYTES,
        accuracy=accuracy,
    )
    for step in compressed.steps[1:]:
        watch.say("compress", f"{step['name']}: {format_bytes(step['bytes'])}, val top-1 {step['val_accuracy']:.4f}")
    return compressed


def export_files(
    run: Run,
    trained: nn.Module,
    compressed: Compressed,
    manifest: Manifest,
    preprocess: Preprocess,
    cost: Cost,
    watch: Watcher,
) -> Artifact:
    """model.sprat and model.onnx, and float.sprat with the network before compression; layers.json, compress.json."""
    to_sprat(trained, manifest, run.path / "float.sprat")
    filled = _scored(manifest, compressed.steps[-1]["val_accuracy"])
    shipped = to_sprat(compressed.net, filled, run.path / "model.sprat")
    watch.say("export", f"{shipped.path}  {format_bytes(shipped.size_bytes)}")
    onnx_file = to_onnx(
        compressed.net,
        preprocess,
        manifest.classes,
        run.path / "model.onnx",
        manifest_json=json.dumps(shipped.manifest.to_dict(), ensure_ascii=False),
    )
    watch.say("export", f"{onnx_file}  {format_bytes(onnx_file.stat().st_size)}, preprocessing inside")
    tensors = artifact.describe(shipped.path)
    payload = sum(tensor["bytes"] for tensor in tensors)
    compressed_facts = {
        "steps": [*compressed.steps[:-1], {**compressed.steps[-1], "bytes": shipped.size_bytes}],
        "tensors": tensors,
        "container_bytes": shipped.size_bytes - payload,
    }
    run.write_json("compress.json", compressed_facts)
    run.write_json("layers.json", _layers(cost, tensors))
    return shipped


def result_of(
    request: Request,
    run: Run,
    planned: Planned,
    shipped: Artifact,
    cost: Cost,
    verified: Verified,
    seconds: float,
) -> dict[str, Any]:
    """result.json: every figure measured on the files that ship."""
    excess = request.budget.excess(
        size_bytes=shipped.size_bytes,
        params=cost.params,
        macs=cost.macs,
        peak_bytes=cost.peak_bytes,
        latency_ms=verified.latency["median_ms"],
    )
    data, steps, history = (
        run.read_json("data.json"),
        run.read_json("compress.json")["steps"],
        run.read_lines("metrics.jsonl"),
    )
    warnings = list(data.get("warnings", []))
    if verified.test_accuracy < verified.float_accuracy - 0.01:
        lost = 100 * (verified.float_accuracy - verified.test_accuracy)
        warnings.append(f"compression cost {lost:.1f} points of test accuracy; a larger --max-size would keep more")
    return {
        "model": planned.candidate.name,
        "image": list(planned.candidate.image.shape),
        "classes": data["classes"],
        "size_bytes": shipped.size_bytes,
        "sha256": shipped.sha256,
        "fits": not excess,
        "excess": [str(entry) for entry in excess],
        "budget": request.budget.to_dict(),
        "test_accuracy": verified.test_accuracy,
        "float_accuracy": verified.float_accuracy,
        "standard_error": verified.standard_error,
        "num_test": verified.num_test,
        "val_accuracy": steps[-1]["val_accuracy"],
        "num_val": verified.agreement.num,
        "latency_ms": verified.latency["median_ms"],
        "latency_p90_ms": verified.latency["p90_ms"],
        "macs": cost.macs,
        "params": cost.params,
        "peak_bytes": cost.peak_bytes,
        "network_rss_bytes": verified.memory["network_rss_bytes"],
        "onnx_agreement": verified.agreement.agreement,
        "onnx_bytes": (run.path / "model.onnx").stat().st_size,
        "float32_bytes": steps[0]["bytes"],
        "num_epochs": len(history),
        "seed": request.seed,
        "seconds": round(seconds, 1),
        "warnings": warnings,
        "remedies": run.read_json("remedies.json") or [],
    }


def verdict(result: dict[str, Any]) -> str:
    """The result in one line."""
    fits = "fits the budget" if result["fits"] else "does NOT fit: " + "; ".join(result["excess"])
    return (
        f"{fits}; test top-1 {result['test_accuracy']:.4f} +- {result['standard_error']:.4f} "
        f"({result['num_test']:,} images, float {result['float_accuracy']:.4f}), "
        f"{result['latency_ms']:.3g} ms on 1 CPU thread"
    )


def _layers(cost: Cost, tensors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a layer with the bytes of its tensors in the file, then one for each other owner of tensors."""
    sizes = {layer.name: 0 for layer in cost.layers}
    rest: dict[str, int] = {}
    for tensor in tensors:
        owner = tensor["name"].rpartition(".")[0]
        if owner in sizes:
            sizes[owner] += tensor["bytes"]
        else:
            rest[owner] = rest.get(owner, 0) + tensor["bytes"]
    rows = [{**dataclasses.asdict(layer), "bytes": sizes[layer.name]} for layer in cost.layers]
    others = [
        {"name": name, "kind": "other", "in_shape": [], "out_shape": [], "params": 0, "macs": 0, "bytes": size}
        for name, size in rest.items()
    ]
    return rows + others


def _pixel_statistics(images: NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel over all pixels, to one decimal: they travel in the file's header."""
    counts = np.zeros((images.shape[3], 256))
    for start in range(0, len(images), 256):
        for channel in range(len(counts)):
            counts[channel] += np.bincount(images[start : start + 256, ..., channel].ravel(), minlength=256)
    values, weights = np.arange(256), counts / counts.sum(1, keepdims=True)
    mean = weights @ values
    std = np.sqrt(np.maximum((weights * (values - mean[:, None]) ** 2).sum(1), 1.0))
    return tuple(round(float(value), 1) for value in mean), tuple(round(float(value), 1) for value in std)


def _scored(manifest: Manifest, val_accuracy: float) -> Manifest:
    """The manifest with its score."""
    return dataclasses.replace(manifest, scores={"val_top1": round(val_accuracy, 4)})


def _table(header: list[str], rows: Any) -> bytes:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue().encode()


def _bar(watch: Watcher, stage: str) -> Callable[[int, int], None]:
    return lambda done, total: watch.progress(stage, done / max(1, total), f"{done:,} of {total:,} images")
