"""Limits: how much a decoder is willing to hold. Every size in a file is checked before memory is taken for it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a `.sprat` file may claim; a file that claims more is refused before anything is allocated for it.

    Decoding takes at most the decoded bytes, thrice the file, and 128 bytes for each element of the largest tensor.

    Args:
        max_tensors: tensors in one file.
        max_elements: elements of all tensors together.
        max_header_bytes: the JSON manifest, and the list of names, each after inflating.
    """

    max_tensors: int = 8192
    max_elements: int = 2**26
    max_header_bytes: int = 10**6


DEFAULT_LIMITS = Limits()
