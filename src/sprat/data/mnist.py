"""mnist: the IDX files of MNIST and its relatives (Fashion-MNIST, KMNIST, EMNIST), gzip or not.

Source: yann.lecun.com/exdb/mnist, "The IDX file format": two zero bytes, 8 (unsigned bytes), the number of dimensions,
their big-endian sizes, the values.
"""

import gzip
import math
import re
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sprat.data.source import Item, Listing, Pixels, dataset, first_bytes
from sprat.errors import BadInput

_NAME = re.compile(r"(.*?)(train|t10k|test)[-_.](images|labels)[-_.]?(idx[13])?.*", re.IGNORECASE)
_MAX_BYTES = 4_000_000_000


def _magic(path: Path) -> bytes:
    start = first_bytes(path, 4)
    if start[:2] != b"\x1f\x8b":
        return start
    try:
        with gzip.open(path) as stream:
            return stream.read(4)
    except (OSError, EOFError, zlib.error):
        return b""


def _home(source: str) -> Path:
    """The folder that holds the IDX files: the one given, that of a file given, or where usual downloaders put them."""
    path = Path(source)
    if path.is_file():
        return path.parent
    return next((place for place in (path, path / "raw", path / "MNIST" / "raw") if _files(place)), path)


def _files(folder: Path) -> dict[tuple[str, str], Path]:
    """("train" or "test", "images" or "labels") -> file."""
    found: dict[tuple[str, str], Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        match = _NAME.fullmatch(path.name)
        if match and path.is_file() and _magic(path) in (b"\0\0\x08\x01", b"\0\0\x08\x03"):
            split = "train" if match[2].lower() == "train" else "test"
            found.setdefault((split, match[3].lower()), path)
    return found


def _recognises(source: str) -> bool:
    path = Path(source)
    if path.is_file() and not (_NAME.fullmatch(path.name) and _magic(path)[:3] == b"\0\0\x08"):
        return False
    return ("train", "images") in _files(_home(source))


@dataset("mnist", understands="a folder with the MNIST IDX files, gzip or not", recognises=_recognises)
def read_mnist(source: str) -> Listing:
    """Grey images and their labels, train and test as the files say; classes are the labels in rising order.

    Raises:
        BadInput: a file is missing or damaged, or counts differ.
    """
    home = _home(source)
    files = _files(home)
    items: list[Item] = []
    for split in ("train", "test"):
        if not any((split, part) in files for part in ("images", "labels")):
            continue
        for part in ("images", "labels"):
            if (split, part) not in files:
                raise BadInput(
                    f"data {source!r} lacks the {part} file of its {split} split; put all four IDX files in one folder"
                )
        images = _read(files[split, "images"], 3)
        labels = _read(files[split, "labels"], 1)
        if len(images) != len(labels):
            raise BadInput(
                f"data {source!r}: {len(images)} {split} images but {len(labels)} labels; fetch the files again"
            )
        items += [
            Item(f"{split}/{index:05d}", str(label), split, Pixels(image))
            for index, (image, label) in enumerate(zip(images[..., None], labels.tolist(), strict=True))
        ]
    return Listing(home.resolve().name, tuple(items))


def _read(path: Path, dimensions: int) -> NDArray[np.uint8]:
    try:
        with gzip.open(path) if first_bytes(path, 2) == b"\x1f\x8b" else path.open("rb") as stream:
            head = stream.read(4 + 4 * dimensions)
            if len(head) < 4 + 4 * dimensions or head[:4] != bytes((0, 0, 8, dimensions)):
                raise BadInput(
                    f"file {str(path)!r} is no IDX file of unsigned bytes in {dimensions} dimensions; fetch it again"
                )
            shape = struct.unpack(f">{dimensions}I", head[4:])
            size = math.prod(shape)
            if size > _MAX_BYTES:
                raise BadInput(f"file {str(path)!r} claims {size:,} bytes; the limit is {_MAX_BYTES:,}")
            body = stream.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"file {str(path)!r} is damaged ({error}); fetch it again") from None
    if len(body) != size or 0 in shape[1:]:
        raise BadInput(f"file {str(path)!r} should hold {size:,} bytes of shape {shape} and does not; fetch it again")
    return np.frombuffer(body, np.uint8).reshape(shape)
