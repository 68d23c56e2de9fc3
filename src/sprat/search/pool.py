"""The pool: which architectures are candidates, by name: every preset, and finer steps where a family has a width."""

from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from sprat.errors import BadInput, UnknownName
from sprat.zoo import all_presets, family_of
from sprat.zoo.mobilenet_v1 import MobileNetV1
from sprat.zoo.shufflenet_v1 import STAGE2, ShuffleNetV1, widths
from sprat.zoo.squeezenet import SqueezeNet

SIXTEENTHS = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16)  # widths 0.125 to 1.0
SCALES = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)


def select(models: Sequence[str] | None) -> dict[str, Any]:
    """Candidate names and configs that `models` asks for; the whole pool for None.

    Args:
        models: names of candidates, presets or families, or shell patterns of candidates.

    Raises:
        UnknownName: a name or pattern that matches nothing, with the nearest names.
    """
    everything = pool()
    if models is None:
        return dict(everything)
    chosen: dict[str, Any] = {}
    for wanted in models:
        found = _matching(everything, wanted)
        if not found:
            raise UnknownName(
                _unknown(wanted, {*everything, *(family_of(config).name for config in everything.values())})
            )
        chosen.update(found)
    return chosen


def select_for_training(models: Sequence[str] | None) -> list[str]:
    """Names of the candidates that `fit` chooses among: of a family or pattern, those on which its training was tried.

    What is named outright is taken, and so is a family of which none was tried.

    Raises:
        UnknownName: as `select`.
    """
    tried = trained()
    if models is None:
        return list(tried)
    return list(dict.fromkeys(name for wanted in models for name in _matching(tried, wanted) or select([wanted])))


def _matching(configs: dict[str, Any], wanted: str) -> dict[str, Any]:
    of_family = {name: config for name, config in configs.items() if family_of(config).name == wanted}
    return of_family or {name: config for name, config in configs.items() if fnmatchcase(name, wanted)}


def _unknown(wanted: str, known: set[str]) -> str:
    near = get_close_matches(wanted.strip("*?"), sorted(known), n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "`sprat zoo` shows them all"
    return f"no model is called {wanted!r}; {hint}"


@cache
def pool() -> dict[str, Any]:
    """Every candidate name and its config."""
    return {**all_presets(), **trained()}


@cache
def trained() -> dict[str, Any]:
    """The candidates that `fit` chooses among unless told otherwise: those on which its training has been tried."""
    return {**_mobilenets(), **_shufflenets(), **_squeezenets()}


def _mobilenets() -> dict[str, Any]:
    return {f"mobilenet_v1_{step / 16}": MobileNetV1(width=step / 16) for step in SIXTEENTHS}


def _shufflenets() -> dict[str, Any]:
    grid = {}
    for groups in STAGE2:
        for scale in SCALES:
            config = ShuffleNetV1(groups=groups, scale=scale)
            try:
                widths(config)
            except BadInput:  # the channels do not divide into the groups at this scale
                continue
            grid[f"shufflenet_v1_{scale}_g{groups}"] = config
    return grid


def _squeezenets() -> dict[str, Any]:
    """The variant with batch norm, the one that trains from scratch."""
    return {
        f"squeezenet_1.1_bn_{step / 16}": SqueezeNet(
            version="1.1", bypass="simple", dropout=0.0, width=step / 16, batch_norm=True
        )
        for step in SIXTEENTHS
    }
