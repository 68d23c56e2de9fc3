"""published: where the trained networks of others are to be had, with checksum, licence and published accuracy.

The data is `published.toml` beside this file; each entry names the source in which its address was found. A checksum
that nobody publishes is absent, never made up.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from sprat.errors import UnknownName

_SIDE = re.compile(r"_[\d.]+_(\d{2,3})(?:_|$)")  # width, side, and what may follow


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One file of trained weights as its authors publish it.

    Args:
        name: unique, source/name: "tf_slim/mobilenet_v1_0.25_128".
        model: the preset of the zoo that it is, or that it differs from in details only (see `sprat.weights.table`).
        source: who publishes it; also the folder in the cache.
        title: of the source, for people.
        url: official address.
        file_name: in the cache, unique in the source.
        size_bytes: exact, where published.
        sha256: 64 hexadecimal digits; this and the other checksums only where published.
        sha384: 96 digits.
        sha256_prefix: the first digits of the sha256, as torchvision has them in file names.
        sha1: 40 digits.
        md5: 32 digits.
        licence: SPDX name where there is one.
        note: what else to know of it.
        top1: published accuracy, a fraction; of ImageNet's validation set unless the note says otherwise.
        top5: the same for the five likeliest classes.
        found: the files that give the address and, behind a semicolon, the checksum.
    """

    name: str
    model: str
    source: str
    title: str
    url: str
    file_name: str
    size_bytes: int | None = None
    sha256: str | None = None
    sha384: str | None = None
    sha256_prefix: str | None = None
    sha1: str | None = None
    md5: str | None = None
    licence: str
    note: str = ""
    top1: float | None = None
    top5: float | None = None
    found: str

    @property
    def side(self) -> int | None:
        """Side of the input, where the same network is published for several: the name then ends in it."""
        found = _SIDE.search(self.name)
        return int(found[1]) if found and "mobilenet" in self.name else None

    @property
    def checksums(self) -> tuple[tuple[str, str], ...]:
        """(algorithm of hashlib, leading digits) of every published checksum, the strongest first."""
        known = (
            ("sha384", self.sha384),
            ("sha256", self.sha256),
            ("sha1", self.sha1),
            ("sha256", self.sha256_prefix),
            ("md5", self.md5),
        )
        return tuple((algorithm, digits) for algorithm, digits in known if digits is not None)

    @property
    def proves_content(self) -> bool:
        """Whether a checksum is published that nobody can forge on the way, so that plain http will do."""
        return self.sha384 is not None or self.sha256 is not None


def recognise(path: Path) -> Published | None:
    """The published file that a local one is: by its SHA-256, or by its name where nobody publishes that.

    So a file that was fetched by hand, or by another program, is imported as a downloaded one is.
    """
    same_name = [
        entry
        for entry in published().values()
        if path.name in (entry.file_name, PurePosixPath(unquote(urlsplit(entry.url).path)).name)
    ]
    if not path.is_file():
        return None
    digest = sha256_of(path)
    by_content = [entry for entry in published().values() if entry.sha256 == digest]
    unproven = [entry for entry in same_name if entry.sha256 is None]
    return next(iter(by_content + unproven), None)


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file of any length."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(2**22):
            digest.update(block)
    return digest.hexdigest()


@cache
def published() -> Mapping[str, Published]:
    """Every entry by its name, in the order of the file."""
    document = tomllib.loads((resources.files("sprat.weights.fetch") / "published.toml").read_text("utf-8"))
    entries: dict[str, Published] = {}
    for group in document["group"]:
        shared = {key: value for key, value in group.items() if key != "file"}
        for row in group["file"]:
            entry = _entry(shared | row)
            assert entry.name not in entries, f"{entry.name} is in published.toml twice"
            entries[entry.name] = entry
    return entries


def find(name: str) -> Published:
    """The entry of that name.

    Raises:
        UnknownName: no entry has it; the message offers the nearest names.
    """
    entries = published()
    if name in entries:
        return entries[name]
    # A name without its source, or with another one, is nearest to the same name elsewhere.
    tail = name.rpartition("/")[2]
    near = [known for known in entries if tail and known.rpartition("/")[2] == tail]
    near = (near or get_close_matches(name, entries, n=3, cutoff=0.5))[:5]
    sources = ", ".join(dict.fromkeys(entry.source for entry in entries.values()))
    hint = f"did you mean {' or '.join(near)}?" if near else f"names are source/name, of the sources {sources}"
    raise UnknownName(f"no published file of weights is called {name!r}; {hint}")


def _entry(row: Mapping[str, Any]) -> Published:
    """An entry from a row of the file and what it shares with its group."""
    values = dict(row)
    values["name"] = f"{values['source']}/{values['name']}"
    values["url"] = values.pop("base") + values["url"]
    values["file_name"] = values.pop("file", unquote(urlsplit(values["url"]).path.rpartition("/")[2]))
    sums = values.pop("sums", "")
    if sums and any(key in values for key in ("sha256", "sha384", "sha1", "md5", "sha256_prefix")):
        values["found"] = f"{values['found']}; checksum: {sums}"
    return Published(**values)
