"""Step: the operators of a trace with every value numbered, so that who reads what is known; no step is done twice."""

import itertools
import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sprat.cost.trace import Op, Trace


@dataclass(frozen=True, slots=True)
class Step:
    """An operator, with numbers for the values that it reads and writes."""

    op: "Op"
    reads: tuple[int, ...]
    writes: tuple[int, ...]


def steps_of(trace: "Trace") -> tuple[list[Step], Counter[int], set[int]]:
    """The operators without those that compute the same again; how many others read each value; which are windowed.

    Windowed values are those that a convolution or pool reads.
    """
    steps: list[Step] = []
    uses: Counter[int] = Counter()
    windowed: set[int] = set()
    lies: dict[tuple[int, int], int] = {}  # (storage, elements) to the value there now
    known: dict[tuple[Any, ...], int] = {}
    numbers = itertools.count()
    for op in trace.ops:
        if op.group in ("creation", "constant", "comparison") or not op.reads or not op.writes:
            continue
        places = [(storage, math.prod(shape)) for storage, shape in zip(op.reads, op.in_shapes, strict=True)]
        for place in places:
            if place not in lies:
                lies[place] = next(numbers)
        reads = tuple(lies[place] for place in places)
        target = (op.writes[0], math.prod(op.out_shapes[0]))
        if op.group == "view" and target[1] == places[0][1]:
            lies[target] = reads[0]
            steps.append(Step(op, reads, reads))
            continue
        same = (op.operator, op.window, reads, op.out_shapes[0])
        if op.group in ("activation", "pooling") and same in known:
            lies[target] = known[same]
            continue
        writes = []
        for storage, shape in zip(op.writes, op.out_shapes, strict=True):
            lies[(storage, math.prod(shape))] = next(numbers)
            writes.append(lies[(storage, math.prod(shape))])
        known[same] = writes[0]
        steps.append(Step(op, reads, tuple(writes)))
        uses.update(reads)
        windowed.update(reads if op.window else ())
    uses.update(value for (storage, _), value in lies.items() if storage in trace.results)
    return steps, uses, windowed
