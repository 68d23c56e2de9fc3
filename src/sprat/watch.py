"""Watcher: who is told how a job goes. The library says; the command line shows; tests listen."""

from typing import Protocol


class Watcher(Protocol):
    """Something that shows progress."""

    def say(self, stage: str, text: str) -> None:
        """One finished line about a stage ("plan", "train")."""

    def progress(self, stage: str, fraction: float, text: str) -> None:
        """Where a stage is: a fraction of 1, and what to show beside the bar."""


class Silent:
    """A watcher that shows nothing."""

    def say(self, stage: str, text: str) -> None:
        """Nothing."""

    def progress(self, stage: str, fraction: float, text: str) -> None:
        """Nothing."""
