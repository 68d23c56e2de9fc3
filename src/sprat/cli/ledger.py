"""`sprat ledger`: every printed figure of the papers, and what we count for it."""

from typing import Annotated

import typer

NAME = "ledger"
EXAMPLES = """[bold]Examples[/bold]

sprat ledger

sprat ledger --paper mobilenet

sprat ledger --only differs

sprat ledger --json"""


def command(
    paper: Annotated[
        str | None, typer.Option(help="Only this paper, such as mobilenet.  [default: all]", show_default=False)
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(help="Only cells of this status, such as differs or surprise.", show_default=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Compare the papers' tables with what the networks here count, cell by cell, at the printed precision.

    A cell that is known to differ says why, and must go on differing; anything unexpected is a surprise and gives exit
    code 1. Accuracies that would need training show the paper's figure and why it was not attempted.
    """
    from dataclasses import asdict

    from sprat.cli.show import Screen, print_json, print_rows
    from sprat.errors import UnknownName
    from sprat.ledger import STATUSES, Verdict, by_status, judge_paper, paper_names, read_paper, surprises

    if only is not None and only not in STATUSES:
        raise UnknownName(f"no cell of the ledger has the status {only!r}; there are {', '.join(STATUSES)}")
    names = paper_names() if paper is None else [paper]
    papers = [read_paper(name) for name in names]
    judged: dict[str, list[Verdict]] = {}
    with Screen() as screen:
        for number, source in enumerate(papers):
            screen.progress("count", number / len(papers), source.name)
            judged[source.name] = judge_paper(source)
    everything = [verdict for verdicts in judged.values() for verdict in verdicts]
    shown = [verdict for verdict in everything if only in (None, verdict.status)]
    num_surprises = surprises(everything)
    if json:
        print_json({"rows": [asdict(verdict) for verdict in shown], "surprises": num_surprises})
        return 1 if num_surprises else 0
    if shown:
        print_rows(
            ["paper", "where", "column", "printed", "counted", "status", "reason"],
            [
                [
                    verdict.paper,
                    verdict.where,
                    verdict.id.rpartition(".")[2],
                    verdict.printed,
                    verdict.counted,
                    verdict.status,
                    verdict.reason,
                ]
                for verdict in shown
            ],
        )
        print()
    lines = {**judged, "total": everything} if len(judged) > 1 else judged
    present = [status for status in STATUSES if status in by_status(everything) or status == "surprise"]
    print_rows(
        ["paper", "cells", *present],
        [
            [name, str(len(verdicts)), *(str(by_status(verdicts).get(status, 0)) for status in present)]
            for name, verdicts in lines.items()
        ],
    )
    return 1 if num_surprises else 0
