"""import_weights: a file of another framework as a network of ours, with what it needs to predict."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sprat.artifact import Manifest
from sprat.errors import BadInput, UnknownName
from sprat.export.load import network_of
from sprat.export.safetensors import to_safetensors
from sprat.image import ImageSpec
from sprat.preprocess import Preprocess
from sprat.weights.convert import Converted, convert, side_of
from sprat.weights.fetch.published import sha256_of
from sprat.weights.foreign import Foreign, read_foreign
from sprat.weights.imagenet import imagenet_classes
from sprat.weights.rules import MAX_LISTED, Pairing, likeness
from sprat.weights.table import Network, networks_of
from sprat.zoo import all_presets, config_to_dict

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Imported:
    """An imported network.

    Args:
        model: the preset it is, without the details its source adds.
        network: the published network of the table.
        manifest: architecture, classes, preprocessing, licence, origin.
        state: every parameter and statistic by name, float32.
        others: "entry as model" of the other networks whose every tensor fits too, but which differ in architecture.
    """

    model: str
    network: Network
    manifest: Manifest
    state: dict[str, Any]
    others: tuple[str, ...] = ()

    def build(self) -> "nn.Module":
        """The network with its weights, in inference mode: (N, C, H, W) to logits (N, classes).

        Its input is normalised pixels; `Preprocess.from_dict(manifest.preprocessing)` makes them.
        """
        return network_of(self.manifest, self.state)

    def save(self, path: Path) -> Manifest:
        """Write the .safetensors file; the manifest with the hash of the weights."""
        return to_safetensors(self.state, self.manifest, path)


def import_weights(
    path: Path, *, model: str | None = None, image: ImageSpec | None = None, classes: tuple[str, ...] | None = None
) -> Imported:
    """The network a foreign file holds, every tensor of both accounted for.

    Args:
        path: the file; its format is told by its content.
        model: a preset, a pattern of presets, or the name of an entry of a table ("tf_slim/mobilenet_v1"); None tries
            all that the format may hold.
        image: the network's input; None takes the file's own where it says so, or the published one.
        classes: names, in the order of the outputs; None takes the published ones.

    Raises:
        BadInput: the file cannot be read, or holds none of the networks; the message lists what does not fit.
        UnknownName: no table of the format has such a network.
    """
    foreign = read_foreign(path)
    tried: list[tuple[int, str]] = []
    found: Imported | None = None
    for network, name, preset in _candidates(foreign, model):
        spec = image or _own_image(foreign) or ImageSpec(3, *[side_of(network.side, name)] * 2)
        result = convert(foreign, network, name, preset, spec)
        if not isinstance(result, Converted):
            tried.append(_fault(network, name, result))
        elif found is None:
            manifest = _manifest(path, foreign, network, name, result, classes)
            found = Imported(name, network, manifest, result.state)
        elif config_to_dict(result.config) != found.manifest.architecture:
            found = replace(found, others=(*found.others, f"{network.source}/{network.name} as {name}"))
    if found is not None:
        return found
    if not tried:
        raise _unknown(path, foreign, model)
    # Names that fit but for shapes are nearer than names that do not.
    _, nearest = min(tried, key=lambda entry: entry[0])
    raise BadInput(
        f"{path} ({foreign.format}, {len(foreign.tensors)} tensors) holds none of the {len(tried)} networks it was "
        f"compared with; the nearest is {nearest}"
    )


def _unknown(path: Path, foreign: Foreign, model: str | None) -> UnknownName:
    """The error for a network that no table of the format has."""
    networks = networks_of(foreign.format)
    names = {f"{network.source}/{network.name}" for network in networks}
    names |= {name for name in all_presets() if any(fnmatchcase(name, p) for n in networks for p in n.models)}
    near = get_close_matches(model or "", names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "docs/reference/weights.md lists what is known"
    return UnknownName(f"{path} is of the format {foreign.format}, in which no network {model!r} is known; {hint}")


def _candidates(foreign: Foreign, model: str | None) -> Iterator[tuple[Network, str, Any]]:
    """(entry, preset name, preset) of every network the file may hold, by its format and by what the user says."""
    presets = all_presets()
    networks = networks_of(foreign.format)
    names = list(foreign.tensors)
    alike = {id(network): likeness(network, names) for network in networks}
    if model is None:  # strangers are not built: there are many, and the nearest say what does not fit
        nearest = max(alike.values(), default=0.0)
        networks = [network for network in networks if alike[id(network)] >= 0.9 * nearest]
    for network in networks:
        whole = model in (network.name, f"{network.source}/{network.name}")
        for pattern in network.models:
            for name, preset in presets.items():
                if fnmatchcase(name, pattern) and (model is None or whole or fnmatchcase(name, model)):
                    yield network, name, preset


def _fault(network: Network, name: str, result: Pairing | list[str]) -> tuple[int, str]:
    """How far a network is from the file, and what does not fit, in words."""
    entry = f"{network.source}/{network.name} as {name}"
    if isinstance(result, Pairing):
        return 1000 + len(result.missing) + len(result.unused), f"{entry}: {result.faults()}"
    listed = ", ".join(result[:MAX_LISTED]) + (", ..." if len(result) > MAX_LISTED else "")
    return len(result), f"{entry}: {len(result)} of another shape: {listed}"


def _own_image(foreign: Foreign) -> ImageSpec | None:
    """The input the file itself speaks of, as (C, H, W) in its notes."""
    shape = foreign.notes.get("image")
    return None if shape is None else ImageSpec(*shape)


def _manifest(
    path: Path, foreign: Foreign, network: Network, name: str, made: Converted, classes: tuple[str, ...] | None
) -> Manifest:
    side = side_of(network.resize, name)
    larger = max(made.image.height, made.image.width)
    published = side_of(network.side, name)
    if side and larger != published:
        side = round(side * larger / published)
    preprocess = Preprocess(
        made.image.channels,
        made.image.height,
        made.image.width,
        network.mean,
        network.std,
        side,
        network.keep_aspect and side > 0,
        network.antialias,
    )
    return Manifest(
        architecture=config_to_dict(made.config),
        image=made.image.shape,
        classes=_classes(network, made.num_classes, classes),
        preprocessing=preprocess.to_dict(),
        licence=network.licence or None,
        origin={
            "file": path.name,
            "sha256": sha256_of(path) if path.is_file() else None,
            "format": foreign.format,
            "network": f"{network.source}/{network.name}",
        },
    )


def _classes(network: Network, count: int, given: tuple[str, ...] | None) -> tuple[str, ...]:
    if given is not None and (len(given) != count or len(set(given)) < count):
        raise BadInput(f"{len(given)} classes are named, the network has {count} outputs; name each once, in order")
    if given is not None:
        return given
    names = imagenet_classes() if network.classes == "imagenet" else tuple(network.classes)
    return names if len(names) == count else tuple(str(index) for index in range(count))
