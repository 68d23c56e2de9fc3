import pytest

from sprat.ledger import judge_paper, parse_paper
from sprat.ledger.quantity import QUANTITIES

SOURCE = """
[source]
title = "A paper"
ref = "arXiv:0000.00000"
code = []
says = "It says so."
[not_attempted]
top1 = "needs data"
"""


def verdicts(row):
    text = f"{SOURCE}\n[[row]]\nid = 'a'\nwhere = 'Table 1'\n{row}"
    return {verdict.id: verdict for verdict in judge_paper(parse_paper("paper", text))}


def only(row):
    (verdict,) = verdicts(row).values()
    return verdict


def test_a_cell_that_agrees_is_exact():
    verdict = only("preset = 'mobilenet_v1_1.0'\nprinted = { params = '4.2M' }")
    assert (verdict.id, verdict.status, verdict.counted) == ("paper.a.params", "exact", "4,231,976")


def test_a_cell_that_does_not_agree_is_a_surprise():
    verdict = only("preset = 'mobilenet_v1_1.0'\nprinted = { params = '4.4M' }")
    assert verdict.status == "surprise"
    assert "no reason is given" in verdict.reason


def test_a_reason_makes_it_differ():
    verdict = only("preset = 'mobilenet_v1_1.0'\nprinted = { params = '4.4M' }\ndiffers = { params = 'a slip' }")
    assert (verdict.status, verdict.reason) == ("differs", "a slip")


def test_a_reason_must_not_outlive_its_cause():
    verdict = only("preset = 'mobilenet_v1_1.0'\nprinted = { params = '4.2M' }\ndiffers = { params = 'a slip' }")
    assert verdict.status == "surprise"
    assert "it agrees now" in verdict.reason


def test_a_network_that_is_missing_is_a_surprise_in_every_cell():
    found = verdicts("preset = 'lenet_9000'\nprinted = { params = '4.2M', top1 = '70.6%' }")
    assert [verdict.status for verdict in found.values()] == ["surprise", "surprise"]


def test_a_cell_that_nothing_explains_is_a_surprise():
    verdict = only("preset = 'mobilenet_v1_1.0'\nprinted = { colour = 'red' }")
    assert verdict.status == "surprise"


def test_the_default_of_the_paper_holds_for_a_cell_that_says_nothing():
    verdict = only("preset = 'mobilenet_v1_1.0'\nprinted = { top1 = '70.6%' }")
    assert (verdict.status, verdict.reason, verdict.counted) == ("not attempted", "needs data", "")


def test_our_own_figure_is_shown():
    verdict = only("printed = { top1 = '70.6%' }\ntrained_here = { top1 = { ours = '69.0%', data = 'ImageNet' } }")
    assert (verdict.status, verdict.counted, verdict.reason) == ("trained here", "69.0%", "ImageNet")


@pytest.mark.parametrize(
    ("scope", "printed"),
    [
        ("all", "4231976"),
        ("without batch norm", "4210088"),
        ("with batch-norm statistics", "4253864"),
        ("without the classifier", "3206976"),
        ("convolutions only", "3206976"),
        ("without the auxiliary head", "4231976"),
    ],
)
def test_a_scope_states_what_is_counted(scope, printed):
    row = f"preset = 'mobilenet_v1_1.0'\nprinted = {{ params = '{printed}' }}\nscope = {{ params = '{scope}' }}"
    assert only(row).status == "exact"


def test_multiplies_and_adds_may_be_counted_apart():
    row = "preset = 'mobilenet_v1_1.0'\nprinted = { macs = '1137480704' }\nscope = { macs = 'multiply and add apart' }"
    assert only(row).status == "exact"


def test_depth_and_image_are_those_of_the_network():
    row = "preset = 'mobilenet_v1_1.0'\nimage = 160\nprinted = { depth = '28', image = '160 x 160' }"
    assert [verdict.status for verdict in verdicts(row).values()] == ["exact", "definition"]


def test_a_quantity_is_computed():
    given = "given = { column = 'ratio', over = '240', under = '0.66' }"
    assert only(f"by = 'ratio'\n{given}\nprinted = {{ ratio = '363x' }}").status == "formula"


def test_wrong_arguments_of_a_quantity_are_a_surprise():
    verdict = only("by = 'ratio'\ngiven = { over = '240' }\nprinted = { ratio = '363x' }")
    assert verdict.status == "surprise"
    assert "cannot take over" in verdict.reason


def test_every_quantity_says_what_it_computes():
    for name in QUANTITIES:
        quantity = QUANTITIES.get(name)
        assert quantity.compute.__doc__, name
        assert quantity.status in ("exact", "formula", "definition")
