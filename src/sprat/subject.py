"""Subject: the network a command is about, from the text a user writes.

A preset or candidate name (`mobilenet_v1_0.25`), a .sprat or .safetensors file, a .json file with an architecture, or
a class or function of the user's own (`path/to/file.py:ClassName`).
"""

import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.search.pool import select
from sprat.zoo import build, config_from_dict, published_input


@dataclass(frozen=True)
class Subject:
    """A network without weights that matter, and what it takes.

    Args:
        name: as the user wrote it.
        net: on the meta device where its code allows.
        image: the input.
        num_classes: of the classifier; None for a network of the user's own.
    """

    name: str
    net: nn.Module
    image: ImageSpec
    num_classes: int | None


def subject(text: str, image: ImageSpec | None = None, num_classes: int | None = None) -> Subject:
    """The network that `text` names, for counting; what is not given is as published.

    Raises:
        UnknownName: no model has that name; the message offers the nearest.
        BadInput: the file or class cannot be used; the message says why.
    """
    path, colon, attribute = text.rpartition(":")
    if colon and path.endswith(".py"):
        return Subject(text, _own(Path(path), attribute), image or ImageSpec(3, 224, 224), None)
    if text.endswith(".py"):
        raise BadInput(f"{text} names a file; name the class in it too, as in {text}:MyNetwork")
    if text.endswith((".sprat", ".safetensors")):
        from sprat.export.load import read_manifest

        manifest = read_manifest(Path(text))
        return _built(
            text,
            config_from_dict(manifest.architecture),
            image or ImageSpec(*manifest.image),
            num_classes or len(manifest.classes),
        )
    if text.endswith(".json"):
        config = config_from_dict(_read_json(Path(text)))
        return _built(text, config, image or ImageSpec(3, 224, 224), num_classes or 1000)
    configs = select([text])
    if len(configs) != 1:
        raise BadInput(f"{text!r} names {len(configs)} models, from {min(configs)} to {max(configs)}; name one of them")
    ((name, config),) = configs.items()
    usual_image, usual_classes = published_input(name)
    return _built(name, config, image or usual_image, num_classes or usual_classes)


def _built(name: str, config: Any, image: ImageSpec, num_classes: int) -> Subject:
    with torch.device("meta"):
        return Subject(name, build(config, image, num_classes), image, num_classes)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text())
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise BadInput(f"{path} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise BadInput(f"{path} holds no architecture: it must be an object with the key family")
    return values


def _own(path: Path, attribute: str) -> nn.Module:
    """An instance of the user's class, on the meta device where its code allows; runs the user's file."""
    make = _attribute(path, attribute)
    try:
        with torch.device("meta"):
            net = make()
    except Exception:
        net = _made(make, path, attribute)
    if not isinstance(net, nn.Module):
        raise BadInput(f"{path}:{attribute} gives a {type(net).__name__}, not a torch.nn.Module")
    return net


def _made(make: Callable[[], Any], path: Path, attribute: str) -> Any:
    try:
        return make()
    except Exception as error:
        raise BadInput(
            f"cannot make {path}:{attribute} without arguments: {error}; name a function of {path.name} that takes "
            "none and returns the network"
        ) from error


def _attribute(path: Path, attribute: str) -> Callable[[], Any]:
    if not path.is_file():
        raise BadInput(f"no file {path}; give it as path/to/file.py:ClassName")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise BadInput(f"{path} cannot be imported as Python")
    module = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)  # so that the file finds the modules beside it
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise BadInput(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(folder)
    made: Callable[[], Any] | None = getattr(module, attribute, None)
    if not callable(made):
        classes = [value for value in vars(module).values() if isinstance(value, type)]
        names = [value.__name__ for value in classes if issubclass(value, nn.Module)]
        hint = f"it has {', '.join(names[:6])}" if names else "it has no networks"
        raise BadInput(f"{path} has no class or function {attribute!r}; {hint}")
    return made
