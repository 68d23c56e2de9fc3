"""decode: the bytes of an image file of any kind -> uint8 pixels, or the reason why not."""

import re
import threading
import warnings
from functools import cache
from io import BytesIO
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from sprat.data.integrity import is_whole
from sprat.errors import BadInput

MAX_PIXELS = 128_000_000
"""Images with more pixels than this are refused before they are decoded (a decoded one takes 3 bytes a pixel)."""

MAX_FILE_BYTES = 256_000_000
"""Image files longer than this are refused before they are read."""

# Raster formats with a sure signature; none of them starts another program (EPS would) or is guessed (TGA would be).
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF", "QOI")

_GREY = ("1", "L", "LA", "La")

_SIGNATURES = (
    (
        re.compile(rb"....ftyp(heic|heix|hevc|mif1|msf1)", re.DOTALL),
        "a HEIC photo, which cannot be read; save it as JPEG",
    ),
    (re.compile(rb"%PDF"), "a PDF document, not an image"),
    (re.compile(rb"PK\x03\x04"), "a ZIP archive, not an image"),
    (re.compile(rb"\x1f\x8b"), "a gzip archive, not an image"),
    (re.compile(rb"\s*<(\?xml[^>]*>\s*<)?svg", re.IGNORECASE), "an SVG drawing, not a pixel image; save it as PNG"),
    (re.compile(rb"\s*<(!doctype html|html)", re.IGNORECASE), "a web page, not an image"),
)


class _Quiet:
    """Silences warnings while any thread is inside: `warnings.catch_warnings` alone is not safe with threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._context: warnings.catch_warnings[None] | None = None

    def __enter__(self) -> None:
        with self._lock:
            if self._depth == 0:
                self._context = warnings.catch_warnings()
                self._context.__enter__()
                warnings.simplefilter("ignore")
            self._depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0 and self._context is not None:
                self._context.__exit__(kind, error, trace)
                self._context = None


quiet = _Quiet()
"""Context in which Pillow's warnings are not shown; may be entered by many threads at once."""


def decode(content: bytes) -> NDArray[np.uint8]:
    """Pixels (H, W, 1) of an image that is grey by its mode, (H, W, 3) RGB of any other.

    The kind is decided by content, never by a file's ending. EXIF rotation is applied; transparency lies over white;
    palettes, CMYK, 1 bit and 16 bit become 8 bit; of an animation or a document the first frame is taken.

    Args:
        content: the whole file.

    Raises:
        BadInput: the reason, in words fit for a list of skipped files.
    """
    if not content:
        raise BadInput("empty file (0 bytes)")
    if len(content) > MAX_FILE_BYTES:
        raise BadInput(f"{len(content):,} bytes long; the limit for one image is {MAX_FILE_BYTES:,}")
    with quiet:
        try:
            with Image.open(BytesIO(content), formats=_formats()) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise BadInput(f"{width} x {height} pixels; the limit is {MAX_PIXELS:,} pixels")
                if not is_whole(content, image.format):
                    raise BadInput(f"truncated or damaged {image.format}: part of its pixels is missing")
                image.load()
                return np.ascontiguousarray(_upright(_pixels(image), _orientation(image)))
        except BadInput:
            raise
        except UnidentifiedImageError:
            raise BadInput(_describe(content)) from None
        except Image.DecompressionBombError:
            raise BadInput(f"more pixels than the limit of {MAX_PIXELS:,}") from None
        except MemoryError:
            raise BadInput("too large for this machine's memory") from None
        except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
            raise BadInput(f"damaged or truncated image ({error or type(error).__name__})") from None


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    mode = image.mode
    if mode.startswith("I;16"):
        return _sixteen(np.asarray(image), image.info.get("transparency"))
    if mode in ("I", "F"):
        return _scaled(np.asarray(image), image.format)
    base = "L" if mode in _GREY else "RGB"
    if not image.has_transparency_data:
        flat = image if mode == base else image.convert(base)
    else:
        layered = image if mode == base + "A" else image.convert(base + "A")
        flat = Image.new(base, image.size, "white")
        flat.paste(layered.convert(base), mask=layered.getchannel("A"))
    array = np.asarray(flat)
    return array[:, :, None] if array.ndim == 2 else array


def _sixteen(values: NDArray[np.uint16], transparent: object) -> NDArray[np.uint8]:
    """65535 becomes 255; one transparent value, where a PNG names it, becomes white."""
    if isinstance(transparent, int):
        values = np.where(values == transparent, np.uint16(65535), values)
    return _bytes(values.astype(np.float32) / 257)


def _scaled(values: NDArray[np.int32] | NDArray[np.float32], kind: str | None) -> NDArray[np.uint8]:
    """32-bit integers and floats carry no range: take that of the format, or the smallest usual one that holds them."""
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)) or low < 0:
        raise BadInput(f"pixel values from {low:g} to {high:g}; only values from 0 upwards can be scaled to 0..255")
    whole = values.dtype.kind == "i"
    if whole and kind in ("PNG", "PPM"):
        top = 65535.0
    else:
        ranges = (255.0, 65535.0, 2.0**31 - 1) if whole else (1.0, 255.0, 65535.0)
        top = next((limit for limit in ranges if high <= limit), 0.0)
    if top == 0:
        raise BadInput(f"pixel values from {low:g} to {high:g}; floats must lie in 0..1, 0..255 or 0..65535")
    return _bytes(values.astype(np.float64) * (255 / top))


def _bytes(values: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.rint(values).clip(0, 255).astype(np.uint8)[:, :, None]


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # damaged EXIF does not make the pixels unreadable
        return 1


def _upright(array: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """EXIF 2.32, table 6: what rows and columns mean for orientation 1 to 8."""
    if orientation in (5, 6, 7, 8):
        array = array.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array


def _describe(content: bytes) -> str:
    start = content[:4096]
    for pattern, reason in _SIGNATURES:
        if pattern.match(start):
            return reason
    if start.count(0) == len(start):
        return "nothing but zero bytes"
    if not re.search(rb"[\x00-\x08\x0e-\x1f\x7f]", start):
        return "a text file, not an image"
    return "not an image of a kind that can be read, or its beginning is damaged"
