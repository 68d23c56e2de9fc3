"""fetch: a published file of weights, from the cache or, on request only, from the network; its checksum verified.

In the cache, beside a finished file lies FILE.json with the sha256 it had, which also later downloads must have where
no checksum is published. FILE.part and FILE.part.json are of a download that is not finished.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sprat.atomic import write_atomic
from sprat.errors import BadInput
from sprat.weights.fetch.published import Published
from sprat.weights.fetch.resume import FULL, Progress, Wanted, disk_full, forget, transfer

_CHUNK = 2**20


def weights_folder() -> Path:
    """Where downloads are kept: $XDG_CACHE_HOME/sprat/weights, by default ~/.cache/sprat/weights."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sprat" / "weights"


def fetch(
    entry: Published,
    folder: Path | None = None,
    *,
    on_progress: Progress | None = None,
    timeout_s: float = 30,
    url: str | None = None,
) -> Path:
    """The file of an entry, whole and verified; without network where an earlier call got it.

    A download that was cut or killed goes on where it stopped. Two processes that want the same file take turns.

    Args:
        entry: from `published`.
        folder: where the file goes; None for the folder of its source in the cache.
        on_progress: called with the bytes so far and in all (None where not known).
        timeout_s: after which a silent server is given up.
        url: another address of the same file, such as a mirror; None for the official one.

    Raises:
        BadInput: the file cannot be had or kept, or is not the published one.
    """
    folder = weights_folder() / entry.source if folder is None else folder
    target = folder / entry.file_name
    wanted = Wanted(
        url=url or entry.url,
        size_bytes=entry.size_bytes,
        plain_http=entry.proves_content,
        timeout_s=timeout_s,
        on_progress=on_progress,
    )
    try:
        if target.exists() and not _faults(entry, target, target):
            return target
        folder.mkdir(parents=True, exist_ok=True)
        with _turn(target):
            if target.exists():  # another process was faster, or the file is damaged
                if not _faults(entry, target, target):
                    return target
                target.unlink()
            part = target.with_name(target.name + ".part")
            transfer(wanted, part)
            _finish(entry, wanted.url, part, target)
    except OSError as error:
        if error.errno in FULL and folder.is_dir():
            raise disk_full(error, target, None) from None
        raise BadInput(
            f"{target} cannot be kept ({error.strerror}); give a folder that can be written, or set XDG_CACHE_HOME"
        ) from None
    return target


def recorded_sha256(path: Path) -> str | None:
    """The sha256 of a downloaded file as it was recorded; None where nothing is recorded.

    Raises:
        BadInput: the record is damaged.
    """
    record = _record_path(path)
    try:
        digits = json.loads(record.read_bytes())["sha256"]
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, RecursionError):
        digits = None
    if not isinstance(digits, str) or len(digits) != 64:
        raise BadInput(f"{record} is damaged; delete it to take the file as it is")
    return digits


def _finish(entry: Published, url: str, part: Path, target: Path) -> None:
    """Verify a part, record its sha256 and give it its name.

    Raises:
        BadInput: it is not the published file, or not the one of the first download; it is removed.
    """
    faults = _faults(entry, part, target)
    if faults:
        forget(part)
        raise BadInput(f"{url} is not the file that is published as {entry.name}: {'; '.join(faults)}; it was removed")
    with part.open("rb") as stream:
        os.fsync(stream.fileno())
    known = {"url": url, "size_bytes": part.stat().st_size, "sha256": _digests(part, {"sha256"})["sha256"]}
    write_atomic(_record_path(target), json.dumps(known, indent=1).encode())
    part.replace(target)
    forget(part)


def _faults(entry: Published, path: Path, target: Path) -> list[str]:
    """What of a file is not as published or, where no checksum is, as recorded; nothing where all is right."""
    size = path.stat().st_size
    if entry.size_bytes not in (None, size):
        return [f"it has {size:,} bytes, published are {entry.size_bytes:,}"]
    expected = [(algorithm, digits, "published is") for algorithm, digits in entry.checksums]
    first = None if expected else recorded_sha256(target)
    if first is not None:
        where = f"the first download, recorded in {_record_path(target)} (delete that to accept the new file), had"
        expected = [("sha256", first, where)]
    digests = _digests(path, {algorithm for algorithm, _, _ in expected})
    return [
        f"its {algorithm} is {digests[algorithm]}, {said} {digits}{'...' * (len(digits) < len(digests[algorithm]))}"
        for algorithm, digits, said in expected
        if not digests[algorithm].startswith(digits.lower())
    ]


def _digests(path: Path, algorithms: set[str]) -> Mapping[str, str]:
    """Hexadecimal digits by algorithm, the file read once."""
    running = {algorithm: hashlib.new(algorithm, usedforsecurity=False) for algorithm in algorithms}
    if running:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                for digest in running.values():
                    digest.update(chunk)
    return {algorithm: digest.hexdigest() for algorithm, digest in running.items()}


@contextmanager
def _turn(target: Path) -> Iterator[None]:
    """Wait until no other process fetches the same file; the lock goes with the process, also when it is killed."""
    with target.with_name(f".{target.name}.lock").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _record_path(target: Path) -> Path:
    return target.with_name(target.name + ".json")
