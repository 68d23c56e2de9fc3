"""Under which conditions a run happens: versions, device, threads."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import sprat

if TYPE_CHECKING:
    import torch

PACKAGES = (
    "torch",
    "numpy",
    "pillow",
    "constriction",
    "safetensors",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "pyarrow",
)


def versions() -> dict[str, str]:
    """Versions of sprat, Python and the packages that matter; packages that are not installed are left out."""
    found = {"sprat": sprat.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def device_for() -> "torch.device":
    """The CUDA device where there is one, else the CPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def memory_bytes(device: "torch.device") -> int:
    """All memory of the device that this process may use, bytes; 4 GB where the system does not say.

    Not what happens to be free: a plan made twice shall be the same plan.
    """
    import torch

    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[1])
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 4 * 10**9
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.is_file() else ""
    return min(total, int(text)) if text.isdigit() else total
