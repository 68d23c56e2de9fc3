"""Family: how a config value becomes a network, and the registry of all families and presets."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from types import NoneType, UnionType
from typing import Any, Protocol, get_args, get_origin, get_type_hints

import torch
from torch import nn

from sprat.errors import BadInput, UnknownName
from sprat.image import ImageSpec
from sprat.registry import Registry
from sprat.zoo.end_padded import end_padded
from sprat.zoo.ported import Ported


class Build(Protocol):
    """Turns a config value into a network with freshly initialised weights."""

    def __call__(self, config: Any, image: ImageSpec, num_classes: int) -> nn.Module:
        """The network of a config of this family."""
        ...


@dataclass(frozen=True)
class Family:
    """One architecture family.

    Args:
        name: of the family.
        paper: where it was published, as "arXiv:1704.04861".
        config: type of its config values.
        build: turns one of them into a network.
        presets: name to config.
        inputs: pattern of preset names to the published (side of the square colour image, number of classes), where
            these are not 224 pixels and 1,000 classes.
    """

    name: str
    paper: str
    config: type
    build: Build
    presets: Mapping[str, Any]
    inputs: Mapping[str, tuple[int, int]]


FAMILIES: Registry[Family] = Registry("model family", "sprat.zoo")


def family(
    name: str,
    *,
    paper: str,
    config: type,
    presets: Mapping[str, Any],
    inputs: Mapping[str, tuple[int, int]] | None = None,
) -> Callable[[Build], Build]:
    """Register the decorated build function as a family; the arguments are those of Family."""

    def register(build_function: Build) -> Build:
        FAMILIES.add(name, Family(name, paper, config, build_function, presets, inputs or {}))
        return build_function

    return register


def family_of(config: object) -> Family:
    """The family a config value belongs to; of a ported one, the family inside.

    Raises:
        UnknownName: no family has configs of that type.
    """
    if isinstance(config, Ported):
        return family_of(config.network)
    for name in FAMILIES:
        if FAMILIES.get(name).config is type(config):
            return FAMILIES.get(name)
    raise UnknownName(f"no model family has configs of type {type(config).__name__}; known: {', '.join(FAMILIES)}")


def build(config: object, image: ImageSpec, num_classes: int) -> nn.Module:
    """The network of a config value, with freshly initialised weights.

    Raises:
        BadInput: the config cannot take this image or number of classes; the message says why.
    """
    if num_classes < 1:
        raise BadInput(f"num_classes is {num_classes}; a network needs at least 1 class")
    if isinstance(config, Ported):
        side = config.built_for
        net = build(config.network, ImageSpec(image.channels, side, side) if side else image, num_classes)
        return net if config.padding == "symmetric" else end_padded(net, config.padding)
    try:
        return family_of(config).build(config, image, num_classes)
    except (ArithmeticError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        raise BadInput(f"no network can be built from {config} for {image}: {str(error).splitlines()[0]}") from error


def class_tensors(config: object, image: ImageSpec) -> frozenset[str]:
    """Names of the parameters and statistics whose shape depends on the number of classes: those of the classifier."""
    with torch.device("meta"):
        few, more = (build(config, image, count).state_dict() for count in (10, 11))
    return frozenset(name for name, value in few.items() if value.shape != more[name].shape)


def all_presets() -> dict[str, Any]:
    """Every preset name and its config value, over all families."""
    return {name: config for key in FAMILIES for name, config in FAMILIES.get(key).presets.items()}


def list_models(pattern: str = "*") -> list[str]:
    """Preset names that match a shell pattern such as "*net*", sorted."""
    return sorted(name for name in all_presets() if fnmatchcase(name, pattern))


def get_preset(name: str) -> Any:
    """The config value behind a preset name.

    Raises:
        UnknownName: with the nearest names.
    """
    presets = all_presets()
    if name not in presets:
        near = get_close_matches(name, presets, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "`sprat zoo` shows them all"
        raise UnknownName(f"no model is called {name!r}; {hint}")
    return presets[name]


def published_input(name: str) -> tuple[ImageSpec, int]:
    """The image and the number of classes a preset was published with; ImageNet's 224 pixels where nothing is said."""
    for key in FAMILIES:
        for pattern, (side, num_classes) in FAMILIES.get(key).inputs.items():
            if fnmatchcase(name, pattern):
                return ImageSpec(3, side, side), num_classes
    return ImageSpec(3, 224, 224), 1000


def create(name: str, *, num_classes: int = 1000, image: ImageSpec = ImageSpec(3, 224, 224)) -> nn.Module:
    """The network of a preset name: `create("mobilenet_v1_0.25", num_classes=10)`."""
    return build(get_preset(name), image, num_classes)


def config_to_dict(config: object) -> dict[str, Any]:
    """A config value as JSON: its family and its fields, also nested values. `config_from_dict` is the inverse.

    A ported config has the fields of the one inside and "ported".
    """
    if isinstance(config, Ported):
        ported = {"padding": config.padding, "built_for": config.built_for}
        return {**config_to_dict(config.network), "ported": ported}
    return {"family": family_of(config).name, **_plain(config)}


def config_from_dict(values: Mapping[str, Any]) -> Any:
    """The config value that `config_to_dict` wrote.

    Raises:
        UnknownName: the family is not known.
        BadInput: a field is missing, unknown or of the wrong type.
    """
    rest = dict(values)
    if "ported" in rest:
        ported = rest.pop("ported")
        if not isinstance(ported, Mapping) or set(ported) != {"padding", "built_for"}:
            raise BadInput(f"ported is {ported!r}; it must be an object with padding and built_for")
        return Ported(network=config_from_dict(rest), **ported)
    name = rest.pop("family", None)
    if not isinstance(name, str):
        raise BadInput(f"architecture {values!r} names no family")
    return _value(FAMILIES.get(name).config, rest, f"family {name}")


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _value(wanted: Any, given: Any, where: str) -> Any:
    """`given`, as JSON has it, as a value of type `wanted`: a scalar, a tuple, an optional, or a frozen dataclass."""
    if is_dataclass(wanted) and isinstance(wanted, type):
        if not isinstance(given, Mapping):
            names = ", ".join(field.name for field in fields(wanted))
            raise BadInput(f"{where} must be an object with {names}; it is {given!r}")
        types = get_type_hints(wanted)
        for key in given:
            if key not in types:
                raise BadInput(f"architecture of {where} has no field {key!r}; it has {', '.join(types)}")
        parts = {key: _value(types[key], value, f"field {key!r} of {where}") for key, value in given.items()}
        needed = [f.name for f in fields(wanted) if f.default is MISSING and f.default_factory is MISSING]
        if absent := [name for name in needed if name not in parts]:
            raise BadInput(f"architecture of {where} needs the fields {', '.join(absent)}")
        return wanted(**parts)
    if get_origin(wanted) is tuple and isinstance(given, list | tuple):
        inner = get_args(wanted)
        kinds = [inner[0]] * len(given) if inner[-1] is Ellipsis else list(inner)
        if len(kinds) != len(given):
            raise BadInput(f"{where} must have {len(kinds)} entries; it has {len(given)}")
        return tuple(_value(kind, part, where) for kind, part in zip(kinds, given, strict=True))
    if get_origin(wanted) is UnionType:
        options = [option for option in get_args(wanted) if option is not NoneType]
        return None if given is None else _value(options[0], given, where)
    if wanted is float and type(given) is int:
        return float(given)
    if type(given) is not wanted:
        raise BadInput(f"{where} must be {getattr(wanted, '__name__', wanted)}; it is {given!r}")
    return given
