"""Page: a paper of the ledger as Markdown, for docs/papers/."""

from sprat.ledger.row import STATUSES, Paper
from sprat.ledger.verdict import Verdict, by_status

FOOT = "Written by `scripts/write_papers.py` from `src/sprat/ledger/{name}.toml`; edit that file, not this one."


def page(paper: Paper, verdicts: list[Verdict]) -> str:
    """The page of a paper: what it says, where it lives in the code, its cells, what differs, misprints."""
    parts = [
        f"# {paper.title}",
        f"`{paper.ref}`, `{paper.name}` in the ledger.",
        "## What it says",
        paper.says,
        "## Where it lives in the code",
        "\n".join(f"- `{path}`" for path in paper.code),
        "## Cells by status",
        _table(
            ["status", "cells", "meaning"],
            [[status, str(number), STATUSES[status]] for status, number in _ordered(verdicts).items()],
        ),
    ]
    if differing := [verdict for verdict in verdicts if verdict.status in ("differs", "surprise")]:
        rows = [[entry.where, _column(entry), entry.printed, entry.counted, entry.reason] for entry in differing]
        parts += ["## What differs, and why", _table(["where", "column", "printed", "counted", "reason"], rows)]
    if paper.misprints:
        rows = [[entry.where, entry.printed, entry.right] for entry in paper.misprints]
        parts += ["## Misprints of the slides and of the paper", _table(["where", "printed", "right"], rows)]
    parts += ["## All cells", _table(["where", "column", "printed", "counted", "status", "reason"], _cells(verdicts))]
    parts.append(FOOT.format(name=paper.name))
    return "\n\n".join(parts) + "\n"


def index(papers: list[tuple[Paper, list[Verdict]]]) -> str:
    """The page that names all others, with the number of cells of each."""
    everything = [verdict for _, verdicts in papers for verdict in verdicts]
    statuses = list(_ordered(everything))
    lines = [(f"[{paper.title}]({paper.name}.md)", verdicts) for paper, verdicts in papers]
    rows = [
        [name, str(len(verdicts)), *(str(by_status(verdicts).get(status, 0)) for status in statuses)]
        for name, verdicts in [*lines, ("total", everything)]
    ]
    text = (
        "Every figure that the papers and the slides print, compared with what the networks of the zoo count, cell by "
        "cell, at the printed precision: `sprat ledger` does it again. A cell that differs says why, and a test "
        "requires that it goes on differing."
    )
    return "\n\n".join(["# The papers", text, _table(["paper", "cells", *statuses], rows)]) + "\n"


def _ordered(verdicts: list[Verdict]) -> dict[str, int]:
    counts = by_status(verdicts)
    return {status: counts[status] for status in STATUSES if status in counts}


def _column(verdict: Verdict) -> str:
    return verdict.id.rpartition(".")[2]


def _cells(verdicts: list[Verdict]) -> list[list[str]]:
    return [[v.where, _column(v), v.printed, v.counted, v.status, v.reason] for v in verdicts]


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)
