"""Recipe: how to train, in about a dozen numbers. Augment: what is done to each training image."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from sprat.errors import BadInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Augment:
    """Random changes to training images; a probability or strength of 0 leaves the change out.

    Args:
        flip: mirror left-right with probability one half.
        shift: largest translation in each direction, fraction of the side.
        cutout: side of the erased square, fraction of the image side (arXiv:1708.04552).
        rotate: largest rotation, degrees.
        zoom: largest relative change of scale.
        color: strength of brightness, contrast and saturation changes, 0 to 1.
        mix: probability that a batch is mixed, half of them by mixup (arXiv:1710.09412), half by cutmix (1905.04899).
    """

    flip: bool = True
    shift: float = 0.125
    cutout: float = 0.0
    rotate: float = 0.0
    zoom: float = 0.0
    color: float = 0.0
    mix: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to train.

    Args:
        epochs: passes over the training split; fractions allowed, so that --minutes can be met.
        batch_size: images a step; `lr` is for this batch size.
        optimizer: "sgd" (Nesterov momentum 0.9) or "adamw".
        lr: peak learning rate.
        warmup: fraction of all steps with linearly rising lr; then cosine to zero.
        weight_decay: on convolution and linear weights; never on norm, bias or depthwise kernels.
        label_smoothing: arXiv:1512.00567, section 7.
        ema: decay per step of the averaged weights that are evaluated and shipped; 0 turns averaging off.
        clip: largest gradient norm; 0 turns clipping off.
        layer_decay: learning rate of a stage over that of the stage after it, for a network that starts from trained
            weights; 0 trains the head alone, 1 treats all alike.
        augment: changes to the images.
        seed: of everything random.
    """

    epochs: float = 30
    batch_size: int = 128
    optimizer: str = "sgd"
    lr: float = 0.4
    warmup: float = 0.1
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    ema: float = 0.998
    clip: float = 0.0
    layer_decay: float = 1.0
    augment: Augment = Augment()
    seed: int = 0

    def __post_init__(self) -> None:
        checks = (
            (self.epochs > 0, f"epochs is {self.epochs}; it must be above 0"),
            (self.batch_size >= 1, f"batch_size is {self.batch_size}; it must be at least 1"),
            (self.optimizer in ("sgd", "adamw"), f"optimizer is {self.optimizer!r}; it must be sgd or adamw"),
            (self.lr > 0, f"lr is {self.lr}; it must be above 0"),
            (0 <= self.warmup < 1, f"warmup is {self.warmup}; it must be a fraction below 1"),
            (
                0 <= self.label_smoothing < 1,
                f"label_smoothing is {self.label_smoothing}; it must be a fraction below 1",
            ),
            (0 <= self.layer_decay <= 1, f"layer_decay is {self.layer_decay}; it must be from 0 to 1"),
            (0 <= self.ema < 1, f"ema is {self.ema}; it must be a decay below 1"),
        )
        for holds, message in checks:
            if not holds:
                raise BadInput(message)

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON values; `from_dict` is the inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Recipe":
        """The recipe that `to_dict` wrote."""
        return cls(**{**values, "augment": Augment(**values["augment"])})

    def with_batch_size(self, batch_size: int) -> "Recipe":
        """The same recipe at another batch size, lr scaled in proportion (arXiv:1706.02677)."""
        return replace(self, batch_size=batch_size, lr=self.lr * batch_size / self.batch_size)
