"""integrity: whether a JPEG or PNG is whole. Their decoders fill what is missing with grey and say nothing."""

import re
import zlib

_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
_PNG_START = 8


def is_whole(content: bytes, kind: str | None) -> bool:
    """False for a JPEG without its end or a PNG with damaged pixel data, as of a file cut off and filled up with zeros.

    Args:
        content: the whole file.
        kind: Pillow's name of the format; others than JPEG, MPO and PNG have nothing to check and count as whole.
    """
    if kind in ("JPEG", "MPO"):
        return _jpeg_reaches_end(content)
    return kind != "PNG" or _png_pixels_intact(content)


def _jpeg_reaches_end(content: bytes) -> bool:
    """Whether the segments lead to the end marker (ITU-T T.81, B.1.1.2); what follows it does not matter."""
    position = 2
    while match := _JPEG_MARKER.search(content, position):
        if match[1] == b"\xd9":
            return True
        length = int.from_bytes(content[match.end() : match.end() + 2], "big")
        position = match.end() + length
    return False


def _png_pixels_intact(content: bytes) -> bool:
    """Whether every chunk of pixel data is there with the right checksum (PNG specification, 5.3)."""
    position = _PNG_START
    while position + 8 <= len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        name = content[position + 4 : position + 8]
        end = position + 8 + length
        if name == b"IDAT" and zlib.crc32(content[position + 4 : end]).to_bytes(4, "big") != content[end : end + 4]:
            return False
        if name == b"IEND":
            break
        position = end + 4
    return True
