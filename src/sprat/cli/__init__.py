"""The command line: one command, one file; each parses, calls one library function, and prints.

Results go to stdout, progress to stderr. Exit codes: 0 done, 1 the job could not be done, 2 wrong usage, 3 nothing fits
the budget. The library is imported inside the commands, so that `--help` is instant.
"""

import sys
from typing import Annotated

import click
import typer

from sprat import __version__
from sprat.cli import doctor, evaluate, fit, inspect, predict, report
from sprat.errors import SpratError

app = typer.Typer(
    name="sprat",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Small convolutional networks: the best one that fits your budget, from images to a measured file.",
    epilog="Start with:  sprat fit digits --max-size 20KB --out runs/demo",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"sprat {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


for module in (fit, predict, evaluate, inspect, report, doctor):
    app.command(name=module.NAME, epilog=module.EXAMPLES)(module.command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors meant for users become one line on stderr and an exit code."""
    try:
        code = app(arguments, standalone_mode=False)
    except SpratError as error:
        typer.echo(f"sprat: {error}", err=True)
        sys.exit(error.exit_code)
    except click.exceptions.Abort:
        typer.echo("sprat: stopped; the same command goes on from here", err=True)
        sys.exit(130)
    except KeyboardInterrupt:
        typer.echo("sprat: stopped; the same command goes on from here", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    sys.exit(code if isinstance(code, int) else 0)
