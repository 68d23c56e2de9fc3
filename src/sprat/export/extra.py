"""Packages of the optional extra sprat[export], imported when they are first needed."""

import importlib
from types import ModuleType

from sprat.errors import BadInput


def import_extra(name: str) -> ModuleType:
    """A module of the extra sprat[export]: onnx, onnxscript or onnxruntime.

    Raises:
        BadInput: it is not installed; the message says what to install.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        raise BadInput(
            f"this needs the package {missing}, which is not installed: pip install 'sprat[export]'"
        ) from None
