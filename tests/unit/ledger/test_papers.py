"""The ledger as it is: no surprises, every table of the facts covered, pages current."""

import csv
import importlib.util
import json
import re
from functools import cache
from pathlib import Path

import pytest

from sprat.cli import ledger
from sprat.ledger import STATUSES, judge_paper, paper_names, published, read_paper, yardsticks

ROOT = Path(__file__).parents[3]
TABLES = ROOT.parent / "shared" / "facts" / "tables"

# Columns of the tables that are no print: ours, and remarks.
OURS = re.compile(r"counted.*|note|exact_enumeration|formula_value|correct_value_note|value|counted_at_input")
# Columns that say which line it is; they must stand in `where`, unless they are not part of the table.
LABELS = {
    "model", "architecture", "approach", "data_type", "team", "entry", "structure", "layer", "method", "space", "at",
    "quantity", "setting", "scale", "modification", "layer_type", "framework_resolution", "additional_techniques",
    "group", "layer_0based", "op_index_deck_order",
}  # fmt: skip
NOT_PRINTED = {"table", "source", "example"}


@cache
def papers():
    return [read_paper(name) for name in paper_names()]


@cache
def verdicts():
    return [verdict for paper in papers() for verdict in judge_paper(paper)]


def test_there_are_no_surprises():
    assert [verdict for verdict in verdicts() if verdict.status == "surprise"] == []


def test_there_are_at_least_250_rows_with_ids_of_their_own():
    ids = [verdict.id for verdict in verdicts()]
    assert len(ids) == len(set(ids)) >= 250
    assert all(re.fullmatch(r"[a-z0-9_.@-]+", identity) for identity in ids)


def test_every_cell_has_a_status_and_those_that_need_one_a_reason():
    for verdict in verdicts():
        assert verdict.status in STATUSES
        assert verdict.printed
        assert verdict.reason or verdict.status in ("exact", "formula", "definition"), verdict.id
        assert verdict.counted or verdict.status in ("quoted", "not attempted", "definition"), verdict.id


def test_the_code_that_a_paper_names_is_there():
    for paper in papers():
        assert [path for path in paper.code if not (ROOT / path).exists()] == [], paper.name


@pytest.mark.skipif(not TABLES.is_dir(), reason="the folder shared is not beside the project")
def test_every_cell_of_every_table_is_covered():
    rows = {}
    for paper in papers():
        for row in paper.rows:
            for line in row.csv:
                rows.setdefault(line, []).append(row)
    missing = []
    for path in sorted(TABLES.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            for number, line in enumerate(csv.DictReader(file), 1):
                if line.get("layer", "").startswith("counted"):
                    continue
                found = rows.pop(f"{path.name}:{number}", [])
                missing += [f"{path.name}:{number} {column}" for column in uncovered(line, found)]
    assert missing == []
    assert list(rows) == []


def uncovered(line, rows):
    """The columns of a line of a table whose text is nowhere in its rows."""
    if not rows:
        return ["(all)"]
    printed = {plain(text) for row in rows for text in row.printed.values()}
    where = [plain(row.where) for row in rows]
    for column, text in line.items():
        if text in ("", "-") or OURS.fullmatch(column) or column in NOT_PRINTED:
            continue
        if column in LABELS:
            covered = any(plain(text) in place for place in where)
        else:
            covered = plain(text) in printed or any(plain(text) in place for place in where)
        if not covered:
            yield f"{column}={text}"


def plain(text):
    """Without spaces, commas, marks and the unit, which a table has in its header: "4.2 M" and "4.2" are the same."""
    return re.sub(r"(?<=\d)(MB|ms|[MBx%*])$", "", re.sub(r"[\s,*]", "", text))


def test_published_accuracies_are_fractions_and_each_stands_once():
    entries = published()
    assert len(entries) >= 60
    assert len({(entry.config, entry.image, entry.top1) for entry in entries}) == len(entries)
    assert all(0.3 < entry.top1 < 0.9 and entry.params > 10**5 and entry.macs > 10**7 for entry in entries)
    tops = {(entry.name, entry.image.height): entry.top1 for entry in entries}
    assert tops["mobilenet_v1_0.25", 224] == 0.506
    assert tops["shufflenet_v1_1.0_g1", 224] == 0.664  # printed as an error of 33.6%
    assert tops["xception", 299] == 0.79
    assert "nasnet_a_7_1920" not in {entry.name for entry in entries}  # its size is not the printed one


def test_yardsticks():
    marks = yardsticks()
    assert len(marks) >= 15
    assert len({mark.name for mark in marks}) == len(marks)
    assert all(0.5 < mark.top1 < 0.85 and mark.params > 10**6 and mark.macs > 10**7 for mark in marks)


def test_the_command_prints_json(capsys):
    assert ledger.command(json=True) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"rows", "surprises"}
    assert document["surprises"] == 0
    assert len(document["rows"]) == len(verdicts())
    assert list(document["rows"][0]) == ["id", "paper", "where", "printed", "counted", "status", "reason"]


def test_the_command_prints_a_table_and_a_summary(capsys):
    assert ledger.command(paper="mobilenet", only="differs") == 0
    out = capsys.readouterr().out
    assert "1.19%" in out
    assert "1.91%" in out
    assert "Table 6" not in out


def test_a_surprise_gives_exit_code_1(monkeypatch, capsys):
    surprise = verdicts()[0].__class__("a.b.c", "a", "Table 1", "1M", "2,000,000", "surprise", "no reason is given")
    monkeypatch.setattr("sprat.ledger.judge_paper", lambda paper: [surprise])
    assert ledger.command(paper="mobilenet") == 1
    assert "surprise" in capsys.readouterr().out


def test_the_pages_are_current():
    spec = importlib.util.spec_from_file_location("write_papers", ROOT / "scripts" / "write_papers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    there = {path.name: path.read_text(encoding="utf-8") for path in module.FOLDER.glob("*.md")}
    assert module.pages() == there
