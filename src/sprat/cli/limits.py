"""The options of a budget, the same for every command that takes one; `Budget.parse` reads their values."""

from typing import Annotated, TypeAlias

import typer

PANEL = "Budget"  # their frame in --help

MaxSize: TypeAlias = Annotated[
    str | None, typer.Option(help="Bytes of the shipped file: 500KB, 64KiB.", rich_help_panel=PANEL)
]
MaxMacs: TypeAlias = Annotated[
    str | None, typer.Option(help="Multiply-adds for one image: 40M.", rich_help_panel=PANEL)
]
MaxParams: TypeAlias = Annotated[str | None, typer.Option(help="Parameters: 200k.", rich_help_panel=PANEL)]
MaxMemory: TypeAlias = Annotated[
    str | None, typer.Option(help="Peak activation memory, float32: 256KB.", rich_help_panel=PANEL)
]
MaxLatency: TypeAlias = Annotated[
    str | None, typer.Option(help="Median time for one image on one CPU thread: 5ms.", rich_help_panel=PANEL)
]

# Where nothing is trained or timed, the limit is on what is expected.
MaxExpectedSize: TypeAlias = Annotated[
    str | None, typer.Option(help="Bytes of the compressed file: 500KB, 64KiB.", rich_help_panel=PANEL)
]
MaxPredictedLatency: TypeAlias = Annotated[
    str | None, typer.Option(help="Predicted time for one image on one CPU thread: 5ms.", rich_help_panel=PANEL)
]
