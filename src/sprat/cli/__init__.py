"""The command line: one command, one file; each parses, calls one library function, and prints.

Results go to stdout, progress to stderr. Exit codes: 0 done, 1 the job could not be done, 2 wrong usage, 3 nothing fits
the budget. The library is imported inside the commands, so that `--help` is instant.
"""

import sys
from typing import Annotated

import typer

from sprat import __version__
from sprat.cli import (
    bench,
    compress,
    cost,
    doctor,
    evaluate,
    export,
    fit,
    import_,
    inspect,
    ledger,
    pick,
    predict,
    report,
    train,
    zoo,
)
from sprat.errors import SpratError

STOPPED = 130  # exit code after Ctrl-C, as shells have it

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


COMMANDS = (
    fit,
    pick,
    zoo,
    import_,
    train,
    compress,
    export,
    evaluate,
    predict,
    inspect,
    bench,
    cost,
    ledger,
    report,
    doctor,
)
for module in COMMANDS:
    app.command(name=module.NAME, epilog=module.EXAMPLES)(module.command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors meant for users become one line on stderr and an exit code."""
    try:
        code = app(arguments, standalone_mode=False)
    except SpratError as error:
        code = _say(str(error), error.exit_code)
    except BrokenPipeError:  # of `sprat ... | head`
        code = 0
    except OSError as error:
        code = _say(f"{error.filename or 'a file'}: {error.strerror or error}; check its name, rights and room", 1)
    except (typer.Abort, KeyboardInterrupt):
        code = STOPPED
    except typer.TyperException as error:  # wrong usage; typer has its own, click's classes are not among its bases
        context = getattr(error, "ctx", None)
        command = "sprat" if context is None else context.command_path
        text = " ".join(error.format_message().split()).rstrip(".")
        # Without text it has shown the help.
        code = _say(f"{text}; see {command} --help", error.exit_code) if text else error.exit_code
    if code == STOPPED:
        _say("stopped; the same command goes on from here", STOPPED)
    sys.exit(code if isinstance(code, int) else 0)


def _say(text: str, code: int) -> int:
    typer.echo(f"sprat: {text}", err=True)
    return code
