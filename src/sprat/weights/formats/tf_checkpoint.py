"""The reader of TensorFlow's checkpoints, of version 1 (one file) and 2 (.index and .data-*), without TensorFlow.

What is given may be the prefix a checkpoint was saved under, one of its files, a folder, or a tar archive with one
inside. Which version it is, its table tells; `tf_saved_slices.py` and `tf_bundle.py` read them.
"""

import re
from itertools import islice
from pathlib import Path

from sprat.errors import BadInput
from sprat.weights.foreign import Foreign, reader
from sprat.weights.parse.archive import is_archive, unpacked
from sprat.weights.parse.sstable import is_table
from sprat.weights.parse.tf_bundle import read_bundle
from sprat.weights.parse.tf_saved_slices import read_saved_slices

_NAME = "tf_checkpoint"
_INDEX = ".index"
_BESIDE = re.compile(r"\.data-\d{5}-of-\d{5}$|\.meta$")  # the other files of a checkpoint of version 2
_MAX_LISTED = 2000  # files of a folder that are looked at
_MAX_STATE = 2**20  # bytes of the text file `checkpoint` that are read
_STATE = re.compile(r'^\s*model_checkpoint_path:\s*"([^"]*)"', re.MULTILINE)


def _recognises(path: Path) -> bool:
    """Whether a path is a checkpoint's prefix or file, a folder with one, or any archive."""
    try:
        if path.is_dir():
            return any(is_table(file) for file in _files(path))
        return is_archive(path) or is_table(path) or is_table(_index_of(path))
    except (OSError, ValueError):
        return False


@reader(
    _NAME,
    understands="TensorFlow checkpoints (a prefix with .index and .data-* files, a .ckpt file, a folder, or a .tar.gz)",
    recognises=lambda path, _head: _recognises(path),
)
def read(path: Path) -> Foreign:
    """The tensors of a checkpoint under their names, floats of any width as float32.

    Notes: `version` (1 or 2), `shards`, `checksums` ("verified"), `skipped` (name to type, of tensors of types no
    weights have; only where there are some), `member` (for a folder or an archive, the checkpoint in it).

    Source: leveldb, doc/table_format.md; TensorFlow's saved_tensor_slice.proto and tensor_bundle.proto.

    Raises:
        BadInput: there is no checkpoint, or several, or it is damaged; the message says where.
    """
    try:
        if path.is_dir():
            return _read_among(_files(path), path, path)
        if is_archive(path):
            with unpacked(path) as folder:
                return _read_among([file for file in folder.rglob("*") if file.is_file()], folder, path)
        return _read_one(path)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}") from None


def _read_one(path: Path) -> Foreign:
    """The tensors of the checkpoint with a prefix or a file."""
    index = path if path.name.endswith(_INDEX) and is_table(path) else _index_of(path)
    if index != path and is_table(path):
        tensors, notes = read_saved_slices(path)
    elif is_table(index):
        tensors, notes = read_bundle(index.with_name(index.name.removesuffix(_INDEX)))
    else:
        raise BadInput(f"no checkpoint {path}: there is neither a whole file of that name nor {index.name} beside it")
    return Foreign(_NAME, tensors, notes)


def _read_among(files: list[Path], folder: Path, given: Path) -> Foreign:
    """The tensors of the only checkpoint among some files, or of the one that a text file `checkpoint` names.

    Args:
        files: to look at.
        folder: they are below it.
        given: what the user gave, for messages.
    """
    found = sorted(file for file in files if is_table(file))
    if not found:
        names = ", ".join(sorted(file.relative_to(folder).as_posix() for file in files)[:8])
        raise BadInput(f"{given} holds no TensorFlow checkpoint, only: {names or 'nothing'}; give one of these files")
    if len(found) > 1:
        wanted = [file for file in found if file.name.removesuffix(_INDEX) == _latest(file.parent)]
        if len(wanted) != 1:
            names = ", ".join(file.relative_to(folder).as_posix() for file in found[:8])
            raise BadInput(f"{given} holds {len(found)} checkpoints ({names}); give one of these files")
        found = wanted
    foreign = _read_one(found[0])
    return Foreign(_NAME, foreign.tensors, {**foreign.notes, "member": found[0].relative_to(folder).as_posix()})


def _index_of(path: Path) -> Path:
    """The index of the checkpoint of version 2 that a path is the prefix or another file of."""
    return path.with_name(_BESIDE.sub("", path.name) + _INDEX) if path.name else path


def _files(folder: Path) -> list[Path]:
    """The files of a folder, not of those in it; of the first few thousand."""
    return [path for path in islice(folder.iterdir(), _MAX_LISTED) if path.is_file()]


def _latest(folder: Path) -> str:
    """The name of the checkpoint that the text file `checkpoint` of a folder names; empty where there is none."""
    state = folder / "checkpoint"
    if not state.is_file():
        return ""
    with state.open("rb") as stream:
        found = _STATE.search(stream.read(_MAX_STATE).decode(errors="replace"))
    return found.group(1).replace("\\", "/").rsplit("/", 1)[-1] if found else ""
