"""Predictions and scores of a shipped file."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprat.artifact import Manifest
from sprat.cost import Cost
from sprat.data import Collection, Skipped, decode, open_collection, open_labelled
from sprat.errors import BadInput
from sprat.export import Predictor, load
from sprat.image import ImageSpec
from sprat.search.price import price
from sprat.watch import Watcher
from sprat.weights.imagenet import imagenet_classes, place_in_imagenet
from sprat.zoo import config_from_dict

Labels = NDArray[np.int64]

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

    A network of ImageNet's classes also takes data whose classes are some of them, by any of their names or by the
    synset number, and answers among all 1,000.

    Raises:
        BadInput: an unknown split, or data with a class that the file does not know.
    """
    if split not in (*SPLITS, "all"):
        raise BadInput(f"split is {split!r}; it must be train, val, test or all")
    predictor = load(file)
    if split == "all":
        labelled = open_labelled(data)
        classes, total, chunks = labelled.classes, len(labelled.items), labelled.chunks(_CHUNK)
    else:
        collection = open_collection(data, seed=seed)
        classes, total = collection.classes, len(collection.labels(split))
        chunks = _chunks(collection, split)
    place = _places(classes, predictor.classes, data, file)
    labels, ranks, skipped = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], []
    done = 0
    for images, truth, unread in chunks:
        skipped += unread
        done += len(images) + len(unread)
        if images:
            labels.append(place[truth])
            ranks.append(_ranks(predictor.predict(images), place[truth]))
        watch.progress("eval", done / total, f"{split}: {done:,} of {total:,} images")
    rank, label = np.concatenate(ranks), np.concatenate(labels)
    if not len(label):
        raise BadInput(f"split {split} of {data} holds no image that can be read")
    accuracy = float((rank == 0).mean())
    return {
        "file": str(file),
        "data": data,
        "split": split,
        "num": len(label),
        "accuracy": accuracy,
        "standard_error": math.sqrt(accuracy * (1 - accuracy) / len(label)),
        "top5": float((rank < 5).mean()),
        "skipped": [{"key": entry.key, "reason": entry.reason} for entry in skipped],
        "classes": [
            {
                "class": name,
                "num": int((label == index).sum()),
                "accuracy": float((rank[label == index] == 0).mean()) if (label == index).any() else None,
            }
            for index, name in enumerate(predictor.classes)
        ],
    }


def _chunks(collection: Collection, split: str) -> Iterator[tuple[Sequence[NDArray[np.uint8]], Labels, list[Skipped]]]:
    raw, truth = collection.raw(split), collection.labels(split)
    for start in range(0, len(truth), _CHUNK):
        stop = min(len(truth), start + _CHUNK)
        yield [raw[index] for index in range(start, stop)], truth[start:stop], []


def _places(classes: Sequence[str], known: Sequence[str], data: str, file: Path) -> Labels:
    """The file's class of each of the data's classes."""
    places = {name: index for index, name in enumerate(known)}
    if tuple(known) == imagenet_classes():
        places = {**place_in_imagenet(classes), **places}
    unknown = sorted(set(classes) - set(places))
    if unknown:
        raise BadInput(
            f"{data} has classes that {file} does not know ({', '.join(unknown[:5])}); it knows "
            f"{', '.join(known[:8])}{' ...' if len(known) > 8 else ''}"
        )
    return np.array([places[name] for name in classes], np.int64)


def _ranks(probabilities: NDArray[np.float32], truth: Labels) -> Labels:
    """How many classes are held more probable than the true one; of equal ones the first counts as more."""
    own = np.take_along_axis(probabilities, truth[:, None], 1)
    earlier = np.arange(probabilities.shape[1])[None] < truth[:, None]
    ranks: Labels = ((probabilities > own) | ((probabilities == own) & earlier)).sum(1)
    return ranks
