"""Yardstick: published networks that the zoo does not have, to compare with. They are not rows of the ledger."""

import tomllib
from dataclasses import dataclass
from importlib.resources import files

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.units import parse_count

_KEYS = ("name", "top1", "macs", "params", "image", "source")


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What is published of a network on ImageNet; nothing of it is counted here.

    Args:
        name: of the network.
        top1: accuracy as a fraction of 1.
        macs: multiply-adds as printed, in units.
        params: as printed, in units.
        image: for which both hold.
        source: paper and table.
    """

    name: str
    top1: float
    macs: int
    params: int
    image: ImageSpec
    source: str


def yardsticks() -> list[Yardstick]:
    """All of them, in the order of their multiply-adds."""
    text = (files("sprat.ledger") / "yardsticks.toml").read_text(encoding="utf-8")
    return sorted(parse_yardsticks(text), key=lambda entry: entry.macs)


def parse_yardsticks(text: str) -> list[Yardstick]:
    """The yardsticks of a TOML text.

    Raises:
        BadInput: a key is missing or unknown, or a figure cannot be read.
    """
    entries = tomllib.loads(text).get("yardstick", [])
    read = []
    for number, entry in enumerate(entries, 1):
        if set(entry) != set(_KEYS):
            raise BadInput(f"yardstick {number} has {', '.join(entry)}; it must have {', '.join(_KEYS)}")
        top1 = float(str(entry["top1"]).removesuffix("%")) / 100
        if not 0 < top1 < 1:
            raise BadInput(f"yardstick {entry['name']} has a top1 of {entry['top1']}; write it in percent, as 71.9%")
        image = ImageSpec(3, entry["image"], entry["image"])
        read.append(
            Yardstick(
                entry["name"], top1, parse_count(entry["macs"]), parse_count(entry["params"]), image, entry["source"]
            )
        )
    return read
