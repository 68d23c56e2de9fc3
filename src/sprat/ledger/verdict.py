"""Verdict: one printed cell against what is counted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sprat.errors import BadInput, SpratError
from sprat.ledger.measure import COLUMNS, MEBIBYTES, amount, measure
from sprat.ledger.printed import read_printed
from sprat.ledger.quantity import QUANTITIES, Value, computed
from sprat.ledger.row import Claim, Paper, Row
from sprat.zoo import config_from_dict, get_preset


@dataclass(frozen=True, slots=True)
class Verdict:
    """One cell: the unit of `sprat ledger`.

    Args:
        id: "mobilenet.table6.0.25-224.macs"; unique and lasting.
        paper: its name in the ledger.
        where: table and line.
        printed: what is printed.
        counted: what we count, exactly; "" where nothing is.
        status: one of `sprat.ledger.row.STATUSES`.
        reason: why it differs, is not attempted or is a surprise; else the convention, or a remark.
    """

    id: str
    paper: str
    where: str
    printed: str
    counted: str
    status: str
    reason: str


def judge_paper(paper: Paper) -> list[Verdict]:
    """The verdicts on all cells of a paper, in the order of its tables."""
    return [verdict for row in paper.rows for verdict in judge(paper, row)]


def judge(paper: Paper, row: Row) -> list[Verdict]:
    """The verdicts on the cells of a row. What cannot be counted though it should is a surprise, never left out."""
    try:
        counted = _counted(row)
        problem = ""
    except SpratError as error:
        counted, problem = {}, str(error)
    verdicts = []
    for column, printed in row.printed.items():
        claim = row.claim(column)
        if claim is None and column not in counted and column not in row.differs:
            claim = paper.claims.get(column)
        if problem:
            shown, status, reason = "", "surprise", problem
        elif claim is not None:
            shown, status, reason = _claimed(claim, counted.get(column), printed)
        else:
            shown, status, reason = _compared(row, column, counted.get(column))
        verdicts.append(
            Verdict(f"{paper.name}.{row.id}.{column}", paper.name, row.where, printed, shown, status, reason)
        )
    return verdicts


def config_of(row: Row) -> Any:
    """The config value of the network of a row.

    Raises:
        UnknownName: no such preset or family.
        BadInput: the config does not fit the family, or the row has no network.
    """
    if not row.has_network:
        raise BadInput(f"row {row.id} names no network")
    return get_preset(row.preset) if row.preset else config_from_dict(row.config)


def _counted(row: Row) -> dict[str, Value]:
    if row.by:
        return dict(computed(row.by, row.given))
    if not row.has_network:
        return {}
    config = config_of(row)
    unclaimed = [column for column in row.printed if row.claim(column) is None]
    values: dict[str, Value] = {"image": f"{row.image.height}x{row.image.width}"} if "image" in unclaimed else {}
    if wanted := [column for column in unclaimed if column in COLUMNS]:
        net = measure(config, row.image, row.classes)
        values |= {column: amount(net, column, row.scope.get(column, "all")) for column in wanted}
    return values


def _claimed(claim: Claim, value: Value | None, printed: str) -> tuple[str, str, str]:
    shown = claim.ours or ("" if value is None else show(value, printed))
    return shown, claim.status, claim.reason


def _compared(row: Row, column: str, value: Value | None) -> tuple[str, str, str]:
    printed, excuse = row.printed[column], row.differs.get(column)
    if value is None:
        return "", "surprise", f"nothing says how to check the column {column!r}; give a network, `by`, or a claim"
    shown, scope = show(value, printed), row.scope.get(column, "all")
    try:
        agrees = _agrees(printed, value, scope)
    except BadInput as error:
        return shown, "surprise", str(error)
    if agrees and excuse is not None:
        return shown, "surprise", f"it agrees now, so it can no longer be excused with: {excuse}"
    if agrees:
        remarks = [remark for remark in ("" if scope == "all" else scope, row.note) if remark]
        return shown, _status(row, value), "; ".join(remarks)
    if excuse is not None:
        return shown, "differs", excuse
    return shown, "surprise", f"{printed} is printed and {shown} counted, and no reason is given"


def _status(row: Row, value: Value) -> str:
    if row.by:
        return QUANTITIES.get(row.by).status
    return "definition" if isinstance(value, str) else "exact"


def _agrees(printed: str, value: Value, scope: str) -> bool:
    if isinstance(value, str):
        return _plain(printed) == _plain(value)
    return read_printed(printed, unit="MiB" if scope == MEBIBYTES else None).agrees(value)


def _plain(text: str) -> str:
    return "".join(text.lower().split())


def show(value: Value, printed: str) -> str:
    """A counted value as a person reads it beside the print: exact where it is whole, else a digit or two more."""
    if isinstance(value, str):
        return value
    if printed.rstrip().endswith("%"):
        return f"{float(100 * value):.2f}%"
    if printed.rstrip().endswith("x"):
        return f"{float(value):.2f}x"
    return f"{int(value):,}" if value == int(value) else f"{float(value):.6g}"


def surprises(verdicts: list[Verdict]) -> int:
    """How many of them are surprises."""
    return sum(verdict.status == "surprise" for verdict in verdicts)


def by_status(verdicts: list[Verdict]) -> Mapping[str, int]:
    """Status to the number of cells that have it."""
    counts: dict[str, int] = {}
    for verdict in verdicts:
        counts[verdict.status] = counts.get(verdict.status, 0) + 1
    return counts
