"""Listing: every preset of the zoo with what it costs at its published input and what its paper reports."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sprat.errors import UnknownName
from sprat.image import ImageSpec
from sprat.search.accuracy import published_results
from sprat.search.catalogue import catalogue
from sprat.watch import Watcher
from sprat.zoo import get_preset, published_input
from sprat.zoo.family import FAMILIES


@dataclass(frozen=True, slots=True)
class Listed:
    """One preset.

    Args:
        name: of the preset.
        family: of the zoo.
        paper: where the family was published.
        image: its published input.
        num_classes: that it was published with.
        params: counted.
        macs: counted.
        peak_bytes: counted activation memory, float32.
        top1: published ImageNet accuracy, a fraction, where the ledger has one.
    """

    name: str
    family: str
    paper: str
    image: ImageSpec
    num_classes: int
    params: int
    macs: int
    peak_bytes: int
    top1: float | None


def listing(pattern: str = "*", watch: Watcher | None = None) -> list[Listed]:
    """The presets whose name or family matches a shell pattern, by family, then by name as the family orders them.

    Raises:
        UnknownName: nothing matches; the message offers the nearest names.
    """
    family_of = {name: key for key in FAMILIES for name in FAMILIES.get(key).presets}
    names = [name for name in family_of if fnmatchcase(name, pattern) or fnmatchcase(family_of[name], pattern)]
    if not names:
        get_preset(pattern)  # raises with the nearest names
        raise UnknownName(f"no model matches {pattern!r}; `sprat zoo` shows them all")
    inputs: dict[tuple[ImageSpec, int], list[str]] = {}
    for name in names:
        inputs.setdefault(published_input(name), []).append(name)
    costs = {}
    for (image, num_classes), group in inputs.items():
        costs.update({entry.name: entry for entry in catalogue(image, num_classes, group, watch)})
    top1 = _published()
    return [
        Listed(
            name=name,
            family=family_of[name],
            paper=FAMILIES.get(family_of[name]).paper,
            image=published_input(name)[0],
            num_classes=published_input(name)[1],
            params=costs[name].params,
            macs=costs[name].macs,
            peak_bytes=costs[name].peak_bytes,
            top1=top1.get(name),
        )
        for name in names
    ]


def _published() -> Mapping[str, float]:
    """Preset to the best top-1 that is printed for it at its published input."""
    found: dict[str, float] = {}
    for result in published_results():
        if result.preset:
            found[result.preset] = max(result.top1, found.get(result.preset, 0.0))
    return found
