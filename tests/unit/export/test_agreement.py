import json
from pathlib import Path

import numpy as np
import pytest

from sprat.errors import BadArtifact, BadInput
from sprat.export import agreement, fresh_scores, load, require, to_onnx


@pytest.fixture(scope="module")
def other_file(make_net, preprocess, classes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return to_onnx(make_net(7), preprocess, classes, tmp_path_factory.mktemp("other") / "other.onnx")


def test_a_file_agrees_with_its_copy(onnx_file: Path, tmp_path: Path, pictures):
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(onnx_file.read_bytes())
    seen = agreement(onnx_file, copy, pictures)
    assert seen.to_dict() == {"num": 24, "agreement": 1.0, "max_abs_diff": 0.0, "disagreements": []}
    require(seen)


def test_different_files_are_an_error_that_says_where(onnx_file: Path, other_file: Path, pictures):
    seen = agreement(onnx_file, other_file, pictures)
    a, b = load(onnx_file).predict(pictures), load(other_file).predict(pictures)
    differing = np.flatnonzero(a.argmax(1) != b.argmax(1)).tolist()
    assert 1 < len(differing) <= 24
    assert list(seen.disagreements) == differing
    assert seen.agreement == pytest.approx(1 - len(differing) / 24)
    assert seen.max_abs_diff == pytest.approx(np.abs(a - b).max(), abs=1e-6)
    assert json.loads(json.dumps(seen.to_dict()))["disagreements"] == differing
    first = differing[0]
    with pytest.raises(BadArtifact) as error:
        require(seen)
    assert f"image {first}: class {a[first].argmax()} ({a[first].max():.3f}) against {b[first].argmax()}" in str(
        error.value
    )
    assert "of 24 images, 99.90% are required" in str(error.value)
    require(seen, minimum=seen.agreement)


def test_fresh_scores_are_those_of_this_process_for_images_read_once(onnx_file: Path, pictures):
    class Once(list):
        reads = 0

        def __getitem__(self, index):
            Once.reads += 1
            return super().__getitem__(index)

    (seen,) = fresh_scores([onnx_file], Once(pictures))
    assert Once.reads == len(pictures)
    np.testing.assert_allclose(seen, load(onnx_file).predict(pictures), atol=1e-6)


def test_a_file_that_fails_in_its_process_is_an_error_with_its_words(onnx_file: Path, tmp_path: Path, pictures):
    (tmp_path / "broken.onnx").write_bytes(onnx_file.read_bytes()[:2000])
    with pytest.raises(
        BadArtifact, match=r"broken\.onnx cannot be used in a fresh process \(exit code 1\): ONNX Runtime"
    ):
        agreement(onnx_file, tmp_path / "broken.onnx", pictures * 20)


def test_no_images_are_an_error(onnx_file: Path):
    with pytest.raises(BadInput, match="at least one image"):
        agreement(onnx_file, onnx_file, [])
