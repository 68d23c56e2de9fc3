"""Peak activation memory, counted from the operators that run.

Convention: float32, one image, weights not counted. The image and every map live from the operator that writes them to
the last one that reads them; the output lives to the end. While an operator runs, its inputs and outputs are all there,
with no scratch space beside them. Normalisation, activation functions and elementwise arithmetic write over an input
that is not needed again, as inference engines do when they fuse them; views (reshape, flatten) are free; copies
(transpose then reshape, as in a channel shuffle) are not. For a plain chain of convolutions the peak is the largest
input + output of a layer.
"""

from sprat.cost.operators import IN_PLACE
from sprat.cost.trace import Op, Trace


def peak_bytes(trace: Trace) -> int:
    """Largest number of activation bytes alive at once; see the convention at the top of this file."""
    last = _last_use(trace)
    alive = {trace.image: trace.sizes.get(trace.image, 0)}
    peak = sum(alive.values())
    for step, op in enumerate(trace.ops):
        for storage in op.writes:
            if storage in alive:
                continue
            if (overwritten := _overwritten(op, step, last, alive, trace.sizes[storage])) is not None:
                del alive[overwritten]
            alive[storage] = trace.sizes[storage]
        peak = max(peak, sum(alive.values()))
        for storage in {*op.reads, *op.writes}:
            if last[storage] == step:
                alive.pop(storage, None)
    return peak


def _last_use(trace: Trace) -> dict[int, int]:
    """Storage to the index of the last operator that needs it."""
    last = {}
    for step, op in enumerate(trace.ops):
        last.update(dict.fromkeys((*op.reads, *op.writes), step))
    last.update(dict.fromkeys(trace.results, len(trace.ops)))
    return last


def _overwritten(op: Op, step: int, last: dict[int, int], alive: dict[int, int], size: int) -> int | None:
    """The input whose place the output takes, if there is one."""
    if op.group not in IN_PLACE:
        return None
    for storage in op.reads:
        if last[storage] == step and alive.get(storage) == size:
            return storage
    return None
