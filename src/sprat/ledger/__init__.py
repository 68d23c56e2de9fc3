"""The paper ledger: every printed figure of the papers behind the zoo, and what we count for it.

One TOML file a paper in this folder; `judge_paper(read_paper("mobilenet"))` gives the verdicts on its cells. Public
names are loaded when they are first used: counting takes PyTorch, the yardsticks do not.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sprat.ledger.imagenet import Published, published
    from sprat.ledger.read import paper_names, parse_paper, read_paper
    from sprat.ledger.row import STATUSES, Claim, Misprint, Paper, Row
    from sprat.ledger.verdict import Verdict, by_status, judge, judge_paper, surprises
    from sprat.ledger.yardstick import Yardstick, yardsticks

_HOMES = {
    "STATUSES": "row",
    "Claim": "row",
    "Misprint": "row",
    "Paper": "row",
    "Published": "imagenet",
    "Row": "row",
    "Verdict": "verdict",
    "Yardstick": "yardstick",
    "by_status": "verdict",
    "judge": "verdict",
    "judge_paper": "verdict",
    "paper_names": "read",
    "parse_paper": "read",
    "published": "imagenet",
    "read_paper": "read",
    "surprises": "verdict",
    "yardsticks": "yardstick",
}

__all__ = [
    "STATUSES",
    "Claim",
    "Misprint",
    "Paper",
    "Published",
    "Row",
    "Verdict",
    "Yardstick",
    "by_status",
    "judge",
    "judge_paper",
    "paper_names",
    "parse_paper",
    "published",
    "read_paper",
    "surprises",
    "yardsticks",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sprat.ledger' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"sprat.ledger.{_HOMES[name]}"), name)
