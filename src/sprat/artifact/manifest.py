"""Manifest: what a `.sprat` file says of its network, and its JSON form."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from sprat import __version__
from sprat.errors import BadArtifact, BadInput

FORMAT_VERSION = 1
MAX_CHANNELS, MAX_SIDE = 16, 4096  # of a network's input; a damaged header shall not ask for all memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Enough, with the weights, to predict.

    Args:
        architecture: as `zoo.config_to_dict` gives it.
        image: (C, H, W) of the network's input.
        classes: names, in the order of the outputs.
        preprocessing: as `Preprocess.to_dict` gives it.
        scores: what was measured, by name.
        licence: of the weights, as an SPDX expression or a sentence.
        origin: of imported weights: file, its SHA-256, format, name in the table of its source.
        state_sha256: of the decoded weights (`artifact.state_sha256`); `save` fills it in.
        sprat_version: that wrote the file.
        format_version: of the file.
    """

    architecture: dict[str, Any]
    image: tuple[int, int, int]
    classes: tuple[str, ...]
    preprocessing: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    licence: str | None = None
    origin: dict[str, Any] = field(default_factory=dict)
    state_sha256: str = ""
    sprat_version: str = __version__
    format_version: int = FORMAT_VERSION

    def to_dict(self) -> dict[str, Any]:
        """The manifest as JSON values, the origin only where there is one; `from_dict` is the inverse."""
        values = {
            "format_version": self.format_version,
            "architecture": self.architecture,
            "image": list(self.image),
            "classes": list(self.classes),
            "preprocessing": self.preprocessing,
            "scores": self.scores,
            "licence": self.licence,
            "state_sha256": self.state_sha256,
            "sprat_version": self.sprat_version,
        }
        if self.origin:
            values["origin"] = self.origin
        return values

    @classmethod
    def from_dict(cls, values: Any) -> "Manifest":
        """The manifest that `to_dict` wrote.

        Raises:
            BadArtifact: a field is missing, unknown or of the wrong type.
        """
        if not isinstance(values, dict):
            raise BadArtifact(f"the manifest is {_kind(values)}; it must be a JSON object")
        version = values.get("format_version")
        if type(version) is not int or version != FORMAT_VERSION:
            raise BadArtifact(
                f"format version {version!r}; this sprat ({__version__}) reads {FORMAT_VERSION}: take a newer sprat"
            )
        values = {"origin": {}, **values}
        if missing := _FIELDS - values.keys():
            raise BadArtifact(f"the manifest has no {', '.join(sorted(missing))}; the file is damaged or not ours")
        if unknown := values.keys() - _FIELDS:
            raise BadArtifact(f"the manifest has unknown fields: {', '.join(sorted(unknown))}; take a newer sprat")
        for name in ("architecture", "preprocessing", "scores", "origin"):
            _check(values, name, isinstance(values[name], dict), "an object")
        for name in ("state_sha256", "sprat_version"):
            _check(values, name, isinstance(values[name], str), "a string")
        _check(values, "licence", values["licence"] is None or isinstance(values["licence"], str), "a string or null")
        image, classes = values["image"], values["classes"]
        sides = isinstance(image, list) and len(image) == 3 and all(type(side) is int and side > 0 for side in image)
        sides = sides and image[0] <= MAX_CHANNELS and max(image[1:]) <= MAX_SIDE
        wanted = f"[C, H, W] of at most {MAX_CHANNELS} channels and {MAX_SIDE} pixels a side, each at least 1"
        _check(values, "image", sides, wanted)
        names = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
        _check(values, "classes", names, "a list of strings")
        return cls(**{**values, "image": tuple(image), "classes": tuple(classes)})


_FIELDS = frozenset(each.name for each in fields(Manifest))


def write_json(manifest: Manifest) -> bytes:
    """The manifest as it lies in a file: UTF-8 JSON without spaces; the state's hash has a place of its own there.

    Raises:
        BadInput: a value has no JSON form.
    """
    values = {name: value for name, value in manifest.to_dict().items() if name != "state_sha256"}
    try:
        text = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInput(f"the manifest cannot be written as JSON: {error}; use numbers, strings, lists, dicts") from None


def read_json(content: bytes, state_sha256: str) -> Manifest:
    """The manifest that `write_json` wrote, with the hash that stood beside it.

    Raises:
        BadArtifact: it is not JSON, or not a manifest.
    """
    try:
        values = json.loads(content.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadArtifact(f"the manifest is not valid JSON ({error}): the file is damaged") from None
    if isinstance(values, dict):
        if "state_sha256" in values:
            raise BadArtifact("the manifest has a state_sha256 in its JSON, where there is none: the file is damaged")
        values["state_sha256"] = state_sha256
    return Manifest.from_dict(values)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key occurs twice in one object")
    return values


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is not a JSON number")


def _check(values: Mapping[str, Any], name: str, holds: bool, wanted: str) -> None:
    if not holds:
        raise BadArtifact(f"the manifest's {name} must be {wanted}; it is {_kind(values[name])}: the file is damaged")


def _kind(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
