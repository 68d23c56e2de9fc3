"""`sprat cost`: what a network costs, before any training."""

from typing import Annotated

import typer

NAME = "cost"
EXAMPLES = """[bold]Examples[/bold]

sprat cost mobilenet_v1_0.25

sprat cost shufflenet_v1_1.0_g3 --image 3x160x160 --classes 10 --layers

sprat cost path/to/file.py:MyNetwork --image 1x28x28 --json

sprat cost runs/demo/model.sprat"""


def command(
    model: Annotated[
        str,
        typer.Argument(
            help="A model of `sprat zoo`; a .sprat, .safetensors or architecture.json file; path/file.py:ClassName.",
            show_default=False,
        ),
    ],
    image: Annotated[
        str | None, typer.Option(help="Input, as 3x224x224 or 224.  [default: as published]", show_default=False)
    ] = None,
    classes: Annotated[
        int | None, typer.Option(min=1, help="Number of classes.  [default: as published]", show_default=False)
    ] = None,
    layers: Annotated[bool, typer.Option("--layers", help="Also one line a layer.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Count what MODEL costs on one image: parameters, multiply-adds, activations, memory, by type of layer.

    Multiply-adds (macs) are those of convolutions and matrix products, one multiply and one add together being one;
    element-wise work is counted apart. Nothing is trained or allocated. An operator that cannot be counted is an error.
    """
    from dataclasses import asdict

    from sprat.cli.show import print_json, print_rows
    from sprat.cost import count
    from sprat.image import parse_image
    from sprat.subject import subject

    about = subject(model, None if image is None else parse_image(image), classes)
    cost = count(about.net, about.image)
    shares = cost.shares()
    if json:
        print_json(
            {
                "model": about.name,
                "image": list(about.image.shape),
                "classes": about.num_classes,
                "weight_bytes": cost.weight_bytes(),
                "shares": {kind: {"macs": macs, "params": params} for kind, (macs, params) in shares.items()},
                **asdict(cost),
            }
        )
        return 0
    print(f"{about.name} at {about.image}" + (f", {about.num_classes:,} classes" if about.num_classes else ""))
    weights = ", ".join(f"{size:,} in {name}" for name, size in cost.weight_bytes().items())
    for name, text in (
        ("params", f"{cost.params:>15,}"),
        ("macs", f"{cost.macs:>15,}"),
        ("element-wise", f"{cost.elementwise:>15,}   elements, not in the macs"),
        ("activations", f"{cost.activations:>15,}   elements written by convolutions and products"),
        ("peak memory", f"{cost.peak_bytes:>15,}   bytes of float32 activations alive at once"),
    ):
        print(f"  {name:<13}{text}")
    print(f"  {'weights':<13}{weights} (bytes)")
    print()
    print_rows(
        ["type of layer", "macs %", "params %", "macs", "params"],
        [
            [
                kind,
                f"{100 * macs / max(1, cost.macs):.2f}",
                f"{100 * params / max(1, cost.params):.2f}",
                f"{macs:,}",
                f"{params:,}",
            ]
            for kind, (macs, params) in shares.items()
        ],
    )
    if layers:
        print()
        print_rows(
            ["layer", "kind", "in", "out", "params", "macs"],
            [
                [
                    layer.name,
                    layer.kind,
                    "x".join(map(str, layer.in_shape)),
                    "x".join(map(str, layer.out_shape)),
                    f"{layer.params:,}",
                    f"{layer.macs:,}",
                ]
                for layer in cost.layers
            ],
        )
    return 0
