"""Request: what the user asked for."""

from dataclasses import dataclass
from typing import Any

from sprat.budget import Budget
from sprat.errors import BadInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked of `fit`; a run folder belongs to one request.

    Args:
        data: a source that open_collection understands.
        budget: limits for the result.
        image: side of the square input, pixels; None chooses it.
        minutes: time for everything; None goes by epochs.
        epochs: of the training; None chooses them.
        models: presets, families or patterns to choose among; empty means all.
        start: file of trained weights to start from, whose network is then the one; "" for none.
        seed: of everything random.

    Raises:
        BadInput: a value out of range, or both minutes and epochs.
    """

    data: str
    budget: Budget = Budget()
    image: int | None = None
    minutes: float | None = None
    epochs: int | None = None
    models: tuple[str, ...] = ()
    start: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.minutes is not None and self.epochs is not None:
            raise BadInput(f"both {self.minutes:g} minutes and {self.epochs} epochs were asked for; give one of them")
        if self.minutes is not None and not 0 < self.minutes < 1e6:
            raise BadInput(f"minutes is {self.minutes:g}; it must be above 0")
        if self.epochs is not None and self.epochs < 1:
            raise BadInput(f"epochs is {self.epochs}; it must be at least 1")
        if self.image is not None and not 4 <= self.image <= 1024:
            raise BadInput(f"image is {self.image}; the side of the network's input must be 4 to 1024 pixels")
        if self.start and self.models:
            raise BadInput(
                f"both --from {self.start} and --model were given; the file already says which network it is"
            )
        if not 0 <= self.seed < 2**32:
            raise BadInput(f"seed is {self.seed}; it must be 0 to {2**32 - 1}")

    def to_dict(self) -> dict[str, Any]:
        """The request as JSON."""
        values = {
            "data": self.data,
            "budget": self.budget.to_dict(),
            "image": self.image,
            "minutes": self.minutes,
            "epochs": self.epochs,
            "models": list(self.models),
            "seed": self.seed,
        }
        return {**values, "start": self.start} if self.start else values
