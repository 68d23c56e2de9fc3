"""`sprat doctor`: what is here."""

from typing import Annotated

import typer

NAME = "doctor"
EXAMPLES = """[bold]Examples[/bold]

sprat doctor

sprat doctor --json"""


def command(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> int:
    """Print versions, devices, threads and which extras are installed."""
    from sprat.cli.show import print_json
    from sprat.doctor import examine

    found = examine()
    if json:
        print_json(found)
        return 0
    for title, values in found.items():
        if isinstance(values, dict):
            print(title)
            for name, value in values.items():
                print(f"  {name:<16} {value}")
        else:
            print(f"{title:<18} {values}")
    return 0
