"""Probabilities of exported files, each loaded by a fresh process that is sent the images and nothing else."""

import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from sprat.errors import BadArtifact
from sprat.export.batch import Images, in_order
from sprat.export.fresh import fresh_command, fresh_environment

_SHAPE = struct.Struct("<4q")  # of the batch that follows as raw uint8 pixels (N, H, W, C)


def fresh_scores(paths: Sequence[Path], images: Images) -> list[NDArray[np.float32]]:
    """Probabilities (N, classes) of each file for the same images, in the order of `paths`.

    The processes work side by side on one thread each. Images are read once and streamed: they need not fit
    in memory.

    Raises:
        BadArtifact: a process could not load or run its file; with what it said.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sprat-scores-")))
        workers = []
        for index, path in enumerate(paths):
            said = stack.enter_context((folder / f"{index}.err").open("w+"))
            command = fresh_command("sprat.export.scores", str(path), str(folder / f"{index}.npy"))
            worker = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said, env=fresh_environment()
            )
            stack.callback(_end, worker)
            workers.append((worker, said))
        for batch in in_order(images):
            content = _SHAPE.pack(*batch.shape), batch.tobytes()
            for worker, _ in workers:
                _send(worker, content)
        return [
            _result(worker, said, path, folder / f"{index}.npy")
            for index, (path, (worker, said)) in enumerate(zip(paths, workers, strict=True))
        ]


def _send(worker: "subprocess.Popen[bytes]", content: tuple[bytes, ...]) -> None:
    assert worker.stdin is not None
    with suppress(BrokenPipeError):  # it has ended; its exit code and last words are read in `_result`
        for part in content:
            worker.stdin.write(part)


def _result(worker: "subprocess.Popen[bytes]", said: IO[str], path: Path, scores: Path) -> NDArray[np.float32]:
    _close(worker)
    code = worker.wait()
    if code != 0 or not scores.exists():
        said.seek(0)
        words = said.read().strip().splitlines()
        raise BadArtifact(
            f"{path} cannot be used in a fresh process (exit code {code}): {words[-1] if words else 'no message'}"
        )
    result: NDArray[np.float32] = np.load(scores)
    return result


def _close(worker: "subprocess.Popen[bytes]") -> None:
    assert worker.stdin is not None
    with suppress(BrokenPipeError):
        worker.stdin.close()


def _end(worker: "subprocess.Popen[bytes]") -> None:
    _close(worker)
    if worker.poll() is None:
        worker.kill()
        worker.wait()


def _received(stream: IO[bytes]) -> Iterator[NDArray[np.uint8]]:
    while header := stream.read(_SHAPE.size):
        shape = _SHAPE.unpack(header)
        yield np.frombuffer(stream.read(int(np.prod(shape))), np.uint8).reshape(shape)


def main() -> None:
    """Entry of the fresh process: FILE OUT.npy as arguments, batches on stdin."""
    from sprat.errors import SpratError
    from sprat.export.load import load

    path, target = sys.argv[1:]
    try:
        predictor = load(path)
        parts = [predictor.predict(list(batch)) for batch in _received(sys.stdin.buffer)]
    except SpratError as error:
        sys.exit(str(error))
    empty = np.zeros((0, len(predictor.classes)), np.float32)
    np.save(target, np.concatenate([empty, *parts]))
