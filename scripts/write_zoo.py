"""Write docs/reference/networks.md: every preset with what it costs and what its paper reports.

python scripts/write_zoo.py [--check]
"""

import argparse
import importlib
import sys
from itertools import groupby
from pathlib import Path

from sprat.search.listing import Listed, listing
from sprat.units import format_count
from sprat.zoo.family import FAMILIES

PAGE = Path(__file__).resolve().parents[1] / "docs/reference/networks.md"
HEAD = """# The networks

Written by `scripts/write_zoo.py`; a test keeps it current. `sprat zoo` prints the same, `sprat cost MODEL` counts any
of them at another size, and `docs/papers/` tells what each paper prints and where it differs. Parameters and
multiply-adds are counted at the published input; top-1 is the paper's, on ImageNet. Finer widths than these are
candidates of `sprat pick` and can be named wherever a model can.

| family | networks | what it is |
|---|---|---|
"""


def purpose(family: str) -> str:
    """First line of the docstring of the family's file, which says what it is."""
    module = importlib.import_module(FAMILIES.get(family).build.__module__)
    return (module.__doc__ or "").strip().splitlines()[0].rstrip(".")


def page() -> str:
    """The text of the page."""
    families = [(family, list(models)) for family, models in groupby(listing(), key=lambda model: model.family)]
    parts = [HEAD]
    parts += [f"| [{family}](#{family}) | {len(models)} | {purpose(family)} |\n" for family, models in families]
    for family, models in families:
        parts.append(f"\n## {family}\n\n`src/sprat/zoo/{family}.py`, {FAMILIES.get(family).paper}\n\n")
        parts.append(
            "| model | image | classes | params | macs | peak memory, bytes | top-1, % |\n"
            "|---|---|---|---|---|---|---|\n"
        )
        parts += [row(model) for model in models]
    return "".join(parts)


def row(model: Listed) -> str:
    top1 = "" if model.top1 is None else f"{100 * model.top1:.1f}"
    return (
        f"| `{model.name}` | {model.image} | {model.num_classes:,} | {model.params:,} | {format_count(model.macs)} | "
        f"{model.peak_bytes:,} | {top1} |\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only tell whether the page is current")
    given = parser.parse_args()
    text = page()
    if given.check:
        sys.exit(0 if PAGE.read_text() == text else f"{PAGE.name} is not current: run python scripts/write_zoo.py")
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
