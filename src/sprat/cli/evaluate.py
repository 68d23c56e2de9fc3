"""`sprat eval`: the accuracy of a file on data."""

from pathlib import Path
from typing import Annotated

import typer

NAME = "eval"
EXAMPLES = """[bold]Examples[/bold]

sprat eval runs/demo/model.sprat digits

sprat eval model.onnx photos/ --split all --json"""


def command(
    file: Annotated[Path, typer.Argument(help="A .sprat, .safetensors or .onnx file.", show_default=False)],
    data: Annotated[str, typer.Argument(help="Labelled images, as for `sprat fit`.", show_default=False)],
    split: Annotated[str, typer.Option(help="train, val, test, or all.")] = "test",
    seed: Annotated[int, typer.Option(help="Of the split, where the data has none: the one `fit` had.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Print the accuracy of FILE on DATA, in total and by class."""
    from sprat.cli.show import Screen, print_json, print_rows
    from sprat.predict import score

    with Screen() as screen:
        result = score(file, data, split=split, seed=seed, watch=screen)
    if json:
        print_json(result)
        return 0
    print(
        f"top-1 {result['accuracy']:.4f} +- {result['standard_error']:.4f}, top-5 {result['top5']:.4f}  "
        f"({result['num']:,} images of split {split})"
    )
    rows = [
        [entry["class"], f"{entry['num']:,}", f"{entry['accuracy']:.4f}"] for entry in result["classes"] if entry["num"]
    ]
    print_rows(["class", "images", "accuracy"], rows)
    return 0
