"""The recipe of `sprat fit`: a small network, from scratch, on as few as a hundred images, in minutes on a CPU."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from torch import nn

from sprat.image import ImageSpec
from sprat.recipe import Augment, Recipe

PHASES = ("train", "prune", "share", "tune")
_SHARE_OF_EPOCHS = {"train": 1.0, "prune": 0.10, "share": 0.20, "tune": 0.06}
_SHARE_OF_TIME = {"train": 0.80, "prune": 0.05, "share": 0.11, "tune": 0.04}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A recipe for each phase and, where the user gave minutes, how many seconds each may take.

    Args:
        recipes: by phase: train, prune, share, tune.
        seconds: by phase; None trains for the recipes' epochs.
    """

    recipes: dict[str, Recipe]
    seconds: dict[str, float] | None

    def to_dict(self) -> dict[str, Any]:
        """The schedule as JSON; `from_dict` is the inverse."""
        return asdict(self)

    def only(self, *phases: str) -> "Schedule":
        """The same recipes with all of the time for these phases, in proportion."""
        if self.seconds is None:
            return self
        scale = sum(self.seconds.values()) / sum(self.seconds[phase] for phase in phases)
        return replace(self, seconds={phase: self.seconds[phase] * scale for phase in phases})

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Schedule":
        """The schedule that `to_dict` wrote."""
        recipes = {phase: Recipe.from_dict(recipe) for phase, recipe in values["recipes"].items()}
        return cls(recipes=recipes, seconds=values["seconds"])


def schedule_for(
    num_train: int,
    image: ImageSpec,
    *,
    net: nn.Module,
    epochs: int | None,
    seconds: float | None,
    memory_batch: int,
    seed: int,
    grey: bool = False,
) -> Schedule:
    """How long and how to train for a data set of this size.

    Args:
        num_train: training images.
        image: what the network sees.
        net: to be trained; grouped pointwise convolutions (ShuffleNet) want smaller steps, and a network without batch
            norm wants AdamW.
        epochs: passes over the training split; None chooses about 800,000 images in all, 25 to 100 passes.
        seconds: for all phases together; None goes by epochs.
        memory_batch: the largest batch that fits into memory.
        seed: of everything random.
        grey: whether the pictures are grey, also where the network sees three channels; they are not mirrored (digits
            and letters must not be).
    """
    grey = grey or image.channels == 1
    chosen = epochs if epochs is not None else max(25, min(100, round(800_000 / max(1, num_train))))
    batch_size = 8
    while batch_size * 2 <= min(128, memory_batch) and batch_size * 2 * 20 <= num_train:
        batch_size *= 2
    photo = not grey and min(image.height, image.width) >= 48
    augment = Augment(flip=not grey)
    if grey:
        augment = replace(augment, rotate=8.0, zoom=0.1, shift=0.08)
    if photo:
        augment = replace(augment, rotate=12.0, zoom=0.2, color=0.25, cutout=0.25)
    steps = chosen * max(1, num_train // batch_size)
    train = Recipe(
        epochs=float(chosen),
        lr=0.1 if _is_grouped(net) else 0.4,
        batch_size=128,
        ema=1 - 1 / max(8.0, min(500.0, 0.03 * steps)),
        augment=augment,
        seed=seed,
    )
    if not any(isinstance(module, nn.BatchNorm2d) for module in net.modules()):
        train = replace(train, optimizer="adamw", lr=1e-3, clip=1.0)
    train = train.with_batch_size(batch_size)
    latent = replace(train, lr=train.lr / 20, weight_decay=1e-5, label_smoothing=0.0, clip=1.0)
    values = replace(latent, optimizer="adamw", lr=2e-3, weight_decay=0.0)
    recipes = {"train": train, "prune": latent, "share": latent, "tune": values}
    return Schedule(
        recipes={
            phase: replace(recipe, epochs=chosen * _SHARE_OF_EPOCHS[phase], seed=seed * len(PHASES) + index)
            for index, (phase, recipe) in enumerate(recipes.items())
        },
        seconds=None if seconds is None else {phase: seconds * share for phase, share in _SHARE_OF_TIME.items()},
    )


def _is_grouped(net: nn.Module) -> bool:
    """Whether the network has grouped convolutions that are not depthwise."""
    convs = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    return any(1 < conv.groups < conv.in_channels for conv in convs)


def remedy(recipe: Recipe, kind: str) -> Recipe:
    """The recipe for a second try after training did not learn.

    Args:
        recipe: of the first try.
        kind: "nan" or "flat", as sprat.train.Stuck tells; both call for smaller, bounded steps.
    """
    warmup = 0.2 if kind == "flat" else recipe.warmup
    return replace(recipe, lr=recipe.lr / 8, clip=1.0, warmup=warmup)
