"""Memory: what a process grows by when it loads an .onnx file and predicts."""

import json
import sys
from pathlib import Path
from typing import Any

from sprat.bench.worker import measure_fresh, noise_image
from sprat.export.session import INPUT, open_session

_STATUS = Path("/proc/self/status")


def peak_memory(path: Path, size: tuple[int, int], *, repeats: int = 10) -> dict[str, Any]:
    """Resident memory of an .onnx file as memory.json holds it, bytes, measured in a fresh process.

    `baseline_rss_bytes` is before the file is opened, with ONNX Runtime imported; `peak_rss_bytes` the most until
    `repeats` images have been predicted one by one; `network_rss_bytes` the difference, the runtime's own working
    memory included.

    Args:
        path: a file made by `to_onnx`.
        size: (height, width) of the image.
        repeats: images predicted.

    Raises:
        BadArtifact: the file cannot be run.
    """
    return measure_fresh("sprat.bench.memory", path, *size, repeats)


def measure(path: Path, height: int, width: int, repeats: int) -> dict[str, Any]:
    """`peak_memory`, in this process."""
    import onnxruntime

    source = _forget_peak()
    baseline = _peak_bytes()
    session = open_session(path, threads=1)
    image = noise_image(height, width, session.get_inputs()[0].shape[3])
    for _ in range(repeats):
        session.run(None, {INPUT: image})
    peak = _peak_bytes()
    return {
        "baseline_rss_bytes": baseline,
        "peak_rss_bytes": peak,
        "network_rss_bytes": peak - baseline,
        "conditions": (
            f"{source} of a fresh process, onnxruntime {onnxruntime.__version__}, 1 thread, "
            f"baseline after importing the runtime, peak after {repeats} images of "
            f"{height}x{width}x{image.shape[3]}, one at a time"
        ),
    }


def _forget_peak() -> str:
    """Set the recorded peak to the present size where the system can; the name of the figure that is read."""
    if not _STATUS.exists():
        return "getrusage maxrss"
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return "VmHWM (import peak included in the baseline)"
    return "VmHWM"


def _peak_bytes() -> int:
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main() -> None:
    """Entry of the fresh process: FILE HEIGHT WIDTH REPEATS; prints JSON."""
    height, width, repeats = map(int, sys.argv[2:])
    print(json.dumps(measure(Path(sys.argv[1]), height, width, repeats)))
