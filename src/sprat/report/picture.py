"""Pictures of the run folder as data URIs, small enough for one page."""

import base64
import io
from pathlib import Path
from typing import Any

from PIL import Image

KEPT_BYTES = 24_000  # a PNG up to this length goes in as it is
LARGEST_SIDE = 224  # pixels; larger pictures are reduced
MOST_PAIRS = 24  # shown; the rest are counted


def data_uri(path: Path) -> str | None:
    """The picture as `data:...`: a small PNG as it is, else a JPEG of at most 224 pixels; None if unreadable."""
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as picture:
            if picture.format == "PNG" and len(content) <= KEPT_BYTES and max(picture.size) <= LARGEST_SIDE:
                return _uri("png", content)
            small = picture.convert("RGB")
    except (OSError, ValueError, SyntaxError):
        return None
    small.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=85)
    return _uri("jpeg", stream.getvalue())


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def gallery(run_folder: Path, mistakes: list[dict[str, Any]], classes: list[str]) -> list[dict[str, Any]]:
    """The first mistakes with names for their classes and both pictures as data URIs (None where one is missing).

    Pictures outside the run folder are not read.
    """
    shown = []
    for entry in mistakes[:MOST_PAIRS]:
        pictures = {key: _inside(run_folder, entry.get(key)) for key in ("image", "cam")}
        shown.append(
            {
                "key": entry["key"],
                "label": classes[entry["label"]],
                "predicted": classes[entry["predicted"]],
                "confidence": entry["confidence"],
                **pictures,
            }
        )
    return shown


def _inside(run_folder: Path, name: str | None) -> str | None:
    if not name:
        return None
    path = (run_folder / name).resolve()
    return data_uri(path) if path.is_relative_to(run_folder.resolve()) else None
