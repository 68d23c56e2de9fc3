"""Which foreign tensor becomes which parameter of ours, by the rules of a table (`sprat/weights/tables`).

`pair` accounts for every tensor on both sides: what is missing, unused or does not pair is listed, never passed over.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate

from sprat.weights.pattern import matching
from sprat.weights.table import Network

MAX_LISTED = 6  # names in a message
_NUMBERED = re.compile(r"\$(\d)/")  # "$2/bias": of the second of several foreign layers


@dataclass(frozen=True, slots=True)
class Source:
    """Where a parameter of ours comes from.

    Args:
        names: foreign tensor names; a second one is subtracted from the first. None for a constant.
        transform: name of the change of layout ("" for none), or of the constant ("ones").
    """

    names: tuple[str, ...]
    transform: str


@dataclass(frozen=True, slots=True)
class Pairing:
    """How the tensors of a file pair with the parameters of a network.

    Args:
        sources: our parameter or buffer -> where it comes from.
        missing: parameters of ours nothing was found for, with the foreign name that was looked for.
        unused: foreign tensors that are neither used nor ignored.
        problems: other faults, in words.
    """

    sources: Mapping[str, Source]
    missing: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    problems: tuple[str, ...] = field(default=())

    @property
    def complete(self) -> bool:
        """Whether every tensor on both sides is accounted for."""
        return not (self.missing or self.unused or self.problems)

    def faults(self) -> str:
        """What does not pair, in words, the first MAX_LISTED of each sort."""
        parts = [
            f"{len(names)} {what}: {', '.join(names[:MAX_LISTED])}{', ...' if len(names) > MAX_LISTED else ''}"
            for what, names in (
                ("missing", self.missing),
                ("unused", self.unused),
                ("faults in the pairing", self.problems),
            )
            if names
        ]
        return "; ".join(parts)


def pair(network: Network, foreign: Sequence[str], ours: Mapping[str, Sequence[str]]) -> Pairing:
    """How foreign tensors pair with our parameters.

    Args:
        network: whose rules are used.
        foreign: names of the tensors in the file.
        ours: module name -> names of its parameters and buffers (without batch counters).
    """
    ignored = [re.compile(translate(pattern)) for pattern in network.ignore]
    present = [name for name in foreign if not any(pattern.match(name) for pattern in ignored)]
    available, layers = frozenset(present), _layers(present, network)
    sources: dict[str, Source] = {}
    missing: list[str] = []
    problems: list[str] = []
    for line in network.rules:
        targets = matching(line.ours, ours)
        lists = [matching(pattern, layers) for pattern in line.foreign]
        if any(len(found) != len(targets) for found in lists):
            counts = " and ".join(
                f"{len(found)} of {pattern}" for pattern, found in zip(line.foreign, lists, strict=True)
            )
            problems.append(f"{counts} for {len(targets)} of {line.ours}")
        elif not targets and not line.optional:
            problems.append(f"none of {line.foreign[0]} and none of {line.ours}")
        for target, *names in zip(targets, *lists, strict=False):
            for parameter in ours[target]:
                ours_name = f"{target}.{parameter}"
                found = _source(network.kinds[line.kind].get(parameter), names, network.separator, available)
                if isinstance(found, str):
                    missing.append(f"{ours_name} ({found})")
                elif ours_name in sources:
                    problems.append(f"{ours_name} is given twice")
                else:
                    sources[ours_name] = found
    listed = {name.split(" ")[0] for name in missing}
    for module, parameters in ours.items():
        for parameter in parameters:
            if f"{module}.{parameter}" not in sources and f"{module}.{parameter}" not in listed:
                missing.append(f"{module}.{parameter}")
    used = {name for source in sources.values() for name in source.names}
    unused = tuple(name for name in present if name not in used)
    return Pairing(sources, tuple(missing), unused, tuple(problems))


def likeness(network: Network, foreign: Sequence[str]) -> float:
    """The part of a network's rules whose foreign layers are in the file: 1 for its own network, 0 for a stranger."""
    layers = _layers(foreign, network)
    lines = [line for line in network.rules if not line.optional]
    found = sum(all(matching(pattern, layers) for pattern in line.foreign) for line in lines)
    return found / max(1, len(lines))


def _layers(names: Sequence[str], network: Network) -> dict[str, None]:
    """The layer names: tensor names without any of the suffixes that the kinds know."""
    suffixes = {
        _NUMBERED.sub("", word)
        for kind in network.kinds.values()
        for text in kind.values()
        for word in (text.split()[0], *(text.split()[2:3] if " minus " in text else ()))
        if not word.startswith("=")
    }
    layers: dict[str, None] = {}
    for name in names:
        for suffix in suffixes:
            if name.endswith(network.separator + suffix):
                layers[name[: -len(suffix) - len(network.separator)]] = None
    return layers


def _source(text: str | None, names: Sequence[str], separator: str, available: frozenset[str]) -> Source | str:
    """Where a parameter comes from by its kind's text, or the foreign name that is missing."""
    if text is None:
        return "its kind has none"
    words = text.split()
    if words[0].startswith("="):
        return Source((), words[0][1:])
    wanted = [_full(words[0], names, separator)]
    rest = words[1:]
    if rest[:1] == ["minus"]:
        second = _full(rest[1], names, separator)
        if second in available:
            wanted.append(second)
        rest = rest[2:]
    absent_allowed, default = "?" in rest, ""
    if absent_allowed:
        place = rest.index("?")
        default = rest[place + 1] if len(rest) > place + 1 else ""
        rest = rest[:place]
    if wanted[0] in available:
        return Source(tuple(wanted), rest[0] if rest else "")
    return Source((), default) if default else wanted[0]


def _full(suffix: str, names: Sequence[str], separator: str) -> str:
    numbered = _NUMBERED.match(suffix)
    layer = names[int(numbered[1]) - 1] if numbered else names[0]
    return layer + separator + _NUMBERED.sub("", suffix)
