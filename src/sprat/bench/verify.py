"""Verify: what the shipped files really do, each loaded afresh from disk."""

import csv
import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprat.bench.latency import latency
from sprat.bench.memory import peak_memory
from sprat.data import Collection
from sprat.export import Agreement, agreement, fresh_scores, grad_cam, load
from sprat.image import ImageSpec
from sprat.report import overlay
from sprat.run import Run

MISTAKES = 12  # shown in the report


@dataclass(frozen=True)
class Verified:
    """What was measured on the shipped files.

    Args:
        test_accuracy: of model.sprat on the test split, fraction.
        float_accuracy: of float.sprat, the network before compression, on the same images.
        num_test: images in it.
        agreement: of model.sprat and model.onnx on the validation split.
        latency: contract of latency.json.
        memory: contract of memory.json.
    """

    test_accuracy: float
    float_accuracy: float
    num_test: int
    agreement: Agreement
    latency: dict[str, Any]
    memory: dict[str, Any]

    @property
    def standard_error(self) -> float:
        """Of the test accuracy, binomial: sqrt(p (1 - p) / n)."""
        return math.sqrt(self.test_accuracy * (1 - self.test_accuracy) / self.num_test)


def verify(run: Run, collection: Collection, image: ImageSpec) -> Verified:
    """Figures of the run's model.sprat and model.onnx; predictions, mistakes and measurements are written."""
    sprat_file, onnx_file = run.path / "model.sprat", run.path / "model.onnx"
    agreed = agreement(sprat_file, onnx_file, collection.raw("val"))
    run.write_json("agreement.json", agreed.to_dict())
    scores, float_scores = fresh_scores((sprat_file, run.path / "float.sprat"), collection.raw("test"))
    labels = collection.labels("test")
    run.write_bytes("predictions.csv", _predictions(collection.keys("test"), labels, scores))
    _show_mistakes(run, collection, labels, scores)
    measured = latency(onnx_file, (image.height, image.width))
    run.write_json("latency.json", measured)
    memory = peak_memory(onnx_file, (image.height, image.width))
    run.write_json("memory.json", memory)
    accuracy, float_accuracy = (float((given.argmax(1) == labels).mean()) for given in (scores, float_scores))
    return Verified(accuracy, float_accuracy, len(labels), agreed, measured, memory)


def _predictions(keys: tuple[str, ...], labels: NDArray[np.int64], scores: NDArray[np.float32]) -> bytes:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["key", "label", "predicted", "confidence"])
    for key, label, row in zip(keys, labels, scores, strict=True):
        writer.writerow([key, int(label), int(row.argmax()), f"{row.max():.6f}"])
    return table.getvalue().encode()


def _show_mistakes(run: Run, collection: Collection, labels: NDArray[np.int64], scores: NDArray[np.float32]) -> None:
    """The most confident wrong answers as pictures, plain and with the Grad-CAM of the wrong class over them."""
    wrong = np.flatnonzero(scores.argmax(1) != labels)
    worst = wrong[np.argsort(-scores[wrong].max(1), kind="stable")][:MISTAKES]
    predictor = load(run.path / "model.sprat")
    raw, keys, entries = collection.raw("test"), collection.keys("test"), []
    for place, index in enumerate(worst):
        picture, predicted = raw[int(index)], int(scores[index].argmax())
        x = predictor.preprocess.apply(picture[None])  # type: ignore[attr-defined]
        cam = grad_cam(predictor.network, x, predicted)  # type: ignore[attr-defined]
        names = f"mistakes/{place}.png", f"mistakes/{place}-cam.png"
        run.write_bytes(names[0], overlay(picture, np.zeros_like(cam)))
        run.write_bytes(names[1], overlay(picture, cam))
        entries.append(
            {
                "key": keys[int(index)],
                "label": int(labels[index]),
                "predicted": predicted,
                "confidence": round(float(scores[index].max()), 6),
                "image": names[0],
                "cam": names[1],
            }
        )
    run.write_json("mistakes.json", entries)
