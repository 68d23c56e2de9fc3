"""`sprat inspect`: what is in a .sprat or .safetensors file."""

from pathlib import Path
from typing import Annotated

import typer

NAME = "inspect"
EXAMPLES = """[bold]Examples[/bold]

sprat inspect runs/demo/model.sprat

sprat inspect mobilenet.safetensors --json"""


def command(
    file: Annotated[Path, typer.Argument(help="A .sprat or .safetensors file.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Print the header of FILE, its layers with their cost, and the bytes each tensor takes."""
    from dataclasses import asdict

    from sprat.cli.show import print_json, print_rows
    from sprat.export import describe, read_manifest
    from sprat.predict import cost_of

    manifest, tensors = read_manifest(file), describe(file)
    layers = [asdict(layer) for layer in cost_of(manifest).layers]
    size_bytes = file.stat().st_size
    container = size_bytes - sum(tensor["bytes"] for tensor in tensors)
    if json:
        print_json(
            {
                "size_bytes": size_bytes,
                "container_bytes": container,
                "manifest": asdict(manifest),
                "layers": layers,
                "tensors": tensors,
            }
        )
        return 0
    numbers = sum(tensor["params"] for tensor in tensors)
    print(f"{file}  {size_bytes:,} bytes, {numbers:,} numbers, {8 * size_bytes / max(1, numbers):.2f} bits each")
    for name, value in asdict(manifest).items():
        print(f"  {name:<15} {value}")
    print_rows(
        ["layer", "kind", "in", "out", "params", "macs"],
        [
            [
                layer["name"],
                layer["kind"],
                "x".join(map(str, layer["in_shape"])),
                "x".join(map(str, layer["out_shape"])),
                f"{layer['params']:,}",
                f"{layer['macs']:,}",
            ]
            for layer in layers
        ],
    )
    print()
    rows = [
        [
            tensor["name"],
            "x".join(map(str, tensor["shape"])) or "scalar",
            str(tensor["code"]),
            f"{tensor['params']:,}",
            f"{100 * tensor['nonzero'] / max(1, tensor['params']):.0f} %",
            str(tensor["levels"]),
            f"{tensor['bytes']:,}",
            f"{8 * tensor['bytes'] / max(1, tensor['params']):.2f}",
        ]
        for tensor in tensors
    ]
    print_rows(["tensor", "shape", "code", "numbers", "nonzero", "values", "bytes", "bits each"], rows)
    print(f"header and tables: {container:,} bytes")
    return 0
