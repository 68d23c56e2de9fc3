"""Readers of PyTorch's state dicts: torch.save files, zip archives and older pickles, and safetensors.

Source: docs.pytorch.org, "torch.save", "torch.load"; torch/serialization.py for the layout; the format description in
the safetensors repository. Pickles are looked through before torch loads them, with weights_only=True.
"""

import io
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprat.errors import BadInput
from sprat.needed import import_late
from sprat.weights.foreign import MAX_BYTES, MAX_TENSORS, Foreign, check_size, reader
from sprat.weights.parse.torch_pickle import Pickle, look_through

ZIP, PICKLE = b"PK\x03\x04", b"\x80"
TAR = tuple(name.ljust(40, b"\0") for name in (b"sys_info", b"pickle", b"tensors", b"storages"))  # before 2017
END = struct.Struct("<4s4H2LH")  # of a zip: ..., size and offset of its directory, length of a comment
END64 = struct.Struct("<4s36x2Q20s")  # before it, as torch always writes it: ..., size and offset again, a pointer
MAX_DIRECTORY_BYTES = 16 * 2**20
MAX_PICKLE_BYTES = 64 * 2**20
WRAPPERS = ("state_dict", "model_state_dict", "model", "net")  # where training scripts keep the state dict
PREFIXES = ("_orig_mod.", "module.", "_orig_mod.")  # of torch.compile and DataParallel, in either order
MAX_SHARED = 4  # tensors may share memory, but not over so many times


def _recognises(path: Path, head: bytes) -> bool:
    """A zip that begins with a data.pkl, a pickle, or torch's oldest tar."""
    if head.startswith(ZIP):
        length = int.from_bytes(head[26:28], "little")
        try:
            with path.open("rb") as stream:
                return stream.read(30 + length)[30:].endswith(b"/data.pkl")
        except OSError:
            return False
    pickled = head[:1] == PICKLE and len(head) > 2 and 2 <= head[1] <= 5 and head[2] != 0
    return pickled or head.startswith(TAR)


