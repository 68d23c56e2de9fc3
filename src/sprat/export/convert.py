"""convert(): a network's file in another of the formats that leave sprat."""

import json
from pathlib import Path

from sprat import artifact
from sprat.errors import BadInput
from sprat.export.load import network_of, read_network
from sprat.export.onnx import to_onnx
from sprat.export.safetensors import to_safetensors
from sprat.preprocess import Preprocess

FORMATS = ("onnx", "sprat", "safetensors")


def convert(file: Path, to: str, out: Path) -> int:
    """Length in bytes of `out`, now the network of `file` in the format `to`, with the same weights.

    Args:
        file: .sprat or .safetensors.
        to: "onnx", "sprat" or "safetensors".
        out: replaced if it exists; not `file` itself.

    Raises:
        BadArtifact: the file is damaged or not ours.
        BadInput: an unknown format, or a network that cannot be exported.
    """
    if to not in FORMATS:
        raise BadInput(f"format is {to!r}; it must be {', '.join(FORMATS)}")
    if out.resolve() == file.resolve():
        raise BadInput(f"{file} would be replaced by itself; give another --out")
    manifest, state = read_network(file)
    if to == "sprat":
        artifact.save(out, manifest, state)
    elif to == "safetensors":
        to_safetensors(state, manifest, out)
    else:
        note = json.dumps(manifest.to_dict(), ensure_ascii=False)
        preprocess = Preprocess.from_dict(manifest.preprocessing)
        to_onnx(network_of(manifest, state), preprocess, manifest.classes, out, manifest_json=note)
    return out.stat().st_size
