import pytest

from sprat.errors import BadInput, UnknownName
from sprat.ledger import paper_names, parse_paper, read_paper

SOURCE = """
[source]
title = "A paper"
ref = "arXiv:0000.00000"
code = ["src/sprat/zoo/mobilenet_v1.py"]
says = "It says so."
"""
ROW = """
[[row]]
id = "table1.a"
where = "Table 1, A"
preset = "mobilenet_v1_1.0"
printed = { params = "4.2M", top1 = "70.6%" }
not_attempted = { top1 = "needs data" }
"""


def test_a_paper_is_read():
    paper = parse_paper("paper", SOURCE + ROW)
    (row,) = paper.rows
    assert paper.title == "A paper"
    assert row.claim("top1").status == "not attempted"
    assert row.claim("params") is None
    assert (row.image.height, row.classes) == (224, 1000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SOURCE, "lacks row"),
        (ROW, "lacks source"),
        (SOURCE + ROW + "colour = 'red'", "unknown key 'colour'"),
        (SOURCE + "pages = 3\n" + ROW, "unknown key 'pages'"),
        (SOURCE + ROW + ROW, "two rows called 'table1.a'"),
        (SOURCE + ROW + "scope = { params = 'as I like it' }", "must be one of"),
        (SOURCE + ROW + "differs = { macs = 'why' }", "'macs', which is not printed"),
        (SOURCE + ROW + "quoted = { top1 = 'X' }", "says two things of the column 'top1'"),
        (SOURCE + ROW + "differs = { params = '' }", "must be a text"),
        (SOURCE + ROW + "by = 'ratio'", "more than one way to be counted"),
        (SOURCE + ROW + "classes = 'many'", "'classes' cannot be 'many'"),
        (SOURCE + ROW + "image = [3, 224]", "write \\[3, 224, 224\\]"),
        (SOURCE + ROW + "trained_here = { params = { ours = '1' } }", "lacks data"),
        ("[source", "not TOML"),
    ],
)
def test_what_is_not_as_it_must_be_is_refused(text, message):
    with pytest.raises(BadInput, match=message):
        parse_paper("paper", text)


def test_an_unknown_paper_is_refused():
    with pytest.raises(UnknownName, match="no paper 'lenet'"):
        read_paper("lenet")


def test_yardsticks_are_no_paper():
    assert "yardsticks" not in paper_names()
