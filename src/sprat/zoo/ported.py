"""Ported: an architecture with the details of the place its weights come from."""

from dataclasses import dataclass
from typing import Any

from sprat.errors import BadInput

PADDINGS = ("symmetric", "same", "same_pools")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ported:
    """An architecture as another framework, or another image size, had it when its weights were trained.

    Args:
        network: config of any family.
        padding: "symmetric" as in the zoo; "same" for TensorFlow's SAME in strided convolutions and pools, "same_pools"
            in pools alone (see sprat.zoo.end_padded).
        built_for: side of the image whose strides it keeps; 0 for those of the image it is built for. Small images
            lose the first strides (`fit_strides`), which weights trained with them would not survive.
    """

    network: Any
    padding: str = "symmetric"
    built_for: int = 0

    def __post_init__(self) -> None:
        if self.padding not in PADDINGS:
            raise BadInput(f"padding is {self.padding!r}; it must be {', '.join(PADDINGS)}")
        if type(self.built_for) is not int or not 0 <= self.built_for <= 4096:
            raise BadInput(f"built_for is {self.built_for!r}; it must be a side of an image in pixels, or 0")
        if isinstance(self.network, Ported):
            raise BadInput("an architecture is ported twice; give the details once")
