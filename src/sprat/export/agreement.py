"""Agreement: whether two exported files, each loaded afresh, give the same answers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sprat.errors import BadArtifact, BadInput
from sprat.export.batch import Images
from sprat.export.scores import fresh_scores

SHOWN = 5


@dataclass(frozen=True)
class Difference:
    """One image on which the files differ: its place, each file's class index and that class's probability."""

    index: int
    first: int
    first_probability: float
    second: int
    second_probability: float


@dataclass(frozen=True)
class Agreement:
    """How alike two files answer.

    Args:
        num: images compared.
        agreement: fraction of them with the same most probable class.
        max_abs_diff: largest difference of any probability.
        disagreements: places of the images that differ in class.
        examples: the first few of these, with both answers.
    """

    num: int
    agreement: float
    max_abs_diff: float
    disagreements: tuple[int, ...]
    examples: tuple[Difference, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The values for agreement.json."""
        return {
            "num": self.num,
            "agreement": self.agreement,
            "max_abs_diff": self.max_abs_diff,
            "disagreements": list(self.disagreements),
        }


def agreement(first: Path, second: Path, images: Images) -> Agreement:
    """How alike two files answer on the images (uint8 (H, W, C), any sizes), each loaded in its own fresh process.

    Raises:
        BadInput: no images.
        BadArtifact: a file cannot be loaded, or they have different numbers of classes.
    """
    if len(images) == 0:
        raise BadInput(f"comparing {first} with {second} needs at least one image; got none")
    a, b = fresh_scores((first, second), images)
    if a.shape != b.shape:
        raise BadArtifact(f"{first} gives scores of shape {a.shape} and {second} of {b.shape}; export both again")
    top_a, top_b = a.argmax(1), b.argmax(1)
    places = np.flatnonzero(top_a != top_b)
    examples = tuple(
        Difference(int(i), int(top_a[i]), float(a[i, top_a[i]]), int(top_b[i]), float(b[i, top_b[i]]))
        for i in places[:SHOWN]
    )
    return Agreement(
        num=len(a),
        agreement=1 - len(places) / len(a),
        max_abs_diff=float(np.abs(a.astype(np.float64) - b).max()),
        disagreements=tuple(int(i) for i in places),
        examples=examples,
    )


def require(seen: Agreement, minimum: float = 0.999) -> None:
    """Nothing, when the files agree on at least that fraction of the images.

    Raises:
        BadArtifact: they do not; the message names the images and both answers.
    """
    if seen.agreement >= minimum and np.isfinite(seen.max_abs_diff):
        return
    where = "; ".join(
        f"image {d.index}: class {d.first} ({d.first_probability:.3f}) against {d.second} ({d.second_probability:.3f})"
        for d in seen.examples
    )
    more = len(seen.disagreements) - len(seen.examples)
    rest = f"; and {more} more" if more > 0 else ""
    raise BadArtifact(
        f"the exported files agree on {seen.agreement:.2%} of {seen.num} images, {minimum:.2%} are required; "
        f"largest difference of a probability {seen.max_abs_diff:.3g}; {where}{rest}. "
        "The export is wrong: do not ship it"
    )
