"""Prior of accuracy before training: what the published tables say about size, with room for what time and bits allow.

    error = BASE_ERROR * (worth * macs / BASE_MACS)^-MACS_POWER * (params / BASE_PARAMS)^-PARAMS_POWER
            * exp((SQUEEZE_BITS / bits)^SQUEEZE_POWER) * max(1, slowness * macs / max_train_macs)^TIME_POWER
    score = exp(-error)

The score rises with macs (as long as time allows them), params and bits. It ranks candidates; it is no promise.

Where the constants come from: the resolution rows of MobileNet's table 7 give MACS_POWER (1.0-224 against 1.0-128),
the width rows of table 6 then PARAMS_POWER; `worth` is what makes ShuffleNet's table 5 and SqueezeNet's 57.5 % meet
that curve. SQUEEZE adds 1 % to the error at 3.2 bits a weight, 3 % at 2.5 and 16 % at 1.6; TIME_POWER is the fall of
the error from 330,000 to 1.4 million images seen. Both were measured on CIFAR-10 (docs/log.md).
"""

import math

BASE_ERROR = 0.15
BASE_MACS = 10e6
BASE_PARAMS = 200e3
MACS_POWER = 0.17
PARAMS_POWER = 0.04
SQUEEZE_BITS = 1.0
SQUEEZE_POWER = 4.0
TIME_POWER = 0.26  # above MACS_POWER: a network too slow to be trained in the time loses by it
MACS_WORTH = {"shufflenet_v1": 1.3, "squeezenet": 0.1}  # accuracy of a mac against MobileNet's; 1 for other families
SLOWNESS = {"shufflenet_v1": 2.0}  # time of a mac against MobileNet's, in training too; 1 for other families


def score(family: str, *, params: int, macs: int, bits: float, max_train_macs: float | None = None) -> float:
    """Expected merit between 0 and 1, higher is better.

    Args:
        family: name of the model family.
        params: number of parameters.
        macs: multiply-adds of one image.
        bits: that the budget leaves for each weight.
        max_train_macs: multiply-adds of one image up to which the time suffices to train a MobileNet in full.
    """
    error = BASE_ERROR
    error *= (max(1, macs) * MACS_WORTH.get(family, 1.0) / BASE_MACS) ** -MACS_POWER
    error *= (max(1, params) / BASE_PARAMS) ** -PARAMS_POWER
    error *= math.exp((SQUEEZE_BITS / bits) ** SQUEEZE_POWER)
    if max_train_macs is not None:
        error *= max(1.0, SLOWNESS.get(family, 1.0) * macs / max_train_macs) ** TIME_POWER
    return math.exp(-error)
