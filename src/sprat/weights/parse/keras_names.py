"""What Keras calls its layers and weights, over its versions, brought to one form: "<layer>/<kernel, gamma, ...>".

Source: keras-team/keras, keras/src/saving/saving_lib.py and keras/src/legacy/saving/legacy_h5_format.py; the order of a
layer's variables from its save_own_variables.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from sprat.errors import BadInput
from sprat.weights.foreign import MAX_DIMENSIONS, MAX_TENSORS

MAX_NESTED = 8  # models in models
MAX_SIDE = 16_384  # pixels of an input
CONTAINERS = ("layers", "_layer_checkpoint_dependencies")  # of a model, in Keras 3 and in 2.12 to 2.15
# Layers that Keras numbers itself where they are not named, by how many of them the session had made before.
_NUMBERED = re.compile(r"(conv2d|depthwise_conv2d|separable_conv2d|batch_normalization|dense)(?:_(\d{1,9}))?")
_KERAS_1 = {"W": "kernel", "b": "bias", "running_mean": "moving_mean", "running_std": "moving_variance"}
_VARIABLES = {
    "conv2d": ("kernel", "bias"),
    "depthwise_conv2d": ("kernel", "bias"),
    "separable_conv2d": ("depthwise_kernel", "pointwise_kernel", "bias"),
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "dense": ("kernel", "bias"),
}
_COMPUTES = {"strides", "kernel_size", "padding", "dilation_rate", "groups", "depth_multiplier", "filters", "units"}
_COMPUTES |= {"pool_size", "use_bias", "activation", "epsilon", "scale", "center", "max_value", "negative_slope"}
_KEPT = sorted(_COMPUTES | {"batch_shape", "batch_input_shape", "data_format"})


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of a model's config.

    Args:
        name: as the model calls it.
        kind: its class, "Conv2D".
        values: those of its config that say what it computes.
        place: of it in a file that tells layers by their classes: ("conv2d_3",), in a nested model ("functional",
            "conv2d_3").
    """

    name: str
    kind: str
    values: Mapping[str, Any]
    place: tuple[str, ...]


def snake(kind: str) -> str:
    """A class name in small letters, words parted: "DepthwiseConv2D" is "depthwise_conv2d"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "_", kind).lower()


def word_of(place: str) -> str:
    """The class of a numbered place, as `snake` writes it: "conv2d_3" is of "conv2d"."""
    return re.sub(r"_\d{1,9}$", "", place)


def ranked(places: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Place in a file -> the place of a `Layer`, whose numbers have no gaps: conv2d, conv2d_2 -> conv2d, conv2d_1.

    Keras 3 leaves no gaps; versions before it may count a layer twice.
    """
    children: dict[tuple[str, ...], set[str]] = {}
    for place in places:
        for depth, part in enumerate(place):
            children.setdefault(place[:depth], set()).add(part)
    news: dict[tuple[str, ...], str] = {}
    for parent, parts in children.items():
        counts: dict[str, int] = {}
        for part in sorted(parts, key=lambda part: (word_of(part), number_of(part))):
            word = word_of(part)
            number = counts[word] = counts.get(word, -1) + 1
            news[*parent, part] = f"{word}_{number}" if number else word
    return {place: tuple(news[place[: depth + 1]] for depth in range(len(place))) for place in places}


def number_of(place: str) -> int:
    """The number of a numbered place: 3 of "conv2d_3", 0 of "conv2d"."""
    return int(place[len(word_of(place)) + 1 :] or 0)


def layers_of(model: Any, place: tuple[str, ...] = ()) -> Iterator[Layer]:
    """The layers of a model's config in the model's order, those of nested models in their place.

    Raises:
        BadInput: models in models without an end.
    """
    if len(place) > MAX_NESTED:
        raise BadInput(f"the config has models in models over {MAX_NESTED} deep; the file is damaged")
    config = _mapping(model).get("config")
    listed = config if isinstance(config, list) else _mapping(config).get("layers")
    counts: dict[str, int] = {}
    for entry in listed if isinstance(listed, list) else []:
        kind, values = str(_mapping(entry).get("class_name", "")), _mapping(_mapping(entry).get("config"))
        word = snake(kind)
        number = counts[word] = counts.get(word, -1) + 1
        here = (*place, f"{word}_{number}" if number else word)
        name = values.get("name", _mapping(entry).get("name", here[-1]))
        yield Layer(str(name), kind, {key: values[key] for key in _KEPT if _plain(values.get(key))}, here)
        if isinstance(_mapping(entry).get("config"), list) or "layers" in values:
            yield from layers_of(entry, here)


