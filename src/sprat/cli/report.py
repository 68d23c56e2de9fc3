"""`sprat report`: write a run's page again."""

from pathlib import Path
from typing import Annotated

import typer

NAME = "report"
EXAMPLES = """[bold]Examples[/bold]

sprat report runs/demo

sprat report runs/demo --json"""


def command(
    run: Annotated[Path, typer.Argument(help="A run folder made by `sprat fit`.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print the page's figures as JSON.")] = False,
) -> int:
    """Write RUN/report.html from the files of the run, and print where it is."""
    from sprat import report
    from sprat.cli.show import print_json

    path = report.write(run)
    if json:
        print_json(report.facts(run))
    else:
        print(path)
    return 0
