"""Registry: a dict filled by importing the modules of one folder; an unknown name gets a "did you mean"."""

import importlib
import pkgutil
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Generic, TypeVar

from sprat.errors import UnknownName

T = TypeVar("T")


class Registry(Generic[T]):
    """Entries of one kind, found because their files lie in one package.

    Args:
        kind: what an entry is, for messages ("model family").
        package: dotted name of the package whose modules register entries when imported.
    """

    def __init__(self, kind: str, package: str) -> None:
        self._kind = kind
        self._package = package
        self._entries: dict[str, T] = {}
        self._loaded = False

    def add(self, name: str, entry: T) -> T:
        """Register an entry; the same name twice is our own mistake."""
        assert name not in self._entries, f"{self._kind} {name} is registered twice"
        self._entries[name] = entry
        return entry

    def get(self, name: str) -> T:
        """The entry of that name.

        Raises:
            UnknownName: no entry has it; the message offers the nearest names.
        """
        self._load()
        if name not in self._entries:
            near = get_close_matches(name, self._entries, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(sorted(self._entries))}"
            raise UnknownName(f"no {self._kind} is called {name!r}; {hint}")
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(sorted(self._entries))

    def __contains__(self, name: str) -> bool:
        self._load()
        return name in self._entries

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