def image_of(layers: Iterable[Layer]) -> list[int] | None:
    """(C, H, W) of the network's input where its config says it, channels last; else None."""
    for layer in layers:
        shape = layer.values.get("batch_shape") or layer.values.get("batch_input_shape")
        if not isinstance(shape, list) or layer.values.get("data_format") == "channels_first":
            continue
        if len(shape) == 4 and all(type(side) is int and 0 < side <= MAX_SIDE for side in shape[1:]):
            height, width, channels = shape[1:]
            return [channels, height, width] if channels in (1, 3) else None
        return None
    return None


def parsed(text: str | bytes, what: str) -> Any:
    """The value of a JSON text.

    Raises:
        BadInput: it is no JSON, or is nested too deep.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BadInput(f"{what} is no JSON; the file is damaged") from None


def short(weight: str, layer: str) -> str:
    """The last word of a weight's name: "conv1/kernel:0" and Keras 1's "conv1_W_1:0" of layer conv1 are "kernel"."""
    last = re.sub(r":\d+$", "", weight.rpartition("/")[2])
    if "/" not in weight and last.startswith(f"{layer}_"):
        last = re.sub(r"_\d+$", "", last.removeprefix(f"{layer}_"))
    return _KERAS_1.get(last, last)


def variables(word: str, count: int, values: Mapping[str, Any] | None) -> Sequence[str]:
    """Names of the variables that a layer saves by their numbers: "0", "1", ... where the class is not known.

    Args:
        word: the class, as `snake` writes it.
        count: of variables that were saved.
        values: of the layer's config. Without it a batch norm of three variables is one without gamma, as the published
            networks have them.
    """
    names = list(_VARIABLES.get(word, ()))
    if word == "batch_normalization":
        missing = {"gamma": "scale", "beta": "center"} if values else {}
        dropped = [name for name, key in missing.items() if values and values.get(key) is False]
        if not values:
            dropped = ["gamma", "beta"][: 4 - count] if 2 <= count < 4 else []
        names = [name for name in names if name not in dropped]
        return names if len(names) == count else [str(index) for index in range(count)]
    # The bias comes last, and is not there where the layer has none.
    fits = count in (len(names), len(names) - 1)
    return names[:count] if names and fits else [str(index) for index in range(count)]


def renumbered(layers: Iterable[str]) -> dict[str, str]:
    """Layer name -> the same, or for one that Keras has numbered its class and rank: conv2d, conv2d_95 -> conv2d_0, _1.

    What the numbers begin with depends on what was built before in the same session; only their order says anything.
    """
    found = {name: name for name in layers}
    ranks: dict[str, list[tuple[int, str]]] = {}
    for name in found:
        if match := _NUMBERED.fullmatch(name):
            ranks.setdefault(match[1], []).append((int(match[2] or 0), name))
    for word, numbered in ranks.items():
        found.update({name: f"{word}_{rank}" for rank, (_, name) in enumerate(sorted(numbered))})
    return found


def check_count(count: int, what: str) -> None:
    """Refuse more layers than any network has.

    Raises:
        BadInput: over MAX_TENSORS.
    """
    if count > MAX_TENSORS:
        raise BadInput(f"{what} has {count:,} layers; no network has so many")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _plain(value: Any) -> bool:
    """Whether it is a finite number, a word, or a short list of those."""
    if isinstance(value, list):
        return len(value) <= MAX_DIMENSIONS and all(
            item is None or _plain(item) for item in value if not isinstance(item, list)
        )
    return isinstance(value, str | bool | int) or (isinstance(value, float) and isfinite(value))
