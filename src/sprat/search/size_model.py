"""Expected length of the .sprat file of a network that is not trained yet.

    bytes = container + per tensor + 1 byte a gentle weight + 2 bytes an output channel + bits / 8 a weight

Gentle weights are depthwise kernels and the first layer, which are kept at 8 bits (at 4 bits those of MobileNet v2 cost
59 points and save 1 % of the bytes). An output channel has a gain and a bias, what is left of batch norm once it is
folded. All other weights take a number of bits each, on average, after pruning, sharing and entropy coding.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sprat.cost import LayerCost

DEFAULT_BITS = 3.6  # a weight, pruned and shared without visible loss
MIN_BITS = 1.6  # squeezed hard; below, accuracy falls off a cliff
MAX_BITS = 5.0  # more bits than this change nothing
GENTLE_BYTES = 1  # a weight of a depthwise kernel or of the first layer
CHANNEL_BYTES = 2  # gain and bias of an output channel
CONTAINER_BYTES = 1600  # header: architecture, classes, preprocessing, scores
TENSOR_BYTES = 25  # name and shape of a tensor in the header
TENSORS_PER_LAYER = 2  # weight and bias


@dataclass(frozen=True, slots=True)
class Footprint:
    """What of a network takes room in the file.

    Args:
        weights: that are pruned and shared.
        fixed_bytes: all the rest of the file.
    """

    weights: int
    fixed_bytes: int

    def bytes_at(self, bits: float) -> int:
        """Expected file length at that many bits a weight."""
        return self.fixed_bytes + math.ceil(self.weights * bits / 8)

    def bits_within(self, max_bytes: int) -> float:
        """Bits a weight that make the file `max_bytes` long; negative where even the rest is too long."""
        return 8 * (max_bytes - self.fixed_bytes) / max(1, self.weights)


def footprint(layers: "Iterable[LayerCost]", names_bytes: int = 0) -> Footprint:
    """The footprint of a network from its layer costs; norm layers are folded into the layer before them.

    Args:
        layers: of the network.
        names_bytes: that the class names take in the header.
    """
    weights, fixed_bytes = 0, CONTAINER_BYTES + names_bytes
    first = True
    for layer in layers:
        if layer.macs:
            kernel = min(layer.params, layer.macs // math.prod(layer.out_shape[1:]))  # without the bias
            if first or layer.kind == "depthwise":
                fixed_bytes += GENTLE_BYTES * kernel
            else:
                weights += kernel
            fixed_bytes += CHANNEL_BYTES * layer.out_shape[0] + TENSOR_BYTES * TENSORS_PER_LAYER
            first = False
        elif layer.kind != "norm":
            fixed_bytes += GENTLE_BYTES * layer.params + TENSOR_BYTES
    return Footprint(weights, fixed_bytes)
