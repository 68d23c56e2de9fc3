"""cifar: the official python archives of CIFAR-10 and CIFAR-100, packed or extracted.

Source: cs.toronto.edu/~kriz/cifar.html, "CIFAR-10 python version": pickled dicts with `data` (N, 3072) uint8, the red,
green and blue planes of 32x32 each, and `labels` or `fine_labels`.
"""

import gzip
import io
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from sprat.data.pickled import read_pickle
from sprat.data.source import Item, Listing, Pixels, dataset, first_bytes
from sprat.errors import BadInput

_FOLDER = {10: "cifar-10-batches-py", 100: "cifar-100-python"}
_BATCH = re.compile(r"data_batch_[1-9]|test_batch|batches\.meta|train|test|meta")
_MAX_BYTES = 1_000_000_000
_SIGNS = (("data_batch_1", "test_batch"), ("data_batch_1", "batches.meta"), ("train", "meta"))


class _Bounded(io.RawIOBase):
    """A stream that ends in an error after _MAX_BYTES, so that a small archive cannot unpack without end."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._left = _MAX_BYTES

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        content = self._stream.read(size)
        self._left -= len(content)
        if self._left < 0:
            raise BadInput(f"it unpacks to more than {_MAX_BYTES:,} bytes; this is no CIFAR archive")
        return content


@contextmanager
def _archive(path: Path) -> Iterator[tarfile.TarFile]:
    """A .tar or .tar.gz, to be read from front to back."""
    packed = first_bytes(path, 2) == b"\x1f\x8b"
    with (
        cast("BinaryIO", gzip.open(path)) if packed else path.open("rb") as stream,
        tarfile.open(fileobj=_Bounded(stream), mode="r|") as archive,
    ):
        yield archive


def _home(folder: Path) -> Path | None:
    """The folder with the batches: this one or the one the archive makes below it."""
    for place in (folder, *(folder / name for name in _FOLDER.values())):
        if any((place / name).is_file() and (place / first).is_file() for name, first in _SIGNS):
            return place
    return None


def _recognises(source: str) -> bool:
    path = Path(source)
    if path.is_dir():
        return _home(path) is not None
    start = first_bytes(path, 265)
    if start[:2] != b"\x1f\x8b" and start[257:262] != b"ustar":
        return False
    try:
        with _archive(path) as archive:
            for count, member in enumerate(archive):
                if any(folder in member.name for folder in _FOLDER.values()):
                    return True
                if count > 5:
                    return False
    except (BadInput, tarfile.TarError, OSError, EOFError, zlib.error):
        return False
    return False


@dataset(
    "cifar",
    understands="the official CIFAR-10 or CIFAR-100 python archive (.tar.gz, or its extracted folder)",
    recognises=_recognises,
)
def read_cifar(source: str) -> Listing:
    """Colour images 32x32, train and test as the archive says, classes in its order; of CIFAR-100 the fine labels.

    The batches are pickles and are read without running them (see pickled.py).

    Raises:
        BadInput: a part is missing, damaged, or holds anything but numbers, names and bytes.
    """
    parts: dict[str, Any] = {}
    for name, content in _parts(source):
        try:
            parts[name] = read_pickle(content)
        except BadInput as error:
            raise BadInput(f"{name} of {source!r} is refused: {error}") from None
        if not isinstance(parts[name], dict):
            raise BadInput(f"{name} of {source!r} is refused: it holds no dict; fetch the archive again")
    meta = parts.get("batches.meta", parts.get("meta", {}))
    names = meta.get("label_names", meta.get("fine_label_names"))
    if not isinstance(names, list) or not names:
        raise BadInput(
            f"data {source!r} lacks the names of its classes (batches.meta or meta); fetch the archive again"
        )
    classes = tuple(_text(name) for name in names)
    items: list[Item] = []
    for name in sorted(parts):
        if not name.endswith("meta"):
            items += _items(name, parts[name], len(classes), source)
    if not any(item.split == "train" for item in items):
        raise BadInput(f"data {source!r} holds no training batch; fetch the archive again")
    notes = []
    if "batches.meta" in parts and (missing := [n for n in range(1, 6) if f"data_batch_{n}" not in parts]):
        notes.append(f"training batch {', '.join(map(str, missing))} of 5 is missing")
    return Listing(f"cifar{len(classes)}", tuple(items), classes=classes, warnings=tuple(notes))


def _parts(source: str) -> Iterator[tuple[str, bytes]]:
    """(name, content) of every batch; all together at most _MAX_BYTES."""
    path = Path(source)
    if path.is_dir():
        for file in sorted((_home(path) or path).iterdir()):
            if _BATCH.fullmatch(file.name) and file.is_file():
                _check_size(source, file.name, file.stat().st_size)
                yield file.name, file.read_bytes()
        return
    try:
        with _archive(path) as archive:
            for member in archive:
                _check_size(source, member.name, member.size)
                name = member.name.rpartition("/")[2]
                stream = archive.extractfile(member) if member.isreg() and _BATCH.fullmatch(name) else None
                if stream is not None:
                    yield name, stream.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise BadInput(f"data {source!r} is a damaged archive ({error}); fetch it again") from None


def _check_size(source: str, name: str, size: int) -> None:
    if size > _MAX_BYTES:
        raise BadInput(f"{name} of {source!r} has {size:,} bytes; the limit is {_MAX_BYTES:,}")


def _items(name: str, batch: dict[str, Any], num_classes: int, source: str) -> Iterator[Item]:
    data, labels = batch.get("data"), batch.get("labels", batch.get("fine_labels"))
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != 3072:
        raise BadInput(f"{name} of {source!r} holds no images of 3 x 32 x 32 bytes; fetch the archive again")
    if not isinstance(labels, list) or len(labels) != len(data):
        raise BadInput(f"{name} of {source!r} has no label for each of its {len(data)} images; fetch the archive again")
    if not all(type(label) is int and 0 <= label < num_classes for label in labels):
        raise BadInput(f"{name} of {source!r} has labels outside 0..{num_classes - 1}; fetch the archive again")
    images: NDArray[np.uint8] = np.ascontiguousarray(data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    files = batch.get("filenames")
    named = isinstance(files, list) and len(files) == len(data)
    split = "test" if name.startswith("test") else "train"
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        key = _text(files[index]) if named and files else f"{name}-{index:05d}"
        yield Item(f"{split}/{key}", label, split, Pixels(image))


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
