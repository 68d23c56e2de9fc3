"""`sprat predict`: what a file says of images."""

from pathlib import Path
from typing import Annotated

import typer

NAME = "predict"
EXAMPLES = """[bold]Examples[/bold]

sprat predict runs/demo/model.sprat photo.jpg

sprat predict model.onnx photos/*.jpg --top 3 --json"""


def command(
    file: Annotated[Path, typer.Argument(help="A .sprat, .safetensors or .onnx file.", show_default=False)],
    images: Annotated[list[Path], typer.Argument(help="Image files.", show_default=False)],
    top: Annotated[int, typer.Option(help="How many classes to show.", min=1)] = 5,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Print the most probable classes of each image, most probable first."""
    from sprat.cli.show import print_json, print_rows
    from sprat.export import load
    from sprat.predict import predict

    answers, unread = predict(load(file), images, top)
    if json:
        print_json({"file": str(file), "images": answers, "skipped": unread})
    else:
        for answer in answers:
            print(answer["image"])
            print_rows(
                ["", "class", "probability"], [["", top["class"], f"{top['probability']:.4f}"] for top in answer["top"]]
            )
    for entry in unread:
        typer.echo(f"sprat: {entry['image']} skipped: {entry['reason']}", err=True)
    return 1 if unread and not answers else 0
