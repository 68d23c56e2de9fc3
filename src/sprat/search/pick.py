"""Pick: rank architectures under the whole budget before any training, by counted cost and expected file length."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sprat.budget import Budget, Excess
from sprat.errors import BadInput, BudgetExceeded
from sprat.image import ImageSpec
from sprat.latency.model import LatencyModel
from sprat.search.catalogue import BLOCK, Entry, catalogue
from sprat.search.predicted import predicted_ms
from sprat.search.score import score
from sprat.search.size_model import DEFAULT_BITS, MAX_BITS, MIN_BITS, Footprint
from sprat.watch import Watcher

# Budget quantity: the option that sets it, and the unit in which we suggest a value.
FLAGS = {
    "size_bytes": ("--max-size", "KB", 1000),
    "params": ("--max-params", "k", 1000),
    "macs": ("--max-macs", "M", 10**6),
    "peak_bytes": ("--max-memory", "KB", 1000),
    "latency_ms": ("--max-latency", "ms", 1),
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One architecture at one resolution.

    Args:
        name: in the pool, as a preset where it is one.
        architecture: its config as JSON; `sprat.zoo.config_from_dict` gives the value that the zoo builds.
        image: resolution it would be trained at.
        params: counted parameters.
        macs: counted multiply-adds of one image.
        peak_bytes: peak float32 activation memory of one image.
        expected_bytes: of the .sprat file, at the default bits a weight or as many fewer as the budget demands.
        score: prior of accuracy between 0 and 1, see sprat.search.score.
        fits: whether nothing is over the budget.
        excess: the limits that are exceeded, in words.
        latency_ms: predicted from a calibration, or measured later where the budget limits it.
    """

    name: str
    architecture: Mapping[str, Any]
    image: ImageSpec
    params: int
    macs: int
    peak_bytes: int
    expected_bytes: int
    score: float
    fits: bool
    excess: tuple[str, ...]
    latency_ms: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The candidate as it stands in plan.json."""
        values = {**asdict(self), "image": list(self.image.shape), "excess": list(self.excess)}
        values["config"] = values.pop("architecture")
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Candidate":
        """The candidate that `to_dict` wrote."""
        given = dict(values)
        architecture, image = given.pop("config"), ImageSpec(*given.pop("image"))
        return cls(**{**given, "architecture": architecture, "image": image, "excess": tuple(given["excess"])})


@dataclass(frozen=True, slots=True)
class Plan:
    """All candidates, best first, those that fit before the rest; and the budget they were ranked under."""

    candidates: tuple[Candidate, ...]
    budget: Budget

    @property
    def chosen(self) -> Candidate:
        """The best candidate that fits.

        Raises:
            BudgetExceeded: none fits; the message names the nearest budget that one would fit.
        """
        if not self.candidates[0].fits:
            raise BudgetExceeded(self._nearest())
        return self.candidates[0]

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON values; "chosen" is null when nothing fits."""
        best = self.candidates[0]
        return {
            "chosen": best.name if best.fits else None,
            "candidates": [candidate.to_dict() for candidate in self.candidates],
        }

    def _nearest(self) -> str:
        nearest = min(self.candidates, key=self._distance)
        over = _excess(self.budget, nearest)
        flags = " ".join(_flag(one) for one in over)
        return (
            f"no candidate fits {self.budget}: of {len(self.candidates)}, the nearest is {nearest.name} at "
            f"{nearest.image}, whose {' and '.join(map(str, over))}; try {flags}"
        )

    def _distance(self, candidate: Candidate) -> float:
        """How far the budget would have to be stretched: 0 when it fits, log 2 when one limit must double."""
        return sum(math.log(one.seen / one.allowed) for one in _excess(self.budget, candidate))


def _excess(budget: Budget, candidate: Candidate) -> tuple[Excess, ...]:
    return budget.excess(
        size_bytes=candidate.expected_bytes,
        params=candidate.params,
        macs=candidate.macs,
        peak_bytes=candidate.peak_bytes,
        latency_ms=candidate.latency_ms,
    )


def _flag(excess: Excess) -> str:
    flag, unit, scale = FLAGS[excess.quantity]
    return f"{flag} {math.ceil(excess.seen / scale)}{unit}"


