"""Running a function of sprat in a fresh Python process, so that nothing in this one's memory can help it."""

import os
import sys
from pathlib import Path

import sprat


def fresh_command(module: str, *arguments: str) -> list[str]:
    """The command line of a new process that runs `main()` of a module; `arguments` are its sys.argv[1:]."""
    return [sys.executable, "-P", "-c", f"from {module} import main; main()", *arguments]


def fresh_environment() -> dict[str, str]:
    """This process's environment with sprat importable from where it is, and one thread for every numeric library."""
    root = str(Path(sprat.__file__).resolve().parents[1])
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
