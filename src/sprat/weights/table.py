"""Network: what is known of one published network of a source; read from the tables, one TOML file a source."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from sprat.weights.pattern import Line, parse_rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One published network of a source: how its names, details and input map to a network of ours.

    Args:
        source: file stem of the table.
        name: of the entry.
        models: patterns of our presets it may be, tried in order.
        rules: the lines.
        kinds: kind -> parameter of a module of ours -> "suffix transform".
        separator: between layer and suffix in foreign tensor names.
        change: fields of our config that are replaced.
        padding: "symmetric", "same" or "same_pools"; see `sprat.zoo.end_padded`.
        eps: of the source's batch norms; None where it is ours.
        background: whether a class 0 comes before those of the data set.
        order: "rgb" or "bgr" of the source's input channels.
        mean: of RGB pixels 0..255.
        std: of RGB pixels 0..255.
        side: input side, by pattern of preset.
        resize: side before the centre crop of the published evaluation; 0 for none.
        keep_aspect: whether `resize` is of the shorter side; else the image is warped to a square.
        antialias: of the resize; see `sprat.preprocess`.
        classes: class names, or "imagenet".
        ignore: patterns of foreign tensors that are no weights.
        licence: of the published weights.
    """

    source: str
    name: str
    models: tuple[str, ...]
    rules: tuple[Line, ...]
    kinds: Mapping[str, Mapping[str, str]]
    separator: str
    change: Mapping[str, Any]
    padding: str
    eps: float | None
    background: bool
    order: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    side: Mapping[str, int]
    resize: Mapping[str, int]
    keep_aspect: bool
    antialias: bool
    classes: str | tuple[str, ...]
    ignore: tuple[str, ...]
    licence: str


@cache
def tables() -> tuple[Network, ...]:
    """Every network of every table, in the order of the files' names and of the entries."""
    folder = resources.files("sprat.weights") / "tables"
    entries = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda e: e.name)
    return tuple(
        network for entry in entries for network in parse_table(entry.name.removesuffix(".toml"), entry.read_text())
    )


@cache
def formats() -> Mapping[str, tuple[str, ...]]:
    """Source -> the readers whose files it may come in."""
    folder = resources.files("sprat.weights") / "tables"
    return {
        entry.name.removesuffix(".toml"): tuple(tomllib.loads(entry.read_text())["formats"])
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    }


def networks_of(reader: str) -> list[Network]:
    """The networks that a file read by that reader may hold."""
    return [network for network in tables() if reader in formats()[network.source]]


def parse_table(source: str, content: str) -> Iterator[Network]:
    """The networks of one table."""
    table = tomllib.loads(content)
    for entry in table["network"]:
        entry = dict(entry)
        feed = table["input"][entry.pop("input")] if "input" in entry else {}
        side, resize = entry.pop("side", 224), entry.pop("resize", 0)
        yield Network(
            source=source,
            name=entry.pop("name"),
            models=tuple(entry.pop("models")),
            rules=tuple(parse_rules(entry.pop("rules"))),
            kinds=table["kind"],
            separator=table.get("separator", "/"),
            change={name: _frozen(value) for name, value in entry.pop("change", {}).items()},
            padding=entry.pop("padding", "symmetric"),
            eps=entry.pop("eps", None),
            background=entry.pop("background", False),
            order=feed.get("order", "rgb"),
            mean=tuple(float(value) for value in feed.get("mean", ())),
            std=tuple(float(value) for value in feed.get("std", ())),
            side=side if isinstance(side, dict) else {"*": side},
            resize=resize if isinstance(resize, dict) else {"*": resize},
            keep_aspect=entry.pop("keep_aspect", False),
            antialias=entry.pop("antialias", table.get("antialias", True)),
            classes=_classes(entry.pop("classes", "imagenet")),
            ignore=(*table.get("ignore", ()), *entry.pop("ignore", ())),
            licence=entry.pop("licence", ""),
        )
        assert not entry, f"unknown keys {sorted(entry)} in an entry of {source}.toml"


def _frozen(value: Any) -> Any:
    """A list as the tuple that a config holds."""
    return tuple(_frozen(part) for part in value) if isinstance(value, list) else value


def _classes(value: str | list[str]) -> str | tuple[str, ...]:
    return value if isinstance(value, str) else tuple(value)
