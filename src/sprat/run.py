"""Run: a folder, the only state. Every step can restart from it; no half-written file bears its final name."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sprat.atomic import write_atomic
from sprat.errors import BadInput, RunConflict


@dataclass(frozen=True)
class Run:
    """A run folder: spec.json first, result.json last, the steps' files between."""

    path: Path

    def write_bytes(self, name: str, content: bytes) -> Path:
        """Write a file of the folder in one step and return its path."""
        write_atomic(self.path / name, content)
        return self.path / name

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file of the folder in one step."""
        self.write_bytes(name, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())

    def read_json(self, name: str) -> Any:
        """The value of a JSON file of the folder, or None where it does not exist.

        Raises:
            BadInput: the file is not JSON.
        """
        try:
            return json.loads((self.path / name).read_text("utf-8"))
        except FileNotFoundError:
            return None
        except json.JSONDecodeError as error:
            raise BadInput(f"{self.path / name} is not valid JSON ({error}); the run folder has been changed") from None

    def has(self, name: str) -> bool:
        """Whether the folder holds that file."""
        return (self.path / name).exists()

    def remove(self, name: str) -> None:
        """Delete a file of the folder, if it is there."""
        (self.path / name).unlink(missing_ok=True)

    def write_lines(self, name: str, values: list[dict[str, Any]]) -> None:
        """Write a .jsonl file of the folder in one step: one JSON object a line."""
        self.write_bytes(name, "".join(json.dumps(value) + "\n" for value in values).encode())

    def read_lines(self, name: str) -> list[dict[str, Any]]:
        """The objects of a .jsonl file of the folder; empty where it does not exist."""
        path = self.path / name
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    def claim(self, request: dict[str, Any], conditions: dict[str, Any]) -> None:
        """Make this folder the one of `request`: write spec.json, or check that it already holds the same request.

        A folder whose request came to no plan may be taken by another.

        Args:
            request: what was asked; must be the same on every call.
            conditions: under which circumstances (command, versions, device); recorded at the first call.

        Raises:
            RunConflict: the folder holds a different request, or files of something else.
        """
        spec = self.read_json("spec.json")
        if spec is None:
            strangers = (
                [p.name for p in self.path.iterdir() if not p.name.startswith(".")] if self.path.exists() else []
            )
            if strangers:
                raise RunConflict(
                    f"{self.path} is not empty ({', '.join(sorted(strangers)[:5])}) and holds no run; "
                    "give --out a new or empty folder"
                )
            self.write_json("spec.json", {"request": request, **conditions})
            return
        held, wanted = spec["request"], json.loads(json.dumps(request))
        differences = [
            f"{key}: {held.get(key)!r} there, {wanted.get(key)!r} asked"
            for key in sorted(held.keys() | wanted.keys())
            if held.get(key) != wanted.get(key)
        ]
        if differences and not self.has("plan.json"):  # nothing was decided yet: the budget could not be met, say
            self.remove("data.json")
            self.remove("splits.csv")
            self.write_json("spec.json", {"request": request, **conditions})
        elif differences:
            raise RunConflict(
                f"{self.path} holds a different request ({'; '.join(differences)}); "
                "give the same options to continue it, or another --out"
            )

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for one process at a time; the lock goes with the process, also when it is killed.

        Raises:
            RunConflict: another process is working on this folder.
            BadInput: it cannot be made or written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            stream = (self.path / ".lock").open("w")
        except OSError as error:
            raise BadInput(f"{self.path} cannot be a run folder ({error.strerror}); give another --out") from None
        with stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunConflict(
                    f"{self.path} is in use by another process; wait for it or give another --out"
                ) from None
            yield

    def sweep(self) -> None:
        """Delete what a killed process left half-written under another name; only after `claim`."""
        for leftover in self.path.rglob(".*.tmp"):
            leftover.unlink(missing_ok=True)
