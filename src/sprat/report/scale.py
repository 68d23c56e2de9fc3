"""Scales: where a value lies on an axis, and which values are worth a tick."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Linear:
    """Values from low to high, drawn evenly from start to end."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The coordinate of a value; values outside are held at the ends."""
        part = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return self.start + min(1.0, max(0.0, part)) * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[float]:
        """Round values within, at most that many."""
        span = self.high - self.low
        if span <= 0:
            return [self.low]
        step = 10.0 ** math.floor(math.log10(span / most))
        while span / step > most - 1:
            step *= 2.5 if f"{step:e}"[0] == "2" else 2
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(index * step, 12) for index in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class Log:
    """Positive values from low to high; equal factors are drawn at equal distances from start to end."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The coordinate of a value; values outside are held at the ends."""
        if self.high <= self.low:
            return (self.start + self.end) / 2
        part = math.log(max(value, 1e-300) / self.low) / math.log(self.high / self.low)
        return self.start + min(1.0, max(0.0, part)) * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[float]:
        """1, 2, 5 times powers of ten within, thinned to powers of ten, then to every few of these."""
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for factors in ((1, 2, 5), (1, 3), (1,)):
            found = [factor * 10.0**power for power in powers for factor in factors]
            inside = [value for value in found if self.low * (1 - 1e-9) <= value <= self.high * (1 + 1e-9)]
            if len(inside) <= most:
                return inside or [self.low]
        return inside[:: -(-len(inside) // most)]


def short_count(value: float) -> str:
    """A round count as briefly as it goes: 500, 20k, 1.5M."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{suffix}"
    return f"{value:g}"


def padded(values: list[float], part: float = 0.06) -> tuple[float, float]:
    """(low, high) of the values with room at both ends; a single value gets room of a tenth of itself."""
    low, high = min(values), max(values)
    room = (high - low) * part or abs(high) * 0.1 or 1.0
    return low - room, high + room


def padded_log(values: list[float], part: float = 0.08) -> tuple[float, float]:
    """(low, high) of positive values with room at both ends in equal factors."""
    low, high = min(values), max(values)
    factor = (high / low) ** part if high > low else 1.5
    return low / factor, high * factor
