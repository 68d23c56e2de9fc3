"""SIGKILL at many points of `fit`; after each, the same call goes on to the end and must ship the same bytes.

By hand: `python tests/e2e/kill_points.py [WORD]`, WORD choosing the points whose name has it. One line a point: name,
sha256 of model.sprat, whether that equals the uninterrupted run's. Exit code 1 when any differs.

Every run is a child forked from this process, which has imported everything and computed nothing. The child kills
itself: at the n-th call of a function, or when a file is half written, before it takes its final name, or after.
"""

import hashlib
import importlib
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: threads would not live on in a forked child

import numpy as np
import safetensors.numpy
from PIL import Image

from sprat import artifact
from sprat.budget import Budget
from sprat.job import run_job
from sprat.request import Request
from sprat.run import Run
from sprat.watch import Silent

WARM = ("onnx", "onnxscript", "torch.onnx", "torch._dynamo", "torch.export")
REQUEST = Request(data="digits", budget=Budget(max_bytes=8_000), epochs=3, models=("squeezenet_1.1_bn_0.125",))
KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Point:
    """Where a run kills itself.

    Args:
        name: the phase and the place in it.
        how: "call" of a function; or of a file, by the name it will have: "half" written, "before" or "after" renaming.
        what: dotted name of the function as its caller sees it, or the file's name, which may be a pattern.
        count: at the n-th time.
        since: counted once a file of this name has been renamed; at once where empty.
        to_end: whether the resumed run goes on to the report, rather than being killed again once model.sprat is there.
    """

    name: str
    how: str
    what: str
    count: int = 1
    since: str = ""
    to_end: bool = False


SHIPPED = Point("model.sprat is there", "after", "model.sprat")

POINTS = (
    Point("planning: data described, not yet ranked", "call", "sprat.plan.pick"),
    Point("planning: image cache half written", "half", "*-train.npy"),
    Point("training: inside the first epoch", "call", "sprat.train.train.augment", count=9),
    Point("training: first checkpoint half written", "half", "checkpoint.safetensors"),
    Point("training: inside the second epoch", "call", "sprat.train.train.augment", 11, since="checkpoint.safetensors"),
    Point("training: second checkpoint saved, its figures not", "after", "checkpoint.safetensors", count=2),
    Point("training: finished, not yet under its name", "before", "train.safetensors"),
    Point("pruning: inside its epoch", "call", "sprat.train.train.augment", 3, since="train.safetensors"),
    Point("sharing: inside its epoch", "call", "sprat.train.train.augment", 7, since="prune.safetensors"),
    Point("tuning: inside its epoch", "call", "sprat.train.train.augment", 2, since="share.safetensors"),
    Point("encoding: some tensors of model.sprat done", "call", "sprat.codec.encode", 20, since="float.sprat"),
    Point("encoding: model.sprat half written", "half", "model.sprat"),
    Point("export: model.sprat there, model.onnx not", "after", "model.sprat", to_end=True),
    Point("export: model.onnx half written", "half", "model.onnx"),
    Point("verify: agreement known, accuracy not", "after", "agreement.json"),
    Point("report: result.json there, the page half written", "half", "report.html", to_end=True),
)


