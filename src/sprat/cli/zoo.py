"""`sprat zoo`: the networks there are."""

from typing import Annotated

import typer

NAME = "zoo"
EXAMPLES = """[bold]Examples[/bold]

sprat zoo

sprat zoo "*shuffle*"

sprat zoo densenet --json

sprat zoo "*squeezenet*" --weights"""


def command(
    pattern: Annotated[str, typer.Argument(help="Shell pattern of model names or families.")] = "*",
    weights: Annotated[
        bool, typer.Option("--weights", help="List trained weights that `sprat import NAME` downloads.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """List the models: parameters and multiply-adds as counted at the published input, published top-1, paper.

    Finer widths than those listed are candidates of `sprat pick` too, and can be named wherever a model can.
    """
    if weights:
        return _weights(pattern, as_json=json)
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


def _weights(pattern: str, *, as_json: bool) -> int:
    """The published weights whose name, model or source matches."""
    from dataclasses import asdict
    from fnmatch import fnmatchcase

    from sprat.cli.show import print_json, print_rows
    from sprat.weights.fetch.published import published

    found = [
        entry
        for entry in published().values()
        if any(fnmatchcase(name, pattern) for name in (entry.name, entry.model, entry.source))
    ]
    if as_json:
        print_json([asdict(entry) for entry in found])
        return 0
    print_rows(
        ["name", "model", "bytes", "top-1 %", "checksum", "licence"],
        [
            [
                entry.name,
                entry.model,
                "" if entry.size_bytes is None else f"{entry.size_bytes:,}",
                "" if entry.top1 is None else f"{100 * entry.top1:.1f}",
                entry.checksums[0][0] if entry.checksums else "none published",
                entry.licence,
            ]
            for entry in found
        ],
    )
    print(f"{len(found)} files, each at its official address (--json shows it); `sprat import NAME` downloads one")
    return 0
