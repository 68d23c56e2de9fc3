"""Packages of the export, imported when they are first needed: they take seconds."""

import importlib
from types import ModuleType

from sprat.errors import BadInput


def import_late(name: str) -> ModuleType:
    """The module onnx, onnxscript or onnxruntime, or a part of one.

    Raises:
        BadInput: it is not installed; the message says what to install.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        raise BadInput(
            f"this needs the package {missing}, which comes with sprat but is not installed: pip install {missing}"
        ) from None