class Trap:
    """Kills this process at a point, by standing in for functions it is reached through."""

    def __init__(self, point: Point) -> None:
        self.point = point
        self.left = point.count
        self.armed = not point.since

    def set(self) -> None:
        """Stand in for them, for the rest of this process."""
        rename, fsync = os.replace, os.fsync

        def replace(source: Any, target: Any) -> None:
            self.see("before", Path(target).name)
            rename(source, target)
            self.armed = self.armed or Path(target).name == self.point.since
            self.see("after", Path(target).name)

        def sync(handle: int) -> None:
            written = Path(f"/proc/self/fd/{handle}").readlink().name  # ".NAME.random.tmp"
            if self.hit("half", written.removeprefix(".").rsplit(".", 2)[0]):
                os.truncate(f"/proc/self/fd/{handle}", os.fstat(handle).st_size // 2)
                die()
            fsync(handle)

        patch("os.replace", replace).start()
        patch("os.fsync", sync).start()
        if self.point.how == "call":
            home, _, function = self.point.what.rpartition(".")
            module = importlib.import_module(home)
            patch.object(module, function, self.counted(getattr(module, function))).start()

    def counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def stand_in(*arguments: Any, **options: Any) -> Any:
            self.see("call", self.point.what)
            return real(*arguments, **options)

        return stand_in

    def see(self, how: str, what: str) -> None:
        if self.hit(how, what):
            die()

    def hit(self, how: str, what: str) -> bool:
        if not (self.armed and how == self.point.how and fnmatchcase(what, self.point.what)):
            return False
        self.left -= 1
        return self.left == 0


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def forked(folder: Path, point: Point | None) -> int:
    """Exit code of `run_job` on the folder in a child of this process; -9 where it was killed at the point."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if point is not None:
                Trap(point).set()
            run_job(REQUEST, Run(folder), Silent())
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def check_whole(folder: Path) -> int:
    """The number of files under their final names, each read to its end; the temporary ones are hidden.

    Raises:
        Exception: whatever its reader says of a file that is half there.
    """
    import onnx

    readers: dict[str, Callable[[Path], Any]] = {
        ".json": lambda path: json.loads(path.read_text()),
        ".jsonl": lambda path: [json.loads(line) for line in path.read_text().splitlines()],
        ".csv": lambda path: _require(path.read_bytes().endswith(b"\n"), path),
        ".npy": lambda path: np.load(path, mmap_mode="r").sum(),
        ".safetensors": lambda path: safetensors.numpy.load(path.read_bytes()),
        ".sprat": artifact.load,
        ".onnx": lambda path: onnx.checker.check_model(onnx.load(path), full_check=True),
        ".png": lambda path: Image.open(path).load(),
        ".html": lambda path: _require(path.read_text().rstrip().endswith("</html>"), path),
    }
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    for path in files:
        readers[path.suffix](path)
    return len(files)


def _require(whole: bool, path: Path) -> None:
    if not whole:
        raise ValueError(f"{path} is half written")


def sha256(folder: Path, name: str = "model.sprat") -> str:
    return hashlib.sha256((folder / name).read_bytes()).hexdigest()


def trial(point: Point, folder: Path) -> str:
    """sha256 of model.sprat after a kill at the point and the same call once more."""
    code = forked(folder, point)
    if code != KILLED:
        raise AssertionError(f"the run was to be killed, and ended with exit code {code}: the point was not reached")
    check_whole(folder)
    leftovers = list(folder.rglob(".*.tmp"))
    if (point.how in ("half", "before")) != bool(leftovers):
        raise AssertionError(f"unfinished files after the kill: {leftovers}")
    code = forked(folder, None if point.to_end else SHIPPED)
    if code != (0 if point.to_end else KILLED):
        raise AssertionError(f"the resumed run ended with exit code {code}")
    check_whole(folder)
    if list(folder.rglob(".*.tmp")):
        raise AssertionError("the resumed run left unfinished files")
    return sha256(folder)


def trials(points: list[Point], root: Path) -> Iterator[tuple[Point, str, bool, float]]:
    """Each point with the sha256 that came of it, whether it is the uninterrupted run's, and the seconds it took."""
    start = time.monotonic()
    whole = root / "uninterrupted"
    if forked(whole, None) != 0:
        raise AssertionError("the uninterrupted run failed")
    check_whole(whole)
    wanted, page = sha256(whole), sha256(whole, "model.onnx")
    yield Point("uninterrupted", "", ""), wanted, True, time.monotonic() - start
    for index, point in enumerate(points):
        start, folder = time.monotonic(), root / f"{index:02d}"
        try:
            seen = trial(point, folder)
            equal = seen == wanted and (not point.to_end or sha256(folder, "model.onnx") == page)
        except Exception as error:
            print(f"{point.name}: {error}", file=sys.stderr)
            seen, equal = "-" * 16, False
        yield point, seen, equal, time.monotonic() - start


def main() -> int:
    for module in WARM:
        importlib.import_module(module)
    threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208
    if threads != 1:
        print(f"{threads} threads before forking; children may hang", file=sys.stderr)
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    points = [point for point in POINTS if word in point.name]
    differing = 0
    with tempfile.TemporaryDirectory(prefix="sprat-kill-") as root:
        for point, digest, equal, seconds in trials(points, Path(root)):
            print(f"{point.name:<52} {digest[:16]}  {'equal' if equal else 'DIFFERENT'}  {seconds:.1f} s", flush=True)
            differing += not equal
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
