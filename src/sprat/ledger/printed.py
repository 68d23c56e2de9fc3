"""Printed: what a table prints, read with its precision and unit, and whether a number agrees with it.

Papers round, truncate or round up, and rarely say which, so a number agrees when it is less than one unit of the last
printed digit away. A bare integer ("11920") therefore has to be equal. A whole number that ends in zeros and has a unit
("720M") may also be a rounded one: it agrees too when the number rounds to it at its last digit that is not zero.
There is no other tolerance.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from sprat.errors import BadInput

# What follows the digits, and what one of it is.
UNITS: dict[str, Fraction] = {
    "": Fraction(1),
    "k": Fraction(1000),
    "K": Fraction(1000),
    "M": Fraction(10**6),
    "B": Fraction(10**9),
    "G": Fraction(10**9),
    "MB": Fraction(10**6),
    "MiB": Fraction(2**20),
    "%": Fraction(1, 100),
    "x": Fraction(1),
}
_ROUNDED = ("k", "K", "M", "B", "G", "MB", "MiB")  # units of numbers whose last zeros may not be digits
_NUMBER = re.compile(r"(?P<digits>\d[\d,]*(?:\.\d+)?)(?:\s*x\s*10\^(?P<power>\d+))?")
_POWER = re.compile(r"10\^(?P<power>\d+)")
_ABOUT = re.compile(r"^(?:~|about)\s*")


@dataclass(frozen=True, slots=True)
class Number:
    """A printed number.

    Args:
        value: in the base unit: 4.2M is 4,200,000 and 70.6% is 0.706.
        unit: one unit of its last printed digit.
        rounded: one unit of its last digit that is not zero, where it may have been rounded there; else `unit`.
    """

    value: Fraction
    unit: Fraction
    rounded: Fraction

    def agrees(self, counted: Fraction | int) -> bool:
        """Whether a count can have been printed like this."""
        if abs(counted - self.value) < self.unit:
            return True
        return self.rounded > self.unit and abs(counted - self.value) * 2 <= self.rounded


@dataclass(frozen=True, slots=True)
class Range:
    """Two printed numbers with a dash between them: everything from the first to the second agrees."""

    low: Number
    high: Number

    def agrees(self, counted: Fraction | int) -> bool:
        """Whether a count lies in the range, or agrees with one of its ends."""
        within = self.low.value <= counted <= self.high.value
        return within or self.low.agrees(counted) or self.high.agrees(counted)


def read_printed(text: str, *, unit: str | None = None) -> Number | Range:
    """The number or range of numbers that a cell prints, such as "4.2M", "~ 5M", "1.6 x 10^29" or "21-28".

    Args:
        text: as printed.
        unit: takes the place of the printed unit: "MiB" where a paper writes MB and means it.

    Raises:
        BadInput: it is not a number.
    """
    words = _ABOUT.sub("", text.strip())
    first, dash, second = words.partition("-")
    if dash and first and second:
        suffix = _split(second.strip())[1]
        return Range(_number(first, text, unit or suffix), _number(second, text, unit))
    return _number(words, text, unit)


def _split(words: str) -> tuple[re.Match[str], str]:
    match = _NUMBER.match(words) if not words.startswith("10^") else _POWER.match(words)
    if match is None or words[match.end() :].strip() not in UNITS:
        raise BadInput(f"{words!r} is not a printed number; write it like 4.2M, 569M, 94.86%, 4.8MB or 1.6 x 10^29")
    return match, words[match.end() :].strip()


def _number(words: str, text: str, unit: str | None) -> Number:
    try:
        match, suffix = _split(words.strip())
    except BadInput:
        raise BadInput(f"{text!r} is not a printed number; write it like 4.2M, 94.86%, 4.8MB or 21-28") from None
    digits = match.groupdict().get("digits", "1").replace(",", "")
    scale = UNITS[unit or suffix] * Fraction(10) ** int(match["power"] or 0)
    whole, _, decimals = digits.partition(".")
    last = scale / 10 ** len(decimals)
    zeros = len(whole) - len(whole.rstrip("0")) if suffix in _ROUNDED and not decimals and whole.strip("0") else 0
    return Number(Fraction(digits) * scale, last, last * 10**zeros)
