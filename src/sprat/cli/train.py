"""`sprat train`: a network trained and kept as floats, from scratch or from trained weights."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

NAME = "train"
EXAMPLES = """[bold]Examples[/bold]

sprat train digits --model mobilenet_v1_0.25 --epochs 20

sprat train photos/ --from mobilenet.safetensors --minutes 10 --out runs/photos

sprat train cifar10-train.parquet --model resnet_cifar_20 --image 32 --json"""


def command(
    data: Annotated[str, typer.Argument(help="Labelled images, as for `sprat fit`.", show_default=False)],
    model: Annotated[
        str | None, typer.Option(help="Preset to train from scratch; `sprat zoo` lists them.", show_default=False)
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from", help="Trained weights to start from: a file of `sprat import`, train or fit.", show_default=False
        ),
    ] = None,
    image: Annotated[int | None, typer.Option(help="Side of the square input in pixels; chosen if not given.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Finish within so many minutes.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images, instead of minutes.")] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Run folder; the same command continues it.  [default: runs/NAME-train]", show_default=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    """Train a network on DATA and write model.safetensors, scored on the test split.

    With --from, the head is replaced and a short trial decides how much of the rest is trained on, and how fast.
    """
    from sprat.cli.show import Screen, print_json
    from sprat.errors import BadInput
    from sprat.request import Request

    if model is None and start is None:
        raise BadInput(
            "nothing to train was named; give --model NAME for a new network or --from FILE for trained weights"
        )
    request = Request(
        data=data,
        image=image,
        minutes=minutes,
        epochs=epochs,
        models=() if model is None else (model,),
        start="" if start is None else str(start),
        seed=seed,
    )
    folder = out or Path("runs") / f"{Path(data.rstrip('/').split(',')[0]).stem}-train"
    with Screen() as screen:
        from sprat.run import Run
        from sprat.train_job import train_job

        result = train_job(request, Run(folder), screen, shlex.join(["sprat", *sys.argv[1:]]))
    if json:
        print_json(result)
    else:
        print(
            f"{folder / result['file']}  {result['model']}  test top-1 {result['test_accuracy']:.4f} +- "
            f"{result['standard_error']:.4f} ({result['num_test']:,} images)"
        )
    return 0