def pick(
    image_specs: Sequence[ImageSpec],
    num_classes: int,
    budget: Budget,
    *,
    models: Sequence[str] | None = None,
    given: Mapping[str, Any] | None = None,
    bytes_per_weight: float | None = None,
    max_train_macs: float | None = None,
    names_bytes: int = 0,
    latency: LatencyModel | None = None,
    watch: Watcher | None = None,
) -> Plan:
    """The candidates at each resolution, ranked. Nothing is trained or allocated: networks are built without weights.

    A latency limit is checked where `latency` predicts; else not, and whoever asks measures.

    Args:
        image_specs: resolutions to consider.
        num_classes: of the data.
        budget: limits.
        models: names of candidates, presets or families, or shell patterns; None for the whole pool.
        given: name to config of the candidates instead, where they are not of the pool.
        bytes_per_weight: expected in the file; None for as many as the budget leaves, within sprat.search.size_model.
        max_train_macs: multiply-adds of one image up to which the time suffices to train a MobileNet in full.
        names_bytes: that the class names take in the file.
        latency: a calibration of this machine, which predicts milliseconds.
        watch: told how far counting is, where something is not yet in the catalogue on disk.

    Raises:
        UnknownName: a model that does not exist.
        BadInput: no resolution, or no candidate that can take any of them.
    """
    if not image_specs:
        raise BadInput("pick was given no image size; give at least one")
    if bytes_per_weight is not None and not 0 < bytes_per_weight < math.inf:
        raise BadInput(f"bytes_per_weight is {bytes_per_weight}; it must be above 0, such as 0.45")
    if max_train_macs is not None and not max_train_macs > 0:
        raise BadInput(f"max_train_macs is {max_train_macs}; it must be above 0")
    bits = None if bytes_per_weight is None else 8 * bytes_per_weight
    entries: list[tuple[Entry, ImageSpec]] = []
    refusal: BadInput | None = None
    for image in dict.fromkeys(image_specs):
        try:
            block = BLOCK if latency is None else latency.block
            if given is not None:
                from sprat.search.price import price_entry

                found = [price_entry(name, config, image, num_classes, block) for name, config in given.items()]
            else:
                found = catalogue(image, num_classes, models, watch, block=block)
            entries += [(entry, image) for entry in found]
        except BadInput as error:
            refusal = refusal or error
    if not entries:
        assert refusal is not None
        raise refusal
    times = [None] * len(entries) if latency is None else predicted_ms(latency, [entry for entry, _ in entries])
    ranked = [
        _candidate(entry, image, budget, bits, max_train_macs, names_bytes, ms)
        for (entry, image), ms in zip(entries, times, strict=True)
    ]
    return Plan(tuple(sorted(ranked, key=_rank)), budget)


def _rank(candidate: Candidate) -> tuple[bool, float, int, str, tuple[int, int, int]]:
    return not candidate.fits, -candidate.score, candidate.macs, candidate.name, candidate.image.shape


def _candidate(
    entry: Entry,
    image: ImageSpec,
    budget: Budget,
    bits: float | None,
    max_train_macs: float | None,
    names_bytes: int,
    ms: float | None,
) -> Candidate:
    parts = Footprint(entry.weights, entry.fixed_bytes + names_bytes)
    expected_bytes, room = _size(parts, budget.max_bytes, bits)
    over = budget.excess(
        size_bytes=expected_bytes,
        params=entry.params,
        macs=entry.macs,
        peak_bytes=entry.peak_bytes,
        latency_ms=ms,
    )
    return Candidate(
        name=entry.name,
        architecture=entry.architecture,
        image=image,
        params=entry.params,
        macs=entry.macs,
        peak_bytes=entry.peak_bytes,
        expected_bytes=expected_bytes,
        score=score(entry.family, params=entry.params, macs=entry.macs, bits=room, max_train_macs=max_train_macs),
        fits=not over,
        excess=tuple(map(str, over)),
        latency_ms=ms,
    )


def _size(parts: Footprint, max_bytes: int | None, bits: float | None) -> tuple[int, float]:
    """Expected bytes, and the bits a weight that count for accuracy: as many as the budget leaves room for."""
    if bits is not None:
        return parts.bytes_at(bits), min(bits, MAX_BITS)
    if max_bytes is None:
        return parts.bytes_at(DEFAULT_BITS), MAX_BITS
    room = min(max(parts.bits_within(max_bytes), MIN_BITS), MAX_BITS)
    expected_bytes = parts.bytes_at(min(room, DEFAULT_BITS))
    if parts.bytes_at(MIN_BITS) <= max_bytes:
        expected_bytes = min(expected_bytes, max_bytes)  # against a rounding of bits by one byte
    return expected_bytes, room
