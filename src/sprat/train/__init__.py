"""Training as an iterator of epochs: the caller logs, saves or stops; nothing is hooked in."""

from sprat.train.evaluate import Scores, evaluate
from sprat.train.phase import Phase
from sprat.train.state import TrainState
from sprat.train.train import Epoch, Step, Stuck, new_state, train
from sprat.train.transfer import Way, renew_statistics, restore_norms, transplant, ways

__all__ = [
    "Epoch",
    "Phase",
    "Scores",
    "Step",
    "Stuck",
    "TrainState",
    "Way",
    "evaluate",
    "new_state",
    "renew_statistics",
    "restore_norms",
    "train",
    "transplant",
    "ways",
]
