"""Training as an iterator of epochs: the caller logs, saves or stops; nothing is hooked in."""

from sprat.train.evaluate import Scores, evaluate
from sprat.train.phase import Phase
from sprat.train.state import TrainState
from sprat.train.train import Epoch, Step, Stuck, new_state, train

__all__ = ["Epoch", "Phase", "Scores", "Step", "Stuck", "TrainState", "evaluate", "new_state", "train"]
