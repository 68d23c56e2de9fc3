"""The .sprat export: a network's weights and its manifest in one compressed file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from sprat import artifact
from sprat.artifact import Artifact, Manifest

if TYPE_CHECKING:
    from torch import nn


def state_of(net: "nn.Module") -> dict[str, NDArray[Any]]:
    """What a .sprat file holds of a network: every parameter and statistic by name, as numpy arrays.

    Batch norm's batch counters are left out: they play no part in inference, and `load` makes them anew.
    """
    return {
        name: value.detach().cpu().contiguous().numpy()
        for name, value in net.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def to_sprat(net: "nn.Module", manifest: Manifest, path: Path) -> Artifact:
    """The artifact at `path`, written in one step: the network's state as it is, and what the manifest says of it."""
    return artifact.save(path, manifest, state_of(net))
