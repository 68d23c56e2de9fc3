"""Compression: fewer bytes for the same answers. Stages take a plain network and leave one behind."""

from sprat.compress.importance import row_importance
from sprat.compress.pipeline import Compressed, compress

__all__ = ["Compressed", "compress", "row_importance"]
