"""Packages that are imported when they are first needed, as they take seconds or come with an extra."""

import importlib
from types import ModuleType

from sprat.errors import BadInput


def import_late(name: str, extra: str = "") -> ModuleType:
    """A module of another package, such as onnxruntime.

    Args:
        name: dotted name of the module.
        extra: of sprat that installs it; empty where it comes with sprat itself.

    Raises:
        BadInput: it is not installed; the message says what to install.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        how = f"pip install 'sprat[{extra}]'" if extra else f"it comes with sprat: pip install {missing}"
        raise BadInput(f"this needs the package {missing}, which is not installed; {how}") from None
