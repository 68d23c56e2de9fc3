"""sprat.data.digits: the embedded default data."""

import numpy as np
import pytest

from sprat.data import open_collection
from sprat.image import ImageSpec


def test_digits_are_scikit_learns_scaled_to_bytes() -> None:
    load_digits = pytest.importorskip("sklearn.datasets").load_digits
    found = open_collection("digits")
    assert (found.name, found.channels, found.classes) == ("digits", 1, tuple("0123456789"))
    assert found.sizes == {"min": (8, 8), "median": (8, 8), "max": (8, 8)}
    bunch = load_digits()
    data = found.load(ImageSpec(1, 8, 8))
    for split in (data.train, data.val, data.test):
        rows = [int(key) for key in split.keys]
        assert (split.images[..., 0] == np.rint(bunch.images[rows] * 255 / 16)).all()
        assert (split.labels == bunch.target[rows]).all()
    assert sum(map(len, (data.train, data.val, data.test))) == 1797
    assert len(data.val) == pytest.approx(180, abs=5)
