"""Catalogue: what every candidate of the pool costs at one image size, counted once and then kept on disk.

Counting needs PyTorch and some milliseconds a network; reading what was counted needs neither, so `sprat pick` answers
at once. The files lie in the user's cache folder under a fingerprint of the code that counts: a change of a network or
of the counting is never answered from an old file.
"""

import gc
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sprat.atomic import write_atomic
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.latency.kernel import Row
from sprat.search.size_model import Footprint
from sprat.watch import Silent, Watcher

_COUNTED_BY = (
    "zoo",
    "cost",
    "latency/kernel.py",
    "latency/shadow.py",
    "latency/step.py",
    "search/pool.py",
    "search/catalogue.py",
    "search/size_model.py",
    "search/price.py",
)
BLOCK = 16  # channels in a block of ONNX Runtime's layout on most machines
_SAVE_EVERY = 200  # candidates, so that a stopped count is not lost


@dataclass(frozen=True, slots=True)
class Entry:
    """One candidate at one image size.

    Args:
        name: in the pool.
        architecture: its config as JSON, see sprat.zoo.config_to_dict.
        params: parameters.
        macs: multiply-adds of one image.
        elementwise: other work, see sprat.cost.Cost.
        peak_bytes: peak float32 activation memory.
        weights: that compression prunes and shares, see sprat.search.size_model.
        fixed_bytes: of the file that compression leaves.
        kernels: (kernel, how often) that ONNX Runtime runs, see sprat.latency.
    """

    name: str
    architecture: Mapping[str, Any]
    params: int
    macs: int
    elementwise: int
    peak_bytes: int
    weights: int
    fixed_bytes: int
    kernels: tuple[tuple[Row, int], ...] = ()

    @property
    def family(self) -> str:
        """Name of its family."""
        return str(self.architecture["family"])

    @property
    def footprint(self) -> Footprint:
        """What takes room in the file."""
        return Footprint(self.weights, self.fixed_bytes)


def catalogue(
    image: ImageSpec,
    num_classes: int,
    models: Sequence[str] | None = None,
    watch: Watcher | None = None,
    *,
    block: int = BLOCK,
) -> list[Entry]:
    """The entries of the candidates that `models` names, or of the whole pool, in the order of the pool.

    Candidates that cannot take such an image are left out.

    Args:
        image: the input.
        num_classes: of the classifier.
        models: names of candidates, presets or families, or shell patterns of them.
        watch: told how far counting is.
        block: channels in a block of the layout of ONNX Runtime: decides which kernels it runs.

    Raises:
        UnknownName: a name or pattern that matches nothing, with the nearest names.
        BadInput: nothing of what was named can take such an image.
    """
    path = _folder() / f"{image}-{num_classes}-{block}.json"
    known, whole = _read(path)
    if whole:
        named = [list(known)] if models is None else [_matching(known, wanted) for wanted in models]
        names = dict.fromkeys(name for group in named for name in group)
        found = [entry for name in names if (entry := known[name]) is not None]
        if found and all(named):
            return found
    return _count(path, known, (image, num_classes, block), models, watch or Silent())


def _matching(known: Mapping[str, Entry | None], wanted: str) -> list[str]:
    of_family = [name for name, entry in known.items() if entry is not None and entry.family == wanted]
    return of_family or [name for name in known if fnmatchcase(name, wanted)]


def _count(
    path: Path,
    known: dict[str, Entry | None],
    case: tuple[ImageSpec, int, int],
    models: Sequence[str] | None,
    watch: Watcher,
) -> list[Entry]:
    from sprat.search.pool import select, suits
    from sprat.search.price import price_entry

    image = case[0]
    configs = select(models)
    if models is None:
        configs = {name: config for name, config in configs.items() if suits(name, config, image)}
    missing = [name for name in configs if name not in known]
    refusal: BadInput | None = None
    with _without_collector():
        for position, name in enumerate(missing):
            watch.progress("count", position / len(missing), f"{name} at {image}")
            try:
                known[name] = price_entry(name, configs[name], *case)
            except BadInput as error:
                known[name], refusal = None, error
            if (position + 1) % _SAVE_EVERY == 0:
                _write(path, known, whole=False)
                gc.collect()
    if missing:
        _write(path, known, whole=models is None)
    found = [entry for name in configs if (entry := known[name]) is not None]
    if not found:
        if refusal is None:  # refused before this call: ask again for the reason
            price_entry(next(iter(configs)), next(iter(configs.values())), *case)
        assert refusal is not None
        raise refusal
    return found


@contextmanager
def _without_collector() -> Iterator[None]:
    """Python's search for reference cycles takes a third of the counting; inside it waits until it is called."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def cache_folder() -> Path:
    """Where sprat keeps what it can make again: $XDG_CACHE_HOME/sprat, by default ~/.cache/sprat."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(root) if root else Path.home() / ".cache") / "sprat"


def _folder() -> Path:
    return cache_folder() / "costs" / _fingerprint()


@cache
def _fingerprint() -> str:
    """Of all the code that decides what a candidate costs."""
    digest = hashlib.sha256(version("torch").encode())
    home = Path(__file__).parents[1]
    for part in _COUNTED_BY:
        place = home / part
        for file in sorted(place.glob("*.py")) if place.is_dir() else [place]:
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _read(path: Path) -> tuple[dict[str, Entry | None], bool]:
    """What is known, and whether that is the whole pool; nothing where there is no file or it is damaged."""
    try:
        values = json.loads(path.read_bytes())
        rows = [tuple(row) for row in values["kernels"]]
        known: dict[str, Entry | None] = {}
        for name, given in values["entries"].items():
            known[name] = None
            if given is not None:
                runs = tuple((rows[index], number) for index, number in given.pop("kernels"))
                known[name] = Entry(**given, kernels=runs)
        return known, bool(values["whole"])
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        return {}, False


def _write(path: Path, known: Mapping[str, Entry | None], *, whole: bool) -> None:
    """Keep what was counted; a cache folder that cannot be written is no reason to fail."""
    rows: dict[Row, int] = {}
    entries: dict[str, Any] = {}
    for name, entry in known.items():
        entries[name] = None
        if entry is not None:
            runs = [[rows.setdefault(row, len(rows)), number] for row, number in entry.kernels]
            plain = {field.name: getattr(entry, field.name) for field in fields(entry)}
            entries[name] = {**plain, "kernels": runs}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps({"whole": whole, "kernels": list(rows), "entries": entries}).encode())
    except OSError:
        return
