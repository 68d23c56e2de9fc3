import math

import numpy as np
import pytest

from sprat.report.confusion import score_predictions, wilson


def test_by_hand() -> None:
    labels, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 0])
    scores = score_predictions(labels, predicted, ("a", "b", "c", "d"))
    assert (scores["num"], scores["correct"]) == (6, 4)
    assert scores["confusion"] == [[2, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert scores["standard_error"] == pytest.approx(math.sqrt(4 / 6 * 2 / 6 / 6))
    a, b, c, d = scores["classes"]
    assert (a["precision"], a["recall"], a["f1"]) == (pytest.approx(2 / 3), pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert (b["precision"], b["recall"], b["f1"]) == (pytest.approx(2 / 3), 1.0, pytest.approx(0.8))
    assert (c["precision"], c["recall"], c["f1"]) == (None, 0.0, 0.0)
    assert (d["precision"], d["recall"], d["f1"]) == (None, None, None)
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 0.8 + 0) / 3)
    assert [(pair["label"], pair["predicted"], pair["count"]) for pair in scores["pairs"]] == [
        ("a", "b", 1),
        ("c", "a", 1),
    ]


def test_wilson_interval() -> None:
    low, high = wilson(81, 100)  # by the formula, worked by hand
    assert (low, high) == (pytest.approx(0.7222, abs=2e-4), pytest.approx(0.8749, abs=2e-4))
    assert wilson(50, 50)[1] == pytest.approx(1.0)
    assert wilson(50, 50)[0] == pytest.approx(50 / (50 + 1.959964**2))
    assert wilson(0, 50)[0] == 0.0
