"""Under which conditions a run happens: versions, device, threads."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
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


def free_memory_bytes(device: "torch.device") -> int:
    """Memory a training may take on the device, bytes; 4 GB where the system does not say."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 4 * 10**9
