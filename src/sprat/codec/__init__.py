"""Bytes to arrays and back: the tensors of a `.sprat` file. Pure functions; docs/reference/format.md specifies them."""

from sprat.codec.element import TYPES
from sprat.codec.limits import DEFAULT_LIMITS, Limits
from sprat.codec.tensor import CODES, Head, decode, encode, encoded_size, estimated_size, peek
from sprat.codec.wire import Reader, varint

__all__ = [
    "CODES",
    "DEFAULT_LIMITS",
    "TYPES",
    "Head",
    "Limits",
    "Reader",
    "decode",
    "encode",
    "encoded_size",
    "estimated_size",
    "peek",
    "varint",
]
