"""Family: how a config value becomes a network, and the registry of all families and presets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, Protocol

from torch import nn

from sprat.errors import BadInput, UnknownName
from sprat.image import ImageSpec
from sprat.registry import Registry


class Build(Protocol):
    """Turns a config value into a network with freshly initialised weights."""

    def __call__(self, config: Any, image: ImageSpec, num_classes: int) -> nn.Module:
        """The network of a config of this family."""
        ...


@dataclass(frozen=True)
class Family:
    """One architecture family: its paper, its config type, how to build it, and its presets (name -> config)."""

    name: str
    paper: str
    config: type
    build: Build
    presets: Mapping[str, Any]


FAMILIES: Registry[Family] = Registry("model family", "sprat.zoo")


def family(name: str, *, paper: str, config: type, presets: Mapping[str, Any]) -> Callable[[Build], Build]:
    """Register the decorated build function as a family; presets are named as the paper names them."""

    def register(build_function: Build) -> Build:
        FAMILIES.add(name, Family(name, paper, config, build_function, presets))
        return build_function

    return register


def family_of(config: object) -> Family:
    """The family a config value belongs to.

    Raises:
        UnknownName: no family has configs of that type.
    """
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
    return family_of(config).build(config, image, num_classes)


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
        hint = f"did you mean {' or '.join(near)}?" if near else "`sprat.list_models()` names them all"
        raise UnknownName(f"no model is called {name!r}; {hint}")
    return presets[name]


def create(name: str, *, num_classes: int = 1000, image: ImageSpec = ImageSpec(3, 224, 224)) -> nn.Module:
    """The network of a preset name: `create("mobilenet_v1_0.25", num_classes=10)`."""
    return build(get_preset(name), image, num_classes)


def config_to_dict(config: object) -> dict[str, Any]:
    """A config value as JSON: its family and its fields. `config_from_dict` is the inverse."""
    values = {field.name: getattr(config, field.name) for field in fields(config)}  # type: ignore[arg-type]
    return {"family": family_of(config).name, **values}


def config_from_dict(values: Mapping[str, Any]) -> Any:
    """The config value that `config_to_dict` wrote.

    Raises:
        UnknownName: the family is not known.
        BadInput: a field is missing, unknown or of the wrong type.
    """
    rest = dict(values)
    name = rest.pop("family", None)
    if not isinstance(name, str):
        raise BadInput(f"architecture {values!r} names no family")
    found = FAMILIES.get(name)
    types = {field.name: field.type for field in fields(found.config)}
    for key, value in rest.items():
        wanted = types.get(key)
        if wanted is None:
            raise BadInput(f"architecture of family {name} has no field {key!r}; it has {', '.join(types)}")
        if wanted is float and type(value) is int:
            rest[key] = float(value)
        elif isinstance(wanted, type) and type(value) is not wanted:
            raise BadInput(f"field {key!r} of family {name} must be {wanted.__name__}; it is {value!r}")
    return found.config(**rest)
