"""train_job(): a network trained on labelled images and kept as floats, from scratch or from trained weights.

    DATA ----> open_dataset --.
    network or weights -------+-> train -> model.safetensors -> score, loaded afresh

The steps are those of `sprat fit`, without a budget and without compression; the run folder is continued likewise.
"""

import dataclasses
import time
from typing import Any

from sprat import steps
from sprat.conditions import device_for
from sprat.cost import count
from sprat.export import fresh_scores, state_of
from sprat.export.safetensors import to_safetensors
from sprat.request import Request
from sprat.run import Run
from sprat.start import Start
from sprat.train import evaluate
from sprat.watch import Watcher


def train_job(request: Request, run: Run, watch: Watcher, command: str = "") -> dict[str, Any]:
    """result.json of a training: the file, its accuracy on the test split, what it costs.

    Raises:
        BadInput, UnknownName: data, a model or weights that cannot be used.
        RunConflict: the folder holds something else.
        Stuck: training does not learn, with the remedy neither.
    """
    began = time.monotonic()
    with run.lock():
        start = Start.read(request.start) if request.start else None
        run.claim({"job": "train", **steps.claimed(request, start)}, steps.conditions(command))
        run.sweep()
        finished = run.read_json("result.json")
        if finished is not None:
            watch.say("done", f"finished before: {run.path / 'model.safetensors'}")
            return dict(finished)
        device = device_for()
        collection = steps.open_data(request, run, watch)
        planned = steps.plan_run(request, run, collection, device, began, watch)
        planned = dataclasses.replace(planned, schedule=planned.schedule.only("train"))
        dataset, preprocess = steps.load_data(collection, planned, run, watch, start)
        phase = steps.phase_of(run, dataset, preprocess, device, watch)
        trained = steps.train_network(phase, planned, watch, start)
        val_accuracy = evaluate(trained, dataset.val, preprocess, device).accuracy
        trained = trained.cpu()
        manifest = steps.manifest_of(planned, dataset, preprocess, start)
        manifest = dataclasses.replace(manifest, scores={"val_top1": round(val_accuracy, 4)})
        target = run.path / "model.safetensors"
        to_safetensors(state_of(trained), manifest, target)

        (scores,) = fresh_scores((target,), collection.raw("test"))
        labels = collection.labels("test")
        accuracy = float((scores.argmax(1) == labels).mean())
        cost = count(trained, planned.candidate.image)
        result = {
            "model": planned.candidate.name,
            "file": target.name,
            "image": list(planned.candidate.image.shape),
            "classes": list(dataset.classes),
            "size_bytes": target.stat().st_size,
            "params": cost.params,
            "macs": cost.macs,
            "test_accuracy": accuracy,
            "standard_error": (accuracy * (1 - accuracy) / len(labels)) ** 0.5,
            "num_test": len(labels),
            "val_accuracy": val_accuracy,
            "num_epochs": len(run.read_lines("metrics.jsonl")),
            "transfer": run.read_json("transfer.json"),
            "seed": request.seed,
            "seconds": round(time.monotonic() - began, 1),
            "remedies": run.read_json("remedies.json") or [],
        }
        run.write_json("result.json", result)
        watch.say("test", f"top-1 {accuracy:.4f} +- {result['standard_error']:.4f} ({len(labels):,} images)")
        return result
