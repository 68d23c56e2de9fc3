"""A trained network made smaller: coded without a change of its weights, or fine-tuned into a byte limit."""

import copy
import dataclasses
import time
from pathlib import Path
from typing import Any

from sprat import artifact, steps
from sprat.bench import verify
from sprat.conditions import device_for
from sprat.cost import count
from sprat.errors import BadInput
from sprat.export import require
from sprat.preprocess import Preprocess
from sprat.report import write as write_report
from sprat.request import Request
from sprat.run import Run
from sprat.start import Start
from sprat.transfer import first_network
from sprat.watch import Watcher


def compress_lossless(file: Path, out: Path) -> dict[str, Any]:
    """A .sprat file with exactly the weights of `file`; its length beside that of the original.

    Raises:
        BadArtifact: the file cannot be read.
        BadInput: `out` is the file itself.
    """
    if out.resolve() == file.resolve():
        raise BadInput(f"{file} would be replaced by itself; give another --out")
    original_bytes = file.stat().st_size if file.exists() else 0
    start = Start.read(str(file))
    made = artifact.save(out, start.manifest, start.state)
    return {"file": str(out), "size_bytes": made.size_bytes, "original_bytes": original_bytes, "lossless": True}


def compress_job(request: Request, run: Run, watch: Watcher, command: str = "") -> dict[str, Any]:
    """result.json of a network compressed by fine-tuning: `sprat fit` from trained weights, with nothing to learn anew.

    Raises:
        BadInput: the data's classes are not those of the network.
        RunConflict: the folder holds something else.
    """
    began = time.monotonic()
    start = Start.read(request.start)
    request = dataclasses.replace(request, image=start.manifest.image[1])  # the very network, not a smaller input
    with run.lock():
        run.claim({"job": "compress", **steps.claimed(request, start)}, steps.conditions(command))
        run.sweep()
        finished = run.read_json("result.json")
        if finished is not None:
            watch.say("done", f"finished before; its report is {write_report(run.path)}")
            return dict(finished)
        device = device_for()
        collection = steps.open_data(request, run, watch)
        if collection.classes != start.manifest.classes:
            raise BadInput(
                f"{request.data} has {len(collection.classes)} classes ({', '.join(collection.classes[:3])}, ...), "
                f"{request.start} has {len(start.manifest.classes)} ({', '.join(start.manifest.classes[:3])}, ...); "
                "give data of the same classes, or learn new ones with `sprat fit --from`"
            )
        planned = steps.plan_run(request, run, collection, device, began, watch)
        planned = dataclasses.replace(planned, schedule=planned.schedule.only("prune", "share", "tune"))
        dataset, preprocess = steps.load_data(collection, planned, run, watch, start)
        shipped_behind = Preprocess.from_dict(start.manifest.preprocessing)  # with its crop, as the original
        phase = steps.phase_of(run, dataset, preprocess, device, watch)
        trained = first_network(phase, planned, request.seed, start).eval()
        manifest = steps.manifest_of(planned, dataset, shipped_behind, start)
        compressed = steps.compress_network(phase, planned, copy.deepcopy(trained), manifest, request.budget, watch)
        cost = count(compressed.net, planned.candidate.image)
        shipped = steps.export_files(run, trained, compressed, manifest, shipped_behind, cost, watch)
        verified = verify(run, collection, planned.candidate.image)
        require(verified.agreement, minimum=0.999)
        result = steps.result_of(request, run, planned, shipped, cost, verified, time.monotonic() - began)
        run.write_json("result.json", result)
        watch.say("verify", steps.verdict(result))
        watch.say("report", str(write_report(run.path)))
        return result
