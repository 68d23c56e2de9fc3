"""The lines of a name table: patterns of foreign layers and of our modules, paired by the rank of their numbers.

`#` is a whole number: both sides list the names that match, sorted by their numbers, and pair by rank, so that no line
needs arithmetic. `{a,b}` and `{1..3}` are alternatives, expanded on both sides in parallel. `*` is anything.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


@dataclass(frozen=True, slots=True)
class Line:
    """One rule, its braces expanded: layers that match `foreign` become modules that match `ours`, rank by rank.

    Args:
        foreign: pattern of foreign layer names; two patterns where a second layer takes part.
        kind: name of the kind, which says where parameters lie.
        ours: pattern of module names.
        optional: whether it may match nothing on both sides.
    """

    foreign: tuple[str, ...]
    kind: str
    ours: str
    optional: bool


def parse_rules(text: str) -> Iterator[Line]:
    """The rules of a text, one a line, braces expanded; `//` begins a comment."""
    for written in text.splitlines():
        words = written.split("//")[0].split()
        if not words:
            continue
        optional = words[-1] == "?"
        assert len(words) - optional == 3, f"a rule has three words: foreign, kind, ours; this one is {written!r}"
        foreign, kind, ours = words[:3]
        sides = [expand(pattern) for pattern in (*foreign.split("|"), ours)]
        count = max(len(side) for side in sides)
        sides = [side * count if len(side) == 1 else side for side in sides]
        counts = [len(side) for side in sides]
        assert set(counts) == {count}, f"{written!r} has {counts} alternatives; they must be equal in number"
        for *lefts, right in zip(*sides, strict=True):
            yield Line(tuple(lefts), kind, right, optional)


def expand(pattern: str) -> list[str]:
    """The patterns that `{a,b}` and `{1..3}` stand for, leftmost braces slowest."""
    parts = _BRACES.split(pattern)  # text, braces, text, braces, ..., text
    choices: list[Sequence[str]] = []
    for index, part in enumerate(parts):
        if index % 2 == 0:
            choices.append([part])
        elif span := _RANGE.fullmatch(part):
            choices.append([str(number) for number in range(int(span[1]), int(span[2]) + 1)])
        else:
            choices.append(part.split(","))
    return ["".join(choice) for choice in itertools.product(*choices)]


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """A pattern as an expression: `#` catches a number, `*` anything."""
    parts = re.split(r"([#*])", pattern)
    return re.compile("".join({"#": r"(\d+)", "*": r".*"}.get(part, re.escape(part)) for part in parts))


def matching(pattern: str, names: Mapping[str, Any]) -> list[str]:
    """The names that match, sorted by their numbers."""
    if "#" not in pattern and "*" not in pattern:
        return [pattern] if pattern in names else []
    expression = _compiled(pattern)
    found = [(tuple(map(int, match.groups())), name) for name in names if (match := expression.fullmatch(name))]
    return [name for _, name in sorted(found)]
