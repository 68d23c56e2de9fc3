"""`sprat fit`: images and a budget in, the best small network that fits out."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from sprat.cli.limits import MaxLatency, MaxMacs, MaxMemory, MaxParams, MaxSize

NAME = "fit"
EXAMPLES = """[bold]Examples[/bold]

sprat fit digits --max-size 20KB --out runs/demo

sprat fit photos/ --max-size 500KB --minutes 20

sprat fit train.csv --max-size 100KB --max-macs 10M --max-latency 5ms --image 64

sprat fit cifar10-train.parquet --max-size 100KB --model "mobilenet*" --dry-run

sprat fit photos/ --max-size 300KB --from mobilenet.safetensors"""

_CHOICES, _TRAINING, _OUTPUT = "Network", "Training", "Output"


def command(
    data: Annotated[
        str,
        typer.Argument(
            help="digits; a folder with one sub-folder a class; a CSV of path,label; parquet; CIFAR; MNIST.",
            show_default=False,
        ),
    ],
    max_size: MaxSize = None,
    max_macs: MaxMacs = None,
    max_params: MaxParams = None,
    max_memory: MaxMemory = None,
    max_latency: MaxLatency = None,
    image: Annotated[
        int | None,
        typer.Option(help="Side of the square input in pixels; chosen if not given.", rich_help_panel=_CHOICES),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Preset, family or pattern to choose among; may be repeated.", rich_help_panel=_CHOICES),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Trained weights to start from: a file of `sprat import`, train or fit.",
            rich_help_panel=_CHOICES,
            show_default=False,
        ),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Finish within so many minutes.", rich_help_panel=_TRAINING)
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training images, instead of minutes.", rich_help_panel=_TRAINING)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.", rich_help_panel=_TRAINING)] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Run folder; the same command continues it.  [default: runs/NAME]",
            rich_help_panel=_OUTPUT,
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and stop.", rich_help_panel=_OUTPUT)
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel=_OUTPUT)] = False,
) -> int:
    """Find, train, compress, export and measure the best small network for DATA within a budget.

    The run folder then holds model.sprat, model.onnx (with the preprocessing inside), report.html and result.json. The
    same command on the same folder continues a run that was stopped.
    """
    from sprat.budget import Budget
    from sprat.cli.show import Screen, print_json
    from sprat.request import Request
    from sprat.units import format_bytes

    request = Request(
        data=data,
        budget=Budget.parse(size=max_size, macs=max_macs, params=max_params, memory=max_memory, latency=max_latency),
        image=image,
        minutes=minutes,
        epochs=epochs,
        models=tuple(model or ()),
        start="" if start is None else str(start),
        seed=seed,
    )
    if dry_run:
        return _dry_run(request, as_json=json)
    folder = out or Path("runs") / Path(data.rstrip("/").split(",")[0]).stem
    with Screen() as screen:
        from sprat.job import run_job
        from sprat.run import Run

        result = run_job(request, Run(folder), screen, shlex.join(["sprat", *sys.argv[1:]]))
    if json:
        print_json(result)
    else:
        print(
            f"{folder / 'model.sprat'}  {format_bytes(result['size_bytes'])}  "
            f"test top-1 {result['test_accuracy']:.4f}  {result['latency_ms']:.3g} ms"
        )
        print(f"report: {folder / 'report.html'}")
    return 0 if result["fits"] else 3


def _dry_run(request: "object", *, as_json: bool) -> int:
    from sprat.cli.show import Screen, print_json, print_rows
    from sprat.job import dry_run
    from sprat.request import Request
    from sprat.units import format_count

    assert isinstance(request, Request)
    with Screen() as screen:
        planned = dry_run(request, screen)
    if as_json:
        print_json(planned.to_dict())
        return 0
    rows = [
        [
            "->" if candidate == planned.candidate else "",
            candidate.name,
            str(candidate.image),
            format_count(candidate.params),
            format_count(candidate.macs),
            f"{candidate.peak_bytes:,}",
            f"{candidate.expected_bytes:,}",
            f"{candidate.score:.3f}",
            "yes" if candidate.fits else "; ".join(candidate.excess) or "no",
        ]
        for candidate in planned.candidates[:25]
    ]
    print_rows(["", "model", "image", "params", "macs", "memory", "expected bytes", "score", "fits"], rows)
    if len(planned.candidates) > len(rows):
        print(f"... and {len(planned.candidates) - len(rows)} more (--json lists all)")
    recipe = planned.schedule.recipes["train"]
    print(
        f"training: {recipe.epochs:g} epochs, batch {recipe.batch_size}, {recipe.optimizer} lr {recipe.lr:g}"
        + ("" if planned.schedule.seconds is None else f", ended after {planned.schedule.seconds['train']:.0f} s")
    )
    return 0
