"""Shortlist: the Pareto front of the whole pool under a budget, before any training. What `sprat pick` shows."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sprat.budget import Budget
from sprat.errors import BadInput, BudgetExceeded
from sprat.image import ImageSpec
from sprat.latency.model import LatencyModel
from sprat.ledger.yardstick import yardsticks
from sprat.search.accuracy import accuracy_model, published_results
from sprat.search.front import pareto_front
from sprat.search.pick import Candidate, Plan, pick
from sprat.search.score import expected_top1
from sprat.watch import Watcher

# MobileNet's rho, and somewhat more; networks of many layers are counted at a few, see sprat.search.pool.
RESOLUTIONS = (96, 112, 128, 144, 160, 176, 192, 208, 224, 240, 256, 288, 320)


@dataclass(frozen=True, slots=True)
class Choice:
    """A candidate with what is expected of it.

    Args:
        candidate: counted, see sprat.search.pick.
        family: of the zoo.
        top1: expected ImageNet accuracy, a fraction, less what squeezing into the bytes costs where it fits: of the
            models in sprat.search.accuracy and sprat.search.score, no measurement.
        front: whether nothing that fits is better without costing more of something.
    """

    candidate: Candidate
    family: str
    top1: float
    front: bool

    def to_dict(self) -> dict[str, Any]:
        """The choice as JSON values."""
        values = self.candidate.to_dict()
        del values["score"]
        return {"family": self.family, "expected_top1": round(self.top1, 4), "front": self.front, **values}


@dataclass(frozen=True, slots=True)
class Shortlist:
    """All candidates, those on the front first, best first; then those that fit; then the rest."""

    choices: tuple[Choice, ...]
    budget: Budget

    @property
    def front(self) -> tuple[Choice, ...]:
        """The choices on the front, best first."""
        return tuple(choice for choice in self.choices if choice.front)

    def to_dict(self) -> dict[str, Any]:
        """The shortlist as JSON values: what `sprat pick --json` prints and the picture is drawn from."""
        model = accuracy_model()
        return {
            "budget": self.budget.to_dict(),
            "budget_text": str(self.budget),
            "num_candidates": len(self.choices),
            "num_fits": sum(choice.candidate.fits for choice in self.choices),
            "note": (
                f"Expected top-1 comes from a model of {model.num_results} published ImageNet results: it ranks, it is "
                "no measurement. "
                f"Left out one at a time, these are predicted within {model.error_points:.1f} points on average; a "
                f"whole family at a time, within {model.family_error_points:.1f}."
            ),
            "model": asdict(model),
            "candidates": [choice.to_dict() for choice in self.choices],
            "published": [asdict(result) for result in published_results()],
            "yardsticks": [{**asdict(yardstick), "image": list(yardstick.image.shape)} for yardstick in yardsticks()],
        }


def shortlist(
    images: Sequence[ImageSpec],
    num_classes: int,
    budget: Budget,
    *,
    models: Sequence[str] | None = None,
    latency: LatencyModel | None = None,
    watch: Watcher | None = None,
) -> Shortlist:
    """The candidates under a budget, with the Pareto front of expected accuracy against every cost that is known.

    Args:
        images: resolutions to consider.
        num_classes: of the classifier.
        budget: limits.
        models: names, families or patterns; None for the whole pool.
        latency: this machine's calibration, where there is one.
        watch: told how far counting is.

    Raises:
        BadInput: a limit of latency without a calibration to predict it.
        BudgetExceeded: nothing fits; the message names the nearest budget that would do.
        UnknownName: a model that does not exist.
        BadInput: no candidate takes any of the images.
    """
    if budget.max_latency_ms is not None and latency is None:
        raise BadInput(
            f"a limit of {budget.max_latency_ms:g} ms needs to know how fast this machine is; run "
            "`sprat bench --calibrate` once, or leave --max-latency out"
        )
    plan: Plan = pick(images, num_classes, budget, models=models, latency=latency, watch=watch)
    untimed = budget.max_latency_ms is None or latency is None
    fitting = [_choice(c) for c in plan.candidates if c.fits and (untimed or c.latency_ms is not None)]
    if not fitting:
        _ = plan.chosen  # raises, and says what would fit
        raise BudgetExceeded(f"no candidate fits {budget}")
    front = pareto_front(fitting, lambda choice: choice.top1, _costs)
    on_front = {id(choice) for choice in front}
    rest = sorted((c for c in fitting if id(c) not in on_front), key=lambda c: (-c.top1, c.candidate.name))
    over = [_choice(candidate) for candidate in plan.candidates if not candidate.fits]
    marked = tuple(Choice(c.candidate, c.family, c.top1, front=True) for c in front)
    return Shortlist((*marked, *rest, *over), budget)


def _choice(candidate: Candidate) -> Choice:
    family = str(candidate.architecture["family"])
    if candidate.fits:
        return Choice(candidate, family, expected_top1(candidate.score), front=False)
    unsqueezed = accuracy_model().top1(family, params=candidate.params, macs=candidate.macs)
    return Choice(candidate, family, unsqueezed, front=False)


def _costs(choice: Choice) -> tuple[float, ...]:
    candidate = choice.candidate
    latency = () if candidate.latency_ms is None else (candidate.latency_ms,)
    return (candidate.macs, candidate.expected_bytes, *latency)
