"""Write docs/reference/weights.md: formats that are read, networks that are known in them, files to download.

python scripts/write_weights.py [--check]
"""

import argparse
import sys
from itertools import groupby
from pathlib import Path

from sprat.weights.fetch.published import published
from sprat.weights.foreign import READERS
from sprat.weights.table import Network, formats, tables

PAGE = Path(__file__).resolve().parents[1] / "docs/reference/weights.md"
HEAD = """# Trained weights of others

Written by `scripts/write_weights.py`; a test keeps it current. `sprat import FILE` reads these formats without the
framework that wrote them ([how-to](../how-to/trained-weights.md)); which one a file is, its content tells.

| format | reads |
|---|---|
"""
NETWORKS = """
## Networks that are known by name

One table a source, `src/sprat/weights/tables/SOURCE.toml`. The input is what the published network was fed: the order
of colours, how pixels are normalised (given for 0..255), and how it was scored: resized to this side before the
centre crop. All of that is done by the imported file; it takes plain RGB images.

| source | entry | models | input | padding | classes |
|---|---|---|---|---|---|
"""
FILES = """
## Files to download

`sprat import NAME` fetches one from its official address, on request only, into the cache folder; it is resumable and
checked by the published checksum. Where nobody publishes one, the first download's is recorded and later ones are
compared with it. Accuracies are the publishers', on ImageNet's validation set unless the entry's note says otherwise.

| name | model | bytes | top-1, % | checksum | licence |
|---|---|---|---|---|---|
"""


def fed(network: Network) -> str:
    """The input in a few words."""
    mean, std = (
        "/".join(f"{value:g}" for value in values) if len(set(values)) > 1 else f"{values[0]:g}"
        for values in (network.mean, network.std)
    )
    side, resize = next(iter(network.side.values())), next(iter(network.resize.values()))
    crop = f", {'shorter side' if network.keep_aspect else 'warped to'} {resize}" if resize else ""
    return f"{network.order.upper()}, mean {mean}, std {std}; {side} pixels{crop}"


def page() -> str:
    """The text of the page."""
    parts = [HEAD]
    for name in READERS:
        sources = sorted(source for source, readers in formats().items() if name in readers)
        known = f" (tables: {', '.join(sources)})" if sources else ""
        parts.append(f"| {name} | {READERS.get(name).understands}{known} |\n")
    parts.append(NETWORKS)
    for network in tables():
        models = ", ".join(f"`{pattern}`" for pattern in network.models)
        count = "ImageNet" if network.classes == "imagenet" else str(len(network.classes))
        background = " + background, dropped" if network.background else ""
        parts.append(
            f"| {network.source} | {network.name} | {models} | {fed(network)} | {network.padding} | "
            f"{count}{background} |\n"
        )
    parts.append(FILES)
    for _, entries in groupby(published().values(), key=lambda entry: entry.source):
        for entry in entries:
            size = "" if entry.size_bytes is None else f"{entry.size_bytes:,}"
            top1 = "" if entry.top1 is None else f"{100 * entry.top1:.1f}"
            checksum = entry.checksums[0][0] if entry.checksums else "none published"
            parts.append(
                f"| [{entry.name}]({entry.url}) | `{entry.model}` | {size} | {top1} | {checksum} | {entry.licence} |\n"
            )
    return "".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only tell whether the page is current")
    given = parser.parse_args()
    text = page()
    current = PAGE.exists() and PAGE.read_text() == text
    if given.check:
        sys.exit(0 if current else f"{PAGE.name} is not current; run python scripts/write_weights.py")
    PAGE.write_text(text)
    print(f"{PAGE.name}: {'unchanged' if current else 'written'}")


if __name__ == "__main__":
    main()
