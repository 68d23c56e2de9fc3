"""HDF5 files read with care: nothing outside the file is opened, and no memory is asked for that the file cannot fill.

Source: "HDF5 File Format Specification", version 3.0. Links are followed only where they are hard, as those that
Keras writes are: soft and external ones could lead to other files, or round in circles.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from mmap import ACCESS_READ, mmap
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprat.errors import BadInput
from sprat.needed import import_late
from sprat.weights.foreign import MAX_BYTES, MAX_DIMENSIONS, MAX_TENSORS, as_float
from sprat.weights.parse.hdf5_heap import varying_strings

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_DEPTH = 24  # of groups in groups
MAX_TEXT = 64 * 2**20  # bytes of an attribute
MAX_RATIO = 1100  # numbers to stored bytes; deflate reaches 1,032
MIN_CHUNK = 2**20  # bytes; growing datasets have chunks larger than themselves, yet not larger than this
FILTERS = (1, 2, 3, 32000)  # deflate, shuffle, fletcher32, lzf: those that h5py has built in
FAULTS = (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, OverflowError, MemoryError)


@contextmanager
def opened(source: Path | bytes, what: str) -> Iterator["Hdf5"]:
    """The file, open for reading.

    Args:
        source: a path, or the bytes of a file.
        what: for messages, "model.h5".

    Raises:
        BadInput: it is no HDF5 file, or damaged; also what the library raises while the file is open.
    """
    h5py = import_late("h5py", "import")
    try:
        if isinstance(source, bytes):
            with h5py.File(BytesIO(source), "r") as file:
                yield Hdf5(h5py, file, source, what)
        else:
            with (
                source.open("rb") as stream,
                mmap(stream.fileno(), 0, access=ACCESS_READ) as data,
                h5py.File(source, "r", locking="best-effort") as file,
            ):
                yield Hdf5(h5py, file, data, what)
    except BadInput:
        raise
    except FAULTS as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise BadInput(f"{what} cannot be read as HDF5; it is damaged or truncated ({reason})") from None


@dataclass(slots=True)
class Hdf5:
    """An open file: groups, attributes and tensors, each checked before it is read.

    Args:
        h5py: the library.
        root: of the file.
        data: the bytes of the file.
        what: for messages.
        plain_bytes: of the tensors read so far that are stored as they are.
        read_bytes: of all tensors read so far.
    """

    h5py: ModuleType
    root: Any
    data: bytes | mmap
    what: str
    plain_bytes: int = 0
    read_bytes: int = 0

    def find(self, group: Any, path: str) -> Any | None:
        """The group or dataset at a path below a group; None where there is none.

        Raises:
            BadInput: a link on the way is not a hard one, or the path is too deep.
        """
        parts = [part for part in path.split("/") if part]
        if len(parts) > MAX_DEPTH or any(part in (".", "..") for part in parts):
            raise BadInput(f"{self.what} names the object {path[:100]!r}, which is not usable; the file is damaged")
        found = group
        for part in parts:
            if not self.is_group(found):
                return None
            link = found.get(part, getlink=True)
            if link is None:
                return None
            if not isinstance(link, self.h5py.HardLink):
                raise BadInput(
                    f"{self.what} has a {type(link).__name__} at {found.name}/{part}; links to elsewhere are not "
                    "followed, save the network with plain weights"
                )
            found = found[part]
        return found

    def is_group(self, thing: Any) -> bool:
        """Whether it holds other things."""
        return isinstance(thing, self.h5py.Group)

    def is_dataset(self, thing: Any) -> bool:
        """Whether it holds numbers."""
        return isinstance(thing, self.h5py.Dataset)

    def groups(self, group: Any) -> Iterator[tuple[str, Any]]:
        """(path, group) of every group below, in the order of the file's names, each once.

        Raises:
            BadInput: groups lie in each other in a circle or too deep, or there are too many things.
        """
        seen = {self.h5py.h5o.get_info(group.id).addr}
        waiting = [("", group)]
        count = 0
        while waiting:
            path, current = waiting.pop()
            yield path, current
            inner = []
            for name in self.names(current):
                count += 1
                child = self.find(current, name)
                if child is None or not self.is_group(child):
                    continue
                address = self.h5py.h5o.get_info(child.id).addr
                deep = path.count("/") >= MAX_DEPTH
                if count > 4 * MAX_TENSORS or address in seen or deep:
                    raise BadInput(
                        f"{self.what}: the groups at {path}/{name} lie too deep in each other or in a circle"
                    )
                seen.add(address)
                inner.append((f"{path}/{name}".lstrip("/"), child))
            waiting.extend(reversed(inner))

    def names(self, group: Any) -> list[str]:
        """What lies in a group.

        Raises:
            BadInput: more things than any network has tensors.
        """
        if len(group) > MAX_TENSORS:
            raise BadInput(f"{self.what}: the group {group.name} holds {len(group):,} things; no network has so many")
        return [str(name) for name in group]

    def texts(self, thing: Any, name: str) -> list[str]:
        """The strings of an attribute, which a long list has in pieces: name0, name1, ...; none where it is absent.

        Raises:
            BadInput: it is no string, not UTF-8, or larger than the file can hold.
        """
        if name in thing.attrs:
            return self._attribute(thing, name)
        found: list[str] = []
        for piece in range(MAX_TENSORS):
            if f"{name}{piece}" not in thing.attrs:
                break
            found.extend(self._attribute(thing, f"{name}{piece}"))
        return found

    def text(self, thing: Any, name: str) -> str | None:
        """The string of an attribute; None where it is absent.

        Raises:
            BadInput: as for `texts`.
        """
        found = self._attribute(thing, name) if name in thing.attrs else []
        return found[0] if found else None

    def _attribute(self, thing: Any, name: str) -> list[str]:
        attribute = self.h5py.h5a.open(thing.id, name.encode())
        where = f"{self.what}: the attribute {name} of {thing.name}"
        strings = self.h5py.check_string_dtype(attribute.dtype)
        count = 1
        for side in attribute.shape:
            count *= int(side)
        if count == 0:
            return []  # an empty list has the type of numbers
        if strings is None:
            raise BadInput(f"{where} is of type {attribute.dtype}, not a string; the file is damaged")
        stored = attribute.get_storage_size()
        if count > MAX_TENSORS or stored > min(MAX_TEXT, len(self.data)):
            raise BadInput(f"{where} is of {count:,} strings in {stored:,} bytes, more than the file can hold")
        try:
            if strings.length is None:
                found = varying_strings(self.data, self.h5py.h5o.get_info(thing.id).addr, name, count)
            else:
                found = np.asarray(thing.attrs[name]).reshape(-1).tolist()
            return [item.decode() if isinstance(item, bytes) else str(item) for item in found]
        except UnicodeDecodeError:
            raise BadInput(f"{where} is not UTF-8; the file is damaged") from None
        except BadInput as error:
            raise BadInput(f"{where}: {error}") from None

    def tensor(self, dataset: Any) -> NDArray[np.float32]:
        """The numbers of a dataset as float32.

        Raises:
            BadInput: no numbers, kept elsewhere, or more than the file holds.
        """
        where = f"{self.what}: the tensor {dataset.name}"
        kind, item_bytes = dataset.dtype.kind, dataset.dtype.itemsize
        if kind not in "fiub" or dataset.shape is None or len(dataset.shape) > MAX_DIMENSIONS:
            raise BadInput(f"{where} is of type {dataset.dtype} and shape {dataset.shape}; float32 is read")
        if dataset.external or dataset.is_virtual:
            raise BadInput(f"{where} lies in other files, which are not opened; save the network with plain weights")
        size = item_bytes
        for side in dataset.shape:
            size *= int(side)
        stored = dataset.id.get_storage_size()
        if dataset.chunks is None:
            self.plain_bytes += size
            if stored != size or self.plain_bytes > len(self.data):
                raise BadInput(f"{where} of shape {dataset.shape} takes {size:,} bytes, the file holds {stored:,}")
        else:
            self._check_chunks(dataset, size, stored, where)
        self.read_bytes += max(size, size // item_bytes * 4)
        if self.read_bytes > MAX_BYTES:
            raise BadInput(f"{where}: with it the file holds over {MAX_BYTES:,} bytes; no network here is so large")
        return as_float(dataset[()])

    def _check_chunks(self, dataset: Any, size: int, stored: int, where: str) -> None:
        chunk = dataset.dtype.itemsize
        for side in dataset.chunks:
            chunk *= int(side)
        created = dataset.id.get_create_plist()
        filters = [created.get_filter(index)[0] for index in range(created.get_nfilters())]
        unknown = [number for number in filters if number not in FILTERS]
        if unknown:
            raise BadInput(f"{where} is compressed by the HDF5 filter {unknown[0]}, which is not read; use gzip")
        if stored > len(self.data) or size > MAX_RATIO * stored or chunk > max(size, MIN_CHUNK):
            raise BadInput(f"{where} of shape {dataset.shape} takes {size:,} bytes, the file holds {stored:,}")
