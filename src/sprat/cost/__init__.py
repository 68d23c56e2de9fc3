"""What a network costs, counted on the operators it runs: parameters, multiply-adds, activations, peak memory.

Conventions: `macs` are the multiply-adds of convolutions and matrix products, nothing else, so they are half the flops
of torch.utils.flop_counter; `params` are all nn.Parameters; `peak_bytes` is stated in memory.py.
"""

from sprat.cost.count import Cost, LayerCost, count

__all__ = ["Cost", "LayerCost", "count"]
