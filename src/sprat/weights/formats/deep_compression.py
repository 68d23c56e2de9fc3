"""Reader of the Deep Compression release of SqueezeNet, `compressed_SqueezeNet.net`: pruned, shared, sparse.

Source: Deep Compression (arXiv:1510.00149), section 3, for codebooks and relative indices; the layout is that of the
release's decoder. Little endian: the number of stored entries of each of the 26 layers (uint32); then per layer its
codebook (256 float32, of which the first is 0), its bias (float32), one code a stored entry (uint8), and the gaps
between them (4 bits, two a byte, the low half first). The file has no magic number and no names: it is known by these
sizes, which must add up to its length exactly. The Huffman stage of the paper is not in it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sprat.errors import BadInput
from sprat.weights.foreign import Foreign, reader

CODEBOOK = 256  # shared values of a layer, 8 bits a code
COUNT_BYTES, FLOAT_BYTES = 4, 4
# SqueezeNet v1.0 in the order of the file: fire, squeeze filters, filters of each of the two expand convolutions.
_FIRES = ((2, 16, 64), (3, 16, 64), (4, 32, 128), (5, 32, 128), (6, 48, 192), (7, 48, 192), (8, 64, 256), (9, 64, 256))


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution with bias.

    Args:
        name: as in the released Caffe network.
        shape: of its weights, (O, I, kh, kw).
    """

    name: str
    shape: tuple[int, int, int, int]

    @property
    def size(self) -> int:
        """Its weights, zeros too."""
        return self.shape[0] * self.shape[1] * self.shape[2] * self.shape[3]

    def stored_bytes(self, entries: int) -> int:
        """Bytes of the layer in the file when it stores so many entries."""
        return FLOAT_BYTES * (CODEBOOK + self.shape[0]) + entries + (entries + 1) // 2


def _layers() -> tuple[Layer, ...]:
    layers, channels = [Layer("conv1", (96, 3, 7, 7))], 96
    for fire, squeeze, expand in _FIRES:
        layers.append(Layer(f"fire{fire}/squeeze1x1", (squeeze, channels, 1, 1)))
        layers.append(Layer(f"fire{fire}/expand1x1", (expand, squeeze, 1, 1)))
        layers.append(Layer(f"fire{fire}/expand3x3", (expand, squeeze, 3, 3)))
        channels = 2 * expand
    return (*layers, Layer("conv10", (1000, channels, 1, 1)))


LAYERS = _layers()
HEADER_BYTES = COUNT_BYTES * len(LAYERS)
MAX_FILE_BYTES = HEADER_BYTES + sum(layer.stored_bytes(layer.size) for layer in LAYERS)


def declared_bytes(header: bytes) -> int | None:
    """How long a file with these entry counts is; None where they are not those of a SqueezeNet."""
    if len(header) != HEADER_BYTES:
        return None
    counts = np.frombuffer(header, "<u4").tolist()
    if any(count > layer.size for count, layer in zip(counts, LAYERS, strict=True)):
        return None  # an entry takes at least one position, so there are never more entries than weights
    return HEADER_BYTES + sum(layer.stored_bytes(count) for count, layer in zip(counts, LAYERS, strict=True))


def _recognises(path: Path, head: bytes) -> bool:
    """Whether the 26 counts of the file add up to its length."""
    if not head:  # a folder, or a prefix of several files
        return False
    try:
        with path.open("rb") as stream:
            return declared_bytes(stream.read(HEADER_BYTES)) == path.stat().st_size
    except OSError:
        return False


@reader(
    "deep_compression",
    understands="the Deep Compression release of SqueezeNet (.net)",
    recognises=_recognises,
)
def read(path: Path) -> Foreign:
    """The dense tensors of the file: "conv1/weights" (O, I, kh, kw) and "conv1/bias" (O,) of each layer, float32.

    The notes count `nonzero` weights, `fillers` (entries of code 0, which bridge gaps over 15) and `stored` entries.

    Raises:
        BadInput: the sizes do not add up to the file's length, an entry lies outside its layer, or the first value of a
            codebook is not 0.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    expected = declared_bytes(data[:HEADER_BYTES])
    if expected != len(data):
        said = "no SqueezeNet" if expected is None else f"a file of {expected:,} bytes"
        raise BadInput(
            f"{path} is no complete compressed SqueezeNet: its header speaks of {said}, it has {len(data):,} bytes; "
            "get the original file again"
        )
    counts = np.frombuffer(data, "<u4", len(LAYERS)).tolist()
    tensors: dict[str, NDArray[np.float32]] = {}
    position, nonzero = HEADER_BYTES, 0
    for layer, entries in zip(LAYERS, counts, strict=True):
        values = np.frombuffer(data, "<f4", CODEBOOK + layer.shape[0], position)
        codes = np.frombuffer(data, np.uint8, entries, position + values.nbytes)
        gaps = np.frombuffer(data, np.uint8, (entries + 1) // 2, position + values.nbytes + entries)
        position += layer.stored_bytes(entries)
        weights = _dense(layer, values[:CODEBOOK], codes, gaps)
        tensors[f"{layer.name}/weights"] = weights.reshape(layer.shape)
        tensors[f"{layer.name}/bias"] = values[CODEBOOK:].astype(np.float32)
        nonzero += int(np.count_nonzero(codes))
    assert position == len(data), "the sizes of the layers are those of the header"
    notes = {"nonzero": nonzero, "fillers": sum(counts) - nonzero, "stored": sum(counts)}
    return Foreign("deep_compression", tensors, notes)


def _dense(
    layer: Layer, codebook: NDArray[np.float32], codes: NDArray[np.uint8], gaps: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """The weights of a layer, flat: entry i lies gaps[i] + 1 after entry i - 1."""
    if codebook[0] != 0:
        raise BadInput(
            f"layer {layer.name}: the first value of its codebook is {codebook[0]}; it stands for the zeros between "
            "weights and must be 0: the file is damaged"
        )
    halves = np.stack([gaps & 15, gaps >> 4], axis=1).reshape(-1)[: len(codes)]
    places = np.cumsum(halves.astype(np.int64) + 1) - 1
    if len(places) > 0 and places[-1] >= layer.size:
        raise BadInput(
            f"layer {layer.name}: an entry lies at position {places[-1]:,} of {layer.size:,} weights; the file is "
            "damaged"
        )
    weights = np.zeros(layer.size, np.float32)
    weights[places] = codebook[codes]
    return weights
