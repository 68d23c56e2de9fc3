"""fit(): images and a budget in, the best small network that fits out. Start reading here.

    DATA ---> open_collection --.
    BUDGET -> pick -------------+-> train -> compress -> export -> verify -> report

Each step hands the next a value and leaves a file in the run folder, so the same command goes on where it stopped.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sprat import steps
from sprat.bench import verify
from sprat.budget import Budget
from sprat.conditions import device_for
from sprat.cost import count
from sprat.data import open_collection
from sprat.export import require
from sprat.plan import Planned, plan
from sprat.report import write as write_report
from sprat.request import Request
from sprat.run import Run
from sprat.start import Start
from sprat.watch import Silent, Watcher


def fit(
    data: str | Path,
    *,
    max_size: str | int | None = None,
    max_macs: str | int | None = None,
    max_params: str | int | None = None,
    max_memory: str | int | None = None,
    max_latency: str | float | None = None,
    image: int | None = None,
    minutes: float | None = None,
    epochs: int | None = None,
    model: str | Sequence[str] = (),
    start: str | Path = "",
    seed: int = 0,
    out: str | Path = "runs/fit",
    watcher: Watcher | None = None,
    command: str = "",
) -> dict[str, Any]:
    """The contents of result.json for the best small network that fits the budget; its files lie in `out`.

    Quantities are numbers or text such as "500KB", "40M", "5ms". The same call continues a run that was stopped.

    Args:
        data: "digits", a folder with one sub-folder a class, or another source (docs/how-to/own-photos.md).
        max_size: length of the shipped .sprat file.
        max_macs: multiply-adds for one image.
        max_params: number of parameters.
        max_memory: peak activation memory, float32.
        max_latency: median time for one image on one CPU thread.
        image: side of the network's square input, pixels; chosen where None.
        minutes: time for everything.
        epochs: of the training; not together with minutes.
        model: presets, families or patterns to choose among.
        start: .sprat or .safetensors file whose network is trained on; not together with model.
        seed: of everything random.
        out: run folder; new, empty, or of the same request.
        watcher: is told how it goes.
        command: the command line, for the report.

    Raises:
        BadInput: data or options that cannot be used.
        BudgetExceeded: nothing fits; the message names the nearest budget.
        RunConflict: `out` holds something else.
    """
    budget = Budget.parse(size=max_size, macs=max_macs, params=max_params, memory=max_memory, latency=max_latency)
    request = Request(
        data=str(data) if isinstance(data, str) or data.is_absolute() else f"./{data}",
        budget=budget,
        image=image,
        minutes=minutes,
        epochs=epochs,
        models=(model,) if isinstance(model, str) else tuple(model),
        start=str(start),
        seed=seed,
    )
    return run_job(request, Run(Path(out)), watcher or Silent(), command)


def dry_run(request: Request, watch: Watcher) -> Planned:
    """The plan of a request, without training and without a run folder."""
    collection = open_collection(request.data, seed=request.seed)
    seconds = None if request.minutes is None else request.minutes * 60
    return plan(collection, request, seconds=seconds, device=device_for(), say=lambda text: watch.say("plan", text))


def run_job(request: Request, run: Run, watch: Watcher, command: str = "") -> dict[str, Any]:
    """The main job in a run folder, from data to report; it goes on from what the folder already holds."""
    started = time.monotonic()
    with run.lock():
        start = Start.read(request.start) if request.start else None
        run.claim(steps.claimed(request, start), steps.conditions(command))
        run.sweep()
        finished = run.read_json("result.json")
        if finished is not None:
            watch.say("done", f"finished before; its report is {write_report(run.path)}")
            return dict(finished)
        device = device_for()

        collection = steps.open_data(request, run, watch)
        planned = steps.plan_run(request, run, collection, device, started, watch)
        dataset, preprocess = steps.load_data(collection, planned, run, watch, start)

        phase = steps.phase_of(run, dataset, preprocess, device, watch)
        trained = steps.train_network(phase, planned, watch, start)
        manifest = steps.manifest_of(planned, dataset, preprocess, start)
        compressed = steps.compress_network(phase, planned, trained, manifest, request.budget, watch)

        cost = count(compressed.net, planned.candidate.image)
        shipped = steps.export_files(run, trained, compressed, manifest, preprocess, cost, watch)
        verified = verify(run, collection, planned.candidate.image)
        require(verified.agreement, minimum=0.999)

        result = steps.result_of(request, run, planned, shipped, cost, verified, time.monotonic() - started)
        run.write_json("result.json", result)
        watch.say("verify", steps.verdict(result))
        watch.say("report", str(write_report(run.path)))
        return result
