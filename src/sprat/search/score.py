"""Prior of merit before training: expected accuracy from published results, with room for what time and bits allow.

    error = expected ImageNet error (accuracy.py) * exp((SQUEEZE_BITS / bits)^SQUEEZE_POWER)
            * max(1, slowness * macs / max_train_macs)^TIME_POWER
    score = exp(-error)

The score rises with macs (as long as time allows them), params and bits. It ranks candidates; it is no promise: on
small images the expected error is that of a network of as many macs on ImageNet, which keeps the order and no more.

SQUEEZE adds 1 % to the error at 3.2 bits a weight, 3 % at 2.5 and 16 % at 1.6, measured on CIFAR-10 (docs/log.md).
TIME_POWER was measured as 0.26, the fall of the error from 330,000 to 1.4 million images seen; it is held above the
powers of macs and params together, so that a network too slow to be trained in the time loses by its size.
"""

import math

from sprat.search.accuracy import accuracy_model

SQUEEZE_BITS = 1.0
SQUEEZE_POWER = 4.0
TIME_POWER = 0.31
SLOWNESS = {"shufflenet_v1": 2.0}  # time of a mac against MobileNet's, in training too; 1 for other families


def expected_top1(merit: float) -> float:
    """ImageNet accuracy, a fraction, behind a score that was given without a limit of training time."""
    return max(0.0, 1.0 + math.log(merit))


def score(family: str, *, params: int, macs: int, bits: float, max_train_macs: float | None = None) -> float:
    """Expected merit between 0 and 1, higher is better.

    Args:
        family: name of the model family.
        params: number of parameters.
        macs: multiply-adds of one image.
        bits: that the budget leaves for each weight.
        max_train_macs: multiply-adds of one image up to which the time suffices to train a MobileNet in full.
    """
    error = math.exp(accuracy_model().log_error(family, params=params, macs=macs))
    error *= math.exp((SQUEEZE_BITS / bits) ** SQUEEZE_POWER)
    if max_train_macs is not None:
        error *= max(1.0, SLOWNESS.get(family, 1.0) * macs / max_train_macs) ** TIME_POWER
    return math.exp(-error)
