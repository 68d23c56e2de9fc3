"""Doctor: what is here - versions, devices, threads, extras."""

import os
import platform
import shutil
from importlib.util import find_spec
from typing import Any

from sprat.bench import cpu_name, load_average
from sprat.conditions import memory_bytes, versions

_EXTRAS = {"parquet": ("pyarrow",)}


def examine() -> dict[str, Any]:
    """What `sprat doctor` prints: plain values, by title."""
    import torch

    devices = {"cpu": cpu_name()}
    for index in range(torch.cuda.device_count()):
        devices[f"cuda:{index}"] = torch.cuda.get_device_name(index)
    extras = {}
    for extra, modules in _EXTRAS.items():
        missing = [module for module in modules if find_spec(module) is None]
        extras[extra] = "installed" if not missing else f"missing {', '.join(missing)}: pip install 'sprat[{extra}]'"
    return {
        "platform": platform.platform(),
        "versions": versions(),
        "devices": devices,
        "threads": {
            "cores": os.cpu_count(),
            "torch": torch.get_num_threads(),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "not set"),
            "load average": load_average(),
        },
        "memory": {"in all": f"{memory_bytes(torch.device('cpu')):,} bytes"},
        "extras": extras,
        "tools": {
            "chromium": shutil.which("chromium") or shutil.which("google-chrome") or "not found (only tests need it)"
        },
    }
