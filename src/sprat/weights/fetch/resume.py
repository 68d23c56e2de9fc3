"""transfer: a file over HTTP into a part file, going on where an earlier attempt stopped.

Source: RFC 9110, sections 13.1.5 (If-Range), 14.2 (Range), 14.4 (Content-Range).
"""

import errno
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from http.client import HTTPException, HTTPResponse
from io import FileIO
from pathlib import Path

from sprat.atomic import write_atomic
from sprat.errors import BadInput
from sprat.weights.fetch.web import BrokenError, by_hand, failure, open_address

MAX_BYTES = 2 * 10**9  # of any file
RETRIES = 5  # in a row without a new byte
MAX_REQUESTS = 100
CHUNK = 2**18
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Progress = Callable[[int, int | None], None]  # bytes so far, bytes in all where known


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to get, and how far to trust the way there.

    Args:
        url: https, or http where `plain_http` or on this machine.
        size_bytes: published size, which the server must agree with; None where none is published.
        plain_http: whether http to another machine is allowed, as a checksum proves the content.
        timeout_s: without a byte, after which an attempt is given up.
        on_progress: called after each piece.
    """

    url: str
    size_bytes: int | None
    plain_http: bool
    timeout_s: float
    on_progress: Progress | None


@dataclass(frozen=True, slots=True)
class _State:
    """What a part is a part of: its address, the validator the server gave (ETag or date), the size of the whole."""

    url: str = ""
    validator: str = ""
    total: int | None = None


def transfer(wanted: Wanted, part: Path) -> None:
    """Fill `part` with the whole file; what it holds of an earlier attempt at the same address is gone on from.

    A small JSON file beside it keeps what the part is a part of. Where the transfer fails, both stay.

    Raises:
        BadInput: the server is out of reach, does not have the file or has another one, or the disk is full.
        OSError: the part cannot be written for another reason.
    """
    failures, received = 0, False
    for _ in range(MAX_REQUESTS):
        before = _size(part)
        try:
            _attempt(wanted, part)
            return
        except BrokenError as broken:
            if broken.stale:
                forget(part)
            progress = _size(part) > before
            received = received or progress
            failures = 0 if progress else failures + 1
            if failures > RETRIES or (broken.away and not received):
                raise BadInput(f"{wanted.url} cannot be had: {broken}; {_kept(part)}{by_hand(wanted.url)}") from None
        time.sleep(min(wanted.timeout_s, 8.0, 0.5 * 2**failures))
    raise BadInput(f"{wanted.url} broke off {MAX_REQUESTS} times; {_kept(part)}{by_hand(wanted.url)}")


def forget(part: Path) -> None:
    """Remove a part and what is known of it."""
    part.unlink(missing_ok=True)
    _state_path(part).unlink(missing_ok=True)


def disk_full(error: OSError, path: Path, needed: int | None) -> BadInput:
    """The refusal for a disk that takes no more; `needed` in bytes, None where not known."""
    free = shutil.disk_usage(path.parent).free
    much = "more room is needed" if needed is None else f"{needed:,} more bytes are needed"
    return BadInput(
        f"{path} cannot be written ({error.strerror}): {much}, {free:,} are free there; make room and run it again, "
        "it goes on where it stopped"
    )


def _attempt(wanted: Wanted, part: Path) -> None:
    """One request, from the end of the part or from zero."""
    state = _read_state(part)
    resumable = state.url == wanted.url and state.validator != ""
    have = _size(part) if resumable else 0
    if have and have == state.total:
        return  # stopped between the last byte and the check
    headers = {"User-Agent": "sprat", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": state.validator}
    with open_address(wanted.url, headers, plain_http=wanted.plain_http, timeout_s=wanted.timeout_s) as response:
        start, total = _place(response, have, state, wanted.url)
        if total is not None and wanted.size_bytes not in (None, total):
            forget(part)
            raise BadInput(
                f"{wanted.url} has {total:,} bytes, but {wanted.size_bytes:,} are published; it is another file"
            )
        total = wanted.size_bytes if total is None else total
        _check_room(part, start, total)
        if start == 0:
            forget(part)
        kept = _State(wanted.url, _validator(response), total)
        write_atomic(_state_path(part), json.dumps(asdict(kept)).encode())
        _receive(response, part, start, total, wanted)


def _place(response: HTTPResponse, have: int, state: _State, url: str) -> tuple[int, int | None]:
    """(first byte of the answer, bytes of the whole file where the server says)."""
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise BadInput(f"{url} comes packed ({encoding}), which was not asked for; {by_hand(url)}")
    if response.headers.get_content_type() == "text/html" and "Content-Type" in response.headers:
        raise BadInput(f"{url} is a web page, not a file of weights; {by_hand(url)}")
    if response.status == 200:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None
    if response.status != 206:
        raise BadInput(f"{url} cannot be had, the server answers HTTP {response.status}; {by_hand(url)}")
    match = re.fullmatch(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)", response.headers.get("Content-Range", ""))
    total = None if match is None or match[2] == "*" else int(match[2])
    same = _validator(response) in ("", state.validator) and (total is None or state.total in (None, total))
    if match is None or int(match[1]) != have or not same:
        raise BrokenError("the file there has changed since the first part", stale=True)
    return have, total if total is not None else state.total


def _validator(response: HTTPResponse) -> str:
    """The strong ETag or the date of change, which say that two parts are of one file; empty without either."""
    etag = response.headers.get("ETag", "")
    strong = re.fullmatch(r'"[^"\x00-\x20]*"', etag) is not None
    return etag if strong else response.headers.get("Last-Modified", "")


def _check_room(part: Path, start: int, total: int | None) -> None:
    """Refuse what is too large for us or for the disk, before the first byte of it."""
    if total is None:
        return
    if total > MAX_BYTES:
        raise BadInput(f"the file is {total:,} bytes long; more than {MAX_BYTES:,} are not taken")
    needed = total - start
    free = shutil.disk_usage(part.parent).free + (_size(part) if start == 0 else 0)
    if needed > free:
        raise disk_full(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), part, needed)


def _receive(response: HTTPResponse, part: Path, start: int, total: int | None, wanted: Wanted) -> None:
    """Write the body behind what is there."""
    done = start
    with FileIO(part, "ab") as stream:
        while total is None or done < total:
            try:
                piece = response.read1(CHUNK)
            except (OSError, HTTPException) as error:
                raise failure(error, wanted.url) from None
            if not piece:
                break
            if done + len(piece) > (MAX_BYTES if total is None else total):
                forget(part)
                raise BadInput(
                    f"{wanted.url} sends more bytes than it said, or over {MAX_BYTES:,}; {by_hand(wanted.url)}"
                )
            try:
                _write(stream, piece)
            except OSError as error:
                if error.errno not in FULL:
                    raise
                raise disk_full(error, part, None if total is None else total - _size(part)) from None
            done += len(piece)
            if wanted.on_progress is not None:
                wanted.on_progress(done, total)
    if total is not None and done < total:
        raise BrokenError(f"the connection was cut after {done:,} of {total:,} bytes")


def _write(stream: FileIO, piece: bytes) -> None:
    """All of a piece; a full disk takes the first bytes of it before it refuses."""
    rest = memoryview(piece)
    while rest:
        rest = rest[stream.write(rest) :]


def _read_state(part: Path) -> _State:
    """What is known of a part; nothing where that is missing or damaged, so that it is begun anew."""
    try:
        values = json.loads(_state_path(part).read_bytes())
        state = _State(values["url"], values["validator"], values["total"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return _State()
    whole = isinstance(state.url, str) and isinstance(state.validator, str) and isinstance(state.total, int | None)
    return state if whole else _State()


def _size(part: Path) -> int:
    """Bytes of the part, 0 where there is none."""
    return part.stat().st_size if part.exists() else 0


def _kept(part: Path) -> str:
    have = _size(part)
    return f"{have:,} bytes are kept, run it again to go on, or " if have else "run it again later, or "


def _state_path(part: Path) -> Path:
    return part.with_name(part.name + ".json")
