"""Machine: which processor and which ONNX Runtime times belong to, and where its calibration lies."""

import hashlib
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_LINES = ("vendor_id", "cpu family", "model", "model name", "cache size", "flags", "Features", "CPU part")


def processor() -> str:
    """The processor in words and a short hash of what the system says of it: equal on machines that compute alike."""
    try:
        pairs = [line.partition(":") for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()]
    except OSError:
        pairs = []
    known = {key.strip(): value.strip() for key, _, value in pairs if key.strip() in _LINES}
    name = known.get("model name") or platform.processor() or platform.machine()
    told = "\n".join([platform.machine(), *(f"{key}={known[key]}" for key in sorted(known))])
    return f"{name} ({hashlib.sha256(told.encode()).hexdigest()[:8]})"


def runtime() -> str:
    """ONNX Runtime and its version, without importing it; "none" where it is not installed."""
    try:
        return f"onnxruntime {version('onnxruntime')}"
    except PackageNotFoundError:
        return "none"


def calibration_path() -> Path:
    """Where the calibration of this processor and this ONNX Runtime lies, in the user's cache folder."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(f"{processor()}\n{runtime()}".encode()).hexdigest()[:12]
    return folder / "sprat" / f"latency-{digest}.npz"
