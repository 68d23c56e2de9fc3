"""What a person sees: finished lines and a progress bar on stderr, tables and JSON on stdout."""

import json
import sys
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Screen:
    """A watcher that prints a line for each finished thing and, on a terminal, a bar for what is under way."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._progress = Progress(
            TextColumn("{task.fields[stage]:<9}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %  {task.description}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID | None = None
        self._stage = ""

    def __enter__(self) -> "Screen":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, stage: str, text: str) -> None:
        """Print a finished line: the stage in its column, then the text."""
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task, self._stage = None, ""
        self._progress.console.print(f"{stage:<9} {text}", markup=False)

    def progress(self, stage: str, fraction: float, text: str) -> None:
        """Move the bar."""
        if self._task is None or stage != self._stage:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._task, self._stage = self._progress.add_task(text, total=1.0, stage=stage), stage
        self._progress.update(self._task, completed=fraction, description=text)


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    json.dump(value, sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")


def print_rows(header: list[str], rows: list[list[str]]) -> None:
    """A table on stdout in aligned columns: words to the left, numbers to the right."""
    numeric = [
        all(
            row[index].replace(",", "").replace(".", "").replace("-", "").strip("%x ").isdigit()
            for row in rows
            if row[index]
        )
        for index in range(len(header))
    ]
    widths = [max(len(line[index]) for line in [header, *rows]) for index in range(len(header))]
    for line in [header, *rows]:
        cells = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ]
        print("  ".join(cells).rstrip())
