"""`sprat pick`: which networks fit a budget, before any training."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sprat.cli.limits import MaxExpectedSize, MaxMacs, MaxMemory, MaxParams, MaxPredictedLatency

if TYPE_CHECKING:
    from sprat.search.shortlist import Shortlist

NAME = "pick"
EXAMPLES = """[bold]Examples[/bold]

sprat pick --max-size 500KB

sprat pick --max-macs 50M --max-latency 5ms --image 3x96x96 --classes 10

sprat pick --max-size 2MB --model "mobilenet*" --model shufflenet_v1 --top 40

sprat pick --max-macs 600M --plot pick.png"""

_YARDSTICKS = 6


def command(
    max_size: MaxExpectedSize = None,
    max_macs: MaxMacs = None,
    max_params: MaxParams = None,
    max_memory: MaxMemory = None,
    max_latency: MaxPredictedLatency = None,
    image: Annotated[
        list[str] | None,
        typer.Option(help="Input, as 3x96x96 or 96; may be repeated.  [default: 96 to 320]", show_default=False),
    ] = None,
    classes: Annotated[int, typer.Option(min=1, help="Number of classes.")] = 1000,
    model: Annotated[
        list[str] | None, typer.Option(help="Model, family or pattern to choose among; may be repeated.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Lines of the front to show.")] = 20,
    plot: Annotated[
        Path | None, typer.Option(help="Draw accuracy against macs, params and latency: .png, .svg or .pdf.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON: every candidate that fits.")] = False,
) -> int:
    """Show the networks that fit a budget and that nothing beats, over all families, widths and resolutions.

    Costs are counted. The accuracy is that expected on ImageNet, from a model of published results: it ranks, it is no
    measurement. The first call counts thousands of networks (under a minute); what was counted is kept on disk.
    """
    from sprat.budget import Budget
    from sprat.cli.show import Screen, print_json
    from sprat.image import ImageSpec, parse_image
    from sprat.latency.model import LatencyModel
    from sprat.search.shortlist import RESOLUTIONS, shortlist

    budget = Budget.parse(size=max_size, macs=max_macs, params=max_params, memory=max_memory, latency=max_latency)
    images = [parse_image(text) for text in image or ()] or [ImageSpec(3, side, side) for side in RESOLUTIONS]
    with Screen() as screen:
        found = shortlist(images, classes, budget, models=model or None, latency=LatencyModel.load(), watch=screen)
    if plot is not None:
        from sprat.report.front import draw_front

        draw_front(found.to_dict(), plot)
    if json:
        print_json(found.to_dict())
    else:
        _show(found, top)
    return 0


def _show(found: "Shortlist", top: int) -> None:
    from math import log

    from sprat.cli.show import print_rows
    from sprat.units import format_count

    values = found.to_dict()
    print(
        f"{values['num_fits']:,} of {values['num_candidates']:,} candidates fit {found.budget}; nothing beats these "
        f"{len(found.front):,}" + (f", of which the best {top}:" if len(found.front) > top else ":")
    )
    rows = [
        [
            choice.candidate.name,
            str(choice.candidate.image),
            f"{100 * choice.top1:.1f}",
            format_count(choice.candidate.params),
            format_count(choice.candidate.macs),
            f"{choice.candidate.expected_bytes:,}",
            f"{choice.candidate.peak_bytes:,}",
            "" if choice.candidate.latency_ms is None else f"{choice.candidate.latency_ms:.3g}",
        ]
        for choice in found.front[:top]
    ]
    print_rows(["model", "image", "expected top-1 %", "params", "macs", "bytes", "memory", "ms"], rows)
    print()
    print(values["note"])
    print()
    best = found.front[0].candidate
    near = sorted(values["yardsticks"], key=lambda yardstick: abs(log(yardstick["macs"] / best.macs)))[:_YARDSTICKS]
    print(f"Later networks near {best.name} in macs, as published; they are not built here:")
    print_rows(
        ["network", "image", "top-1 %", "params", "macs", "source"],
        [
            [
                yardstick["name"],
                "x".join(map(str, yardstick["image"])),
                f"{100 * yardstick['top1']:.1f}",
                format_count(yardstick["params"]),
                format_count(yardstick["macs"]),
                yardstick["source"],
            ]
            for yardstick in sorted(near, key=lambda yardstick: yardstick["macs"])
        ],
    )
