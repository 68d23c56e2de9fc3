"""`sprat export`: a network in another file format."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

NAME = "export"
EXAMPLES = """[bold]Examples[/bold]

sprat export mobilenet.safetensors --to onnx

sprat export runs/demo/model.sprat --to safetensors --out demo.safetensors"""


class Format(StrEnum):
    """What a network can be written as."""

    onnx = "onnx"
    sprat = "sprat"
    safetensors = "safetensors"


def command(
    file: Annotated[Path, typer.Argument(help="A .safetensors or .sprat file.", show_default=False)],
    to: Annotated[Format, typer.Option(help="Format.")] = Format.onnx,
    out: Annotated[
        Path | None, typer.Option(help="File to write.  [default: FILE with the format's ending]", show_default=False)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Write FILE as ONNX (preprocessing and class names inside), .sprat or .safetensors; the weights stay the same."""
    from sprat.cli.show import print_json
    from sprat.export.convert import convert

    target = out or file.with_suffix(f".{to.value}")
    size_bytes = convert(file, to.value, target)
    if json:
        print_json({"file": str(target), "size_bytes": size_bytes, "from": str(file)})
    else:
        print(f"{target}  {size_bytes:,} bytes")
    return 0
