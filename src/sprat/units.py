"""Quantities people write ("500KB", "150M", "5ms") and how we print them: the only place that does either."""

import math
import re

from sprat.errors import BadInput

_BYTES = {"": 1, "b": 1, "kb": 1000, "mb": 10**6, "gb": 10**9, "kib": 1024, "mib": 1024**2, "gib": 1024**3}
_COUNT = {"": 1, "k": 1000, "m": 10**6, "g": 10**9, "b": 10**9}
_MS = {"": 1.0, "ms": 1.0, "us": 0.001, "s": 1000.0}
_NUMBER = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([a-zA-Z]*)\s*")


def _parse(text: str | int | float, scales: dict[str, float] | dict[str, int], what: str, example: str) -> float:
    if isinstance(text, bool):
        raise BadInput(f"{what} {text!r} is not a quantity; write it like {example}")
    if isinstance(text, int | float):
        if not math.isfinite(text) or text <= 0:
            raise BadInput(f"{what} {text!r} is not positive; write it like {example}")
        return float(text)
    match = _NUMBER.fullmatch(text)
    if match is None or match[2].lower() not in scales:
        raise BadInput(f"{what} {text!r} is not understood; write it like {example}")
    value = float(match[1]) * scales[match[2].lower()]
    if not math.isfinite(value) or value <= 0:
        raise BadInput(f"{what} {text!r} is not positive; write it like {example}")
    return value


def parse_bytes(text: str | int | float) -> int:
    """Bytes in "500KB", "0.5MB", "64KiB" or a plain number. KB is 1000, KiB is 1024.

    Raises:
        BadInput: not a positive quantity of bytes.
    """
    value = round(_parse(text, _BYTES, "size", "500KB, 0.5MB or 64KiB"))
    if value < 1:
        raise BadInput(f"size {text!r} is less than one byte; write it like 500KB")
    return value


def parse_count(text: str | int | float) -> int:
    """A count such as "40M" multiply-adds or "200k" parameters.

    Raises:
        BadInput: not a positive count.
    """
    value = round(_parse(text, _COUNT, "count", "200k, 40M or 1.5G"))
    if value < 1:
        raise BadInput(f"count {text!r} is less than one; write it like 200k")
    return value


def parse_ms(text: str | int | float) -> float:
    """Milliseconds in "5ms", "0.2s" or a plain number.

    Raises:
        BadInput: not a positive time.
    """
    return _parse(text, _MS, "time", "5ms or 0.2s")


def format_bytes(size_bytes: int) -> str:
    """The exact count with thousands separators: 412,806 bytes."""
    return f"{size_bytes:,} bytes"


def format_count(count: int | float) -> str:
    """A count in three digits: 49.3M, 812k, 97."""
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= limit * 0.9995:
            scaled = count / limit
            digits = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
            return f"{scaled:.{digits}f}{suffix}"
    return f"{round(count)}"


def format_duration(seconds: float) -> str:
    """A time people read at a glance: 42 s, 3:07, 1:02:45."""
    seconds = max(0.0, seconds)
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
