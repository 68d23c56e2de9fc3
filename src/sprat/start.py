"""Start: trained weights that a training, or compression, begins with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sprat.artifact import Manifest
from sprat.export.load import read_network
from sprat.preprocess import Preprocess


@dataclass(frozen=True)
class Start:
    """A file of trained weights.

    Args:
        manifest: what it says of itself.
        state: every parameter and statistic by name.
        note: what is kept of it in files that come from it: its name, the hash of its weights, where they came from.
    """

    manifest: Manifest
    state: dict[str, NDArray[Any]]
    note: dict[str, Any]

    @classmethod
    def read(cls, file: str) -> "Start":
        """The weights of a .sprat or .safetensors file.

        Raises:
            BadArtifact: there is no such file, or it is damaged, or was not written by sprat.
        """
        manifest, state = read_network(Path(file))
        note: dict[str, Any] = {"file": Path(file).name, "state_sha256": manifest.state_sha256}
        if manifest.origin:
            note["origin"] = manifest.origin
        return cls(manifest, state, note)

    @property
    def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """(mean, std) of pixels 0..255 that the weights were trained with, one value a channel."""
        preprocess = Preprocess.from_dict(self.manifest.preprocessing)
        return preprocess.mean, preprocess.std