@reader("torch", understands="PyTorch state dicts (.pth, .pt, .th)", recognises=_recognises)
def read(path: Path) -> Foreign:
    """The tensors of a state dict by name, floats as float32, whole numbers as they are.

    A dict that holds the state dict under one of WRAPPERS is opened; a prefix that all names have is left out.

    Raises:
        BadInput: the file is damaged, or holds more than plain tensors: pickles are not trusted.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            head = stream.read(len(ZIP))
            data = b"" if head == ZIP or size > MAX_BYTES else head + stream.read()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    if size > MAX_BYTES:
        raise BadInput(f"{path} has {size:,} bytes; no network here is so large")
    if data.startswith(TAR):
        raise BadInput(f"{path} is of a kind torch has not written since 2017; load and save it with any torch since")
    if head == ZIP:
        _check_zip(path, size)
        return Foreign("torch", _tensors(_load(str(path), path), path))
    _check_legacy(data, path)
    return Foreign("torch", _tensors(_load(io.BytesIO(data), path), path))


def _load(source: str | io.BytesIO, path: Path) -> Any:
    torch = import_late("torch")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old formats
            return torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises errors of a dozen types on damaged files
        first = (str(error).splitlines() or [""])[0]
        raise BadInput(
            f"torch does not load {path} as plain tensors ({type(error).__name__}: {first[:120]}); pickles with more "
            "in them are not trusted: write the state dict with safetensors.torch.save_file where you trust the file"
        ) from None


def _check_zip(path: Path, size: int) -> None:
    """Refuse archives that are not laid out as torch.save lays them out, or whose sizes are not those of the file.

    Raises:
        BadInput: as above.
    """
    try:
        if not _ends_plainly(path, size):
            raise BadInput(f"{path} is cut short, or no archive as torch.save writes it; get the file again")
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            prefix = entries[0].filename.split("/")[0] if entries else ""
            sizes = {entry.filename: entry.file_size for entry in entries}
            plain = len({name.lower() for name in sizes}) == len(entries) <= 2 * MAX_TENSORS
            plain &= all(name.startswith(f"{prefix}/") for name in sizes)
            packed = any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries)
            packed |= any(entry.compress_size != entry.file_size for entry in entries) or sum(sizes.values()) > size
            if not plain or packed or sizes.get(f"{prefix}/data.pkl", MAX_PICKLE_BYTES + 1) > MAX_PICKLE_BYTES:
                raise BadInput(
                    f"{path} is no archive as torch.save writes it ({'compressed' if packed else 'another layout'}); "
                    "load and save it with torch where you trust the file"
                )
            pickled = look_through(io.BytesIO(archive.read(f"{prefix}/data.pkl")), str(path))
    except BadInput:
        raise
    except Exception as error:  # zipfile raises errors of many types on damaged archives
        raise BadInput(f"{path} is a damaged zip archive ({type(error).__name__}); get the file again") from None
    for key, storage in pickled.storages.items():
        stored = sizes.get(f"{prefix}/data/{key}", -1)
        if stored < storage.size_bytes:
            raise BadInput(
                f"{path}: storage {key[:40]} declares {storage.size_bytes:,} bytes, the archive holds {stored:,}"
            )


def _ends_plainly(path: Path, size: int) -> bool:
    """Whether the archive ends with its directory, so that every zip reader finds the same entries."""
    with path.open("rb") as stream:
        stream.seek(max(0, size - END64.size - END.size))
        tail = stream.read(END64.size + END.size)
    if len(tail) < END64.size + END.size:
        return False
    signature, *_, directory_bytes, offset, comment = END.unpack(tail[END64.size :])
    signature64, bytes64, offset64, pointer = END64.unpack(tail[: END64.size])
    end = size - END.size
    if pointer.startswith(b"PK\x06\x07"):
        end -= END64.size
        if (signature64, bytes64, offset64) != (b"PK\x06\x06", directory_bytes, offset):
            return False
        if pointer[8:16] != end.to_bytes(8, "little"):
            return False
    fits = offset + directory_bytes == end and directory_bytes <= MAX_DIRECTORY_BYTES
    return bool(fits and signature == b"PK\x05\x06" and comment == 0)


def _check_legacy(data: bytes, path: Path) -> None:
    """Refuse a pickle that is not as torch wrote it before 2020, or whose storages do not fill the rest of the file.

    Five pickles (a magic number, the version, the machine, the object, the keys of its storages) come before the
    storages, each with its length as int64.

    Raises:
        BadInput: as above.
    """
    stream = io.BytesIO(data)
    found: list[Pickle] = [look_through(stream, str(path)) for _ in range(5)]
    storages, keys = found[3].storages, found[4].result
    if any(pickle.storages for pickle in (*found[:3], found[4])):
        raise BadInput(f"{path}: a storage stands where torch writes none; the file is damaged")
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or set(keys) != set(storages):
        raise BadInput(f"{path}: the storages listed are not those in use; the file is damaged")
    declared = sum(8 + storage.size_bytes for storage in storages.values())
    left = len(data) - stream.tell()
    if len(keys) != len(storages) or declared != left:
        raise BadInput(f"{path}: its storages declare {declared:,} bytes, the file holds {left:,}; it is cut short")


def _tensors(loaded: Any, path: Path) -> dict[str, NDArray[Any]]:
    """The tensors of the state dict, out of its wrapper, without the prefix that all of them have."""
    torch = import_late("torch")

    def tensors_of(value: Any) -> dict[str, Any]:
        named = dict.items(value) if isinstance(value, dict) else ()
        return {key: item for key, item in named if isinstance(key, str) and isinstance(item, torch.Tensor)}

    found = tensors_of(loaded)
    for key in WRAPPERS:
        if not found and isinstance(loaded, dict):
            found = tensors_of(dict.get(loaded, key))
    if not found:
        raise BadInput(f"{path} holds no state dict: no tensors by name, also not under {', '.join(WRAPPERS)}")
    return _arrays(found, path)


def _arrays(tensors: Mapping[str, Any], path: Path) -> dict[str, NDArray[Any]]:
    """Tensors as arrays, floats as float32, without a prefix that all names have."""
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name[len(prefix) :]: tensor for name, tensor in tensors.items()}
    # Memory counts once however many tensors look at it.
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors.values()}
    used = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if len(tensors) > MAX_TENSORS or used > MAX_SHARED * sum(storages.values()):
        raise BadInput(f"{path} has {len(tensors):,} tensors of {used:,} bytes in {sum(storages.values()):,}; too many")
    arrays: dict[str, NDArray[Any]] = {}
    for name, tensor in tensors.items():
        if tensor.is_complex() or tensor.is_quantized or tensor.is_sparse:
            raise BadInput(f"{path}: tensor {name[:80]} is {tensor.dtype}; only plain numbers are read")
        value = tensor.detach().float() if tensor.is_floating_point() else tensor.detach()
        arrays[name] = np.ascontiguousarray(value.numpy()).reshape(tuple(tensor.shape))
    return arrays


def _is_safetensors(path: Path, head: bytes) -> bool:
    """A length that fits into the file, then JSON."""
    if len(head) < 10 or head[8:9] != b"{" or head[9:10] not in (b'"', b"}", b" ", b"\n", b"\t", b"\r"):
        return False
    try:
        return int.from_bytes(head[:8], "little") <= path.stat().st_size - 8
    except OSError:
        return False


@reader("safetensors", understands="safetensors", recognises=_is_safetensors)
def read_safetensors(path: Path) -> Foreign:
    """The tensors of a safetensors file by name, floats as float32, whole numbers as they are.

    Raises:
        BadInput: the file is damaged; the library checks that the header's places fill the file.
    """
    safetensors = import_late("safetensors.torch")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(f"{path} has {path.stat().st_size:,} bytes; no network here is so large")
        loaded = safetensors.load_file(path)
        if not loaded:
            raise BadInput(f"{path} holds no tensors; give a file of trained weights")
        foreign = Foreign("safetensors", _arrays(loaded, path))
    except BadInput:
        raise
    except Exception as error:  # of the library, and of torch for types it does not know
        raise BadInput(f"{path} is a damaged safetensors file: {str(error)[:200]}; get the file again") from None
    check_size(foreign, path)
    return foreign
