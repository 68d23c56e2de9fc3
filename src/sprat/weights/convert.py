"""Foreign tensors into a network of ours: every shape checked, the details of the source folded in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.weights.foreign import Foreign
from sprat.weights.layout import arranged, constant
from sprat.weights.rules import MAX_LISTED, Pairing, Source, pair
from sprat.weights.table import Network
from sprat.zoo import Ported, build, class_tensors, published_input

Array = NDArray[Any]
_KEEPS_STRIDES = 128  # pixels a side from which the zoo builds the published strides


@dataclass(frozen=True)
class Converted:
    """A foreign file as a network of ours.

    Args:
        config: of the network, with the details its source needs.
        image: its input.
        num_classes: of the classifier, the background class left out.
        state: every parameter and statistic by name, float32.
    """

    config: Any
    image: ImageSpec
    num_classes: int
    state: dict[str, Array]


def skeleton(config: Any, image: ImageSpec, num_classes: int) -> nn.Module:
    """The network on the meta device: shapes without memory."""
    with torch.device("meta"):
        return build(config, image, num_classes)


def parameters_of(net: nn.Module) -> dict[str, list[str]]:
    """Module name -> names of its own parameters and statistics, batch counters left out."""
    found: dict[str, list[str]] = {}
    for name in net.state_dict():
        module, _, parameter = name.rpartition(".")
        if parameter != "num_batches_tracked":
            found.setdefault(module, []).append(parameter)
    return found


def config_of(network: Network, name: str, preset: Any, image: ImageSpec) -> Any:
    """The preset with the changes of a published network, padded and strided as its source has it."""
    config = replace(preset, **network.change) if network.change else preset
    usual, _ = published_input(name)
    small = min(image.height, image.width) < _KEEPS_STRIDES and image != usual
    built_for = usual.height if small else 0
    if network.padding == "symmetric" and not built_for:
        return config
    return Ported(network=config, padding=network.padding, built_for=built_for)


def side_of(sides: Mapping[str, int], name: str) -> int:
    """What is given for a preset, by the first pattern that matches its name; 0 for none."""
    return next((side for pattern, side in sides.items() if fnmatchcase(name, pattern)), 0)


def convert(
    foreign: Foreign, network: Network, name: str, preset: Any, image: ImageSpec
) -> Converted | Pairing | list[str]:
    """The file as that network; or, where it does not fit, the incomplete pairing or the tensors of a wrong shape."""
    config = config_of(network, name, preset, image)
    net = skeleton(config, image, 10)
    pairing = pair(network, list(foreign.tensors), parameters_of(net))
    if not pairing.complete:
        return pairing
    shapes = {key: tuple(value.shape) for key, value in net.state_dict().items() if key in pairing.sources}
    by_class = class_tensors(config, image)
    eps = {module_name: m.eps for module_name, m in net.named_modules() if isinstance(m, nn.BatchNorm2d)}
    state: dict[str, Array] = {}
    wrong: list[str] = []
    counts: set[int] = set()
    for key, shape in shapes.items():
        source = pairing.sources[key]
        try:
            value = _value(source, foreign.tensors, shape, eps.get(key.rpartition(".")[0], 0.0))
        except BadInput as error:
            wrong.append(str(error))
            continue
        if key in by_class:
            if network.background and value.shape[:1] == (1001,):
                value = value[1:]
            shape = (*value.shape[:1], *shape[1:])
            if source.names:
                counts.update(value.shape[:1])
        if value.shape != shape:
            wrong.append(f"{' and '.join(source.names)} of shape {value.shape} for {key} of shape {shape}")
        state[key] = value
    if wrong or len(counts) != 1:
        return wrong or [f"the tensors of the classifier speak of {sorted(counts)} classes"]
    (num_classes,) = counts
    for key in by_class:  # constants of the classifier, now that its length is known
        if not pairing.sources[key].names:
            state[key] = np.full((num_classes, *state[key].shape[1:]), state[key].flat[0])
    try:
        net.eval()(torch.empty(1, *image.shape, device="meta"))
    except (RuntimeError, ValueError) as error:
        return [f"images of {image} ({str(error).splitlines()[0]}); the network was published for {_usual(name)}"]
    if network.order == "bgr":
        _reverse_channels(net, state)
    if network.eps is not None:
        _fold_eps(state, eps, network.eps, pairing.sources)
    infinite = [key for key, value in state.items() if not np.isfinite(value).all()]
    if infinite:
        return [f"{key} holds numbers that are not finite" for key in infinite[:MAX_LISTED]]
    return Converted(config, image, num_classes, {n: np.ascontiguousarray(v, np.float32) for n, v in state.items()})


def _usual(name: str) -> ImageSpec:
    usual, _ = published_input(name)
    return usual


def _value(source: Source, tensors: Mapping[str, Array], shape: Sequence[int], eps: float) -> Array:
    if not source.names:
        return np.full(shape, constant(source.transform, eps), np.float32)
    first = arranged(tensors[source.names[0]], source.transform, source.names[0])
    if len(source.names) == 1:
        return first
    second = tensors[source.names[1]]
    if second.shape != first.shape:
        raise BadInput(f"{source.names[1]} has the shape {second.shape}, {source.names[0]} has {first.shape}")
    return first - second


def _reverse_channels(net: nn.Module, state: dict[str, Array]) -> None:
    """Make a network that was trained on blue, green, red take red, green, blue: its first convolution is turned."""
    first = next(name for name, module in net.named_modules() if isinstance(module, nn.Conv2d))
    kernel = state[f"{first}.weight"]
    assert kernel.shape[1] == 3, "the first convolution does not read three colours"
    state[f"{first}.weight"] = kernel[:, ::-1]


def _fold_eps(state: dict[str, Array], ours: Mapping[str, float], theirs: float, sources: Mapping[str, Source]) -> None:
    """Where our batch norm adds another number to the variance, the gain makes up for it exactly."""
    for name, eps in ours.items():
        if eps != theirs and sources[f"{name}.running_var"].names:
            variance = state[f"{name}.running_var"].astype(np.float64)
            state[f"{name}.weight"] = state[f"{name}.weight"] * np.sqrt((variance + eps) / (variance + theirs))
