"""`sprat compress`: a trained network as a small .sprat file."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

NAME = "compress"
EXAMPLES = """[bold]Examples[/bold]

sprat compress mobilenet.safetensors

sprat compress resnet.safetensors --max-size 100KB --finetune cifar10-train.parquet --minutes 20"""


def command(
    file: Annotated[Path, typer.Argument(help="A .safetensors or .sprat file.", show_default=False)],
    max_size: Annotated[
        str | None, typer.Option(help="Bytes of the result: 500KB. Without it no weight changes.", show_default=False)
    ] = None,
    finetune: Annotated[
        str | None,
        typer.Option(help="Labelled images of the same classes to fine-tune on.", metavar="DATA", show_default=False),
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Finish within so many minutes.")] = None,
    epochs: Annotated[
        int | None, typer.Option(help="As for a training of so many epochs, of which a third is fine-tuning.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="File, or with --max-size run folder.  [default: FILE.sprat, runs/FILE]", show_default=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Write FILE as .sprat: with the very same weights, or pruned, shared and fine-tuned into --max-size."""
    from sprat.budget import Budget
    from sprat.cli.show import Screen, print_json
    from sprat.errors import BadInput
    from sprat.request import Request

    if (max_size is None) != (finetune is None):
        raise BadInput("--max-size and --finetune belong together: a smaller file needs images to fine-tune on")
    if max_size is None:
        from sprat.compress_job import compress_lossless

        result = compress_lossless(file, out or file.with_suffix(".sprat"))
        if json:
            print_json(result)
        else:
            print(
                f"{result['file']}  {result['size_bytes']:,} bytes (of {result['original_bytes']:,}), the same weights"
            )
        return 0
    assert finetune is not None
    request = Request(
        data=finetune, budget=Budget.parse(size=max_size), minutes=minutes, epochs=epochs, start=str(file), seed=seed
    )
    folder = out or Path("runs") / f"{file.stem}-compressed"
    with Screen() as screen:
        from sprat.compress_job import compress_job
        from sprat.run import Run

        result = compress_job(request, Run(folder), screen, shlex.join(["sprat", *sys.argv[1:]]))
    if json:
        print_json(result)
    else:
        print(
            f"{folder / 'model.sprat'}  {result['size_bytes']:,} bytes  test top-1 {result['test_accuracy']:.4f} "
            f"(before {result['float_accuracy']:.4f})"
        )
    return 0 if result["fits"] else 3
