"""`sprat zoo`: the networks there are."""

from typing import Annotated

import typer

NAME = "zoo"
EXAMPLES = """[bold]Examples[/bold]

sprat zoo

sprat zoo "*shuffle*"

sprat zoo densenet --json"""


def command(
    pattern: Annotated[str, typer.Argument(help="Shell pattern of model names or families.")] = "*",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """List the models: parameters and multiply-adds as counted at the published input, published top-1, paper.

    Finer widths than those listed are candidates of `sprat pick` too, and can be named wherever a model can.
    """
    from dataclasses import asdict

    from sprat.cli.show import Screen, print_json, print_rows
    from sprat.search.listing import listing
    from sprat.units import format_count

    with Screen() as screen:
        models = listing(pattern, screen)
    if json:
        print_json([{**asdict(model), "image": list(model.image.shape)} for model in models])
        return 0
    print_rows(
        ["model", "image", "classes", "params", "macs", "top-1 %", "paper"],
        [
            [
                model.name,
                str(model.image),
                f"{model.num_classes:,}",
                format_count(model.params),
                format_count(model.macs),
                "" if model.top1 is None else f"{100 * model.top1:.1f}",
                model.paper,
            ]
            for model in models
        ],
    )
    print(f"{len(models)} models; top-1 is the paper's, on ImageNet")
    return 0
