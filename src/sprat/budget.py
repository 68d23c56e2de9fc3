"""Budget: what the gadget allows. Excess: one limit that is not met."""

from dataclasses import asdict, dataclass
from typing import Any

from sprat.errors import BadInput
from sprat.units import format_bytes, format_count, parse_bytes, parse_count, parse_ms


@dataclass(frozen=True, slots=True)
class Excess:
    """One limit that is exceeded: the quantity's name, the limit and what was seen, in the same unit."""

    quantity: str
    allowed: float
    seen: float

    def __str__(self) -> str:
        show = _SHOW[self.quantity]
        return f"{self.quantity} is {show(self.seen)}, over the limit of {show(self.allowed)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Upper limits, each optional; a file fits when it is over none of them.

    Args:
        max_bytes: length of the shipped .sprat file, bytes.
        max_params: number of parameters of the shipped network.
        max_macs: multiply-adds for one image, convolutions and fully-connected layers.
        max_peak_bytes: peak activation memory for one image, float32 bytes (see sprat.cost.memory).
        max_latency_ms: median time for one image on one CPU thread with ONNX Runtime, milliseconds.
    """

    max_bytes: int | None = None
    max_params: int | None = None
    max_macs: int | None = None
    max_peak_bytes: int | None = None
    max_latency_ms: float | None = None

    @classmethod
    def parse(
        cls,
        *,
        size: str | int | None = None,
        params: str | int | None = None,
        macs: str | int | None = None,
        memory: str | int | None = None,
        latency: str | float | None = None,
    ) -> "Budget":
        """A budget from quantities as people write them ("500KB", "40M", "5ms").

        Raises:
            BadInput: a quantity that is not understood or not positive.
        """
        return cls(
            max_bytes=None if size is None else parse_bytes(size),
            max_params=None if params is None else parse_count(params),
            max_macs=None if macs is None else parse_count(macs),
            max_peak_bytes=None if memory is None else parse_bytes(memory),
            max_latency_ms=None if latency is None else parse_ms(latency),
        )

    def excess(
        self,
        *,
        size_bytes: int | None = None,
        params: int | None = None,
        macs: int | None = None,
        peak_bytes: int | None = None,
        latency_ms: float | None = None,
    ) -> tuple[Excess, ...]:
        """The limits exceeded by these figures; empty exactly when every figure given is within its limit."""
        pairs = (
            ("size_bytes", self.max_bytes, size_bytes),
            ("params", self.max_params, params),
            ("macs", self.max_macs, macs),
            ("peak_bytes", self.max_peak_bytes, peak_bytes),
            ("latency_ms", self.max_latency_ms, latency_ms),
        )
        return tuple(
            Excess(name, allowed, seen)
            for name, allowed, seen in pairs
            if allowed is not None and seen is not None and seen > allowed
        )

    def to_dict(self) -> dict[str, Any]:
        """The limits that are set, for JSON."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Budget":
        """The budget that `to_dict` wrote.

        Raises:
            BadInput: an unknown limit.
        """
        try:
            return cls(**values)
        except TypeError:
            raise BadInput(f"budget {values!r} has a limit that is not known") from None

    def __str__(self) -> str:
        parts = [f"{_SHOW[name](limit)}" for name, limit in self._limits() if limit is not None]
        return ", ".join(parts) if parts else "no limits"

    def _limits(self) -> tuple[tuple[str, float | None], ...]:
        return (
            ("size_bytes", self.max_bytes),
            ("params", self.max_params),
            ("macs", self.max_macs),
            ("peak_bytes", self.max_peak_bytes),
            ("latency_ms", self.max_latency_ms),
        )


_SHOW: dict[str, Any] = {
    "size_bytes": lambda value: format_bytes(int(value)),
    "params": lambda value: f"{format_count(value)} params",
    "macs": lambda value: f"{format_count(value)} macs",
    "peak_bytes": lambda value: f"{int(value):,} bytes of memory",
    "latency_ms": lambda value: f"{value:.3g} ms",
}
