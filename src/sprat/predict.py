"""Predictions and scores of a shipped file."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sprat.artifact import Manifest
from sprat.cost import Cost
from sprat.data import decode, open_collection
from sprat.errors import BadInput
from sprat.export import Predictor, load
from sprat.image import ImageSpec
from sprat.search.price import price
from sprat.watch import Watcher
from sprat.zoo import config_from_dict

SPLITS = ("train", "val", "test")
_CHUNK = 256


def predict(
    predictor: Predictor, images: Sequence[Path], top: int = 5
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The `top` most probable classes of each image file, and the files that could not be read with the reason.

    Each answer is {"image", "top": [{"class", "probability"}, ...]}.
    """
    answers: list[dict[str, Any]] = []
    unread: list[dict[str, Any]] = []
    for path in images:
        try:
            picture = decode(path.read_bytes())
        except OSError as error:
            unread.append({"image": str(path), "reason": error.strerror or str(error)})
            continue
        except BadInput as error:
            unread.append({"image": str(path), "reason": str(error)})
            continue
        (row,) = predictor.predict([picture])
        best = np.argsort(-row, kind="stable")[:top]
        shown = [{"class": predictor.classes[index], "probability": round(float(row[index]), 6)} for index in best]
        answers.append({"image": str(path), "top": shown})
    return answers, unread


def cost_of(manifest: Manifest) -> Cost:
    """Parameters, multiply-adds and memory of a file's network, counted anew from its architecture.

    Raises:
        BadInput, UnknownName: no network has that architecture.
    """
    return price(config_from_dict(manifest.architecture), ImageSpec(*manifest.image), len(manifest.classes))


def score(file: Path, data: str, *, split: str, seed: int, watch: Watcher) -> dict[str, Any]:
    """Accuracy of a file on one split of labelled data, or on all of it; the data's classes are matched by name.

    Raises:
        BadInput: an unknown split, or data with a class that the file does not know.
    """
    if split not in (*SPLITS, "all"):
        raise BadInput(f"split is {split!r}; it must be train, val, test or all")
    predictor = load(file)
    collection = open_collection(data, seed=seed)
    unknown = sorted(set(collection.classes) - set(predictor.classes))
    if unknown:
        raise BadInput(
            f"{data} has classes that {file} does not know ({', '.join(unknown[:5])}); it knows "
            f"{', '.join(predictor.classes[:8])}{' ...' if len(predictor.classes) > 8 else ''}"
        )
    place = np.array([predictor.classes.index(name) for name in collection.classes])
    labels, ranks = [], []
    for part in SPLITS if split == "all" else (split,):
        raw, truth = collection.raw(part), place[collection.labels(part)]
        for start in range(0, len(truth), _CHUNK):
            stop = min(len(truth), start + _CHUNK)
            probabilities = predictor.predict([raw[index] for index in range(start, stop)])
            own = np.take_along_axis(probabilities, truth[start:stop, None], 1)
            # Of equal probabilities the first is the answer, as argmax has it.
            earlier = np.arange(probabilities.shape[1])[None] < truth[start:stop, None]
            ranks.append(((probabilities > own) | ((probabilities == own) & earlier)).sum(1))
            labels.append(truth[start:stop])
            watch.progress("eval", stop / len(truth), f"{part}: {stop:,} of {len(truth):,} images")
    if not labels:
        raise BadInput(f"split {split} of {data} holds no image")
    rank, label = np.concatenate(ranks), np.concatenate(labels)
    accuracy = float((rank == 0).mean())
    return {
        "file": str(file),
        "data": data,
        "split": split,
        "num": len(label),
        "accuracy": accuracy,
        "standard_error": math.sqrt(accuracy * (1 - accuracy) / len(label)),
        "top5": float((rank < 5).mean()),
        "classes": [
            {
                "class": name,
                "num": int((label == index).sum()),
                "accuracy": float((rank[label == index] == 0).mean()) if (label == index).any() else None,
            }
            for index, name in enumerate(predictor.classes)
        ],
    }
