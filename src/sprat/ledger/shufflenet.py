"""ShuffleNet: table 1, computed from the five networks that are built."""

from collections.abc import Mapping
from functools import lru_cache

import torch

from sprat.cost.trace import Shape, Trace, trace
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.ledger.quantity import Value, quantity
from sprat.zoo import create

IMAGE = ImageSpec(3, 224, 224)
GROUPS = (1, 2, 3, 4, 8)
STAGES = {"Stage2": "stages.0", "Stage3": "stages.1", "Stage4": "stages.2"}
LAYERS = {"Image": "", "Conv1": "stem.0", "MaxPool": "stem.2", "GlobalPool": "head.0", "FC": "head"}


@lru_cache(maxsize=len(GROUPS))
def _run(groups: int) -> Trace:
    with torch.device("meta"):
        net = create(f"shufflenet_v1_1.0_g{groups}")
    return trace(net, IMAGE)


@quantity("shufflenet_line", status="definition")
def shufflenet_line(layer: str, stride: int = 1) -> Mapping[str, Value]:
    """A line of table 1: output size, kernel, stride, repeats, and output channels for each number of groups.

    Args:
        layer: of the first column.
        stride: of the units of a stage: 2 is its first unit, 1 are the others.
    """
    columns: dict[str, Value] = {}
    for groups in GROUPS:
        run = _run(groups)
        shapes = run.shapes
        if layer in STAGES:
            prefix = STAGES[layer]
            units = [path for path in shapes if path.startswith(f"{prefix}.") and path.count(".") == 2]
            chosen = [path for path in units if _halves(shapes[path]) == (stride == 2)]
            shape = shapes[chosen[-1]][1]
            columns["repeat"] = len(chosen)
            columns["stride"] = stride
        elif layer in LAYERS:
            shape = shapes[LAYERS[layer]][0 if layer == "Image" else 1]
            columns |= _window(run, LAYERS[layer])
        else:
            raise BadInput(f"table 1 has no layer {layer!r}; it has {', '.join((*LAYERS, *STAGES))}")
        if len(shape) == 3:
            columns["output"] = f"{shape[1]}x{shape[2]}"
        columns[f"g{groups}"] = shape[0]
    return columns


def _window(run: Trace, path: str) -> dict[str, Value]:
    """Kernel, stride and number of a convolution or pool; a global pool has the kernel of its whole input."""
    if not path or path == LAYERS["FC"]:
        return {}
    layers = [op for op in run.ops if op.module.startswith(path) and op.window]
    if not layers:
        _, height, width = run.shapes[path][0]
        return {"ksize": f"{height}x{width}"}
    height, width, stride, *_ = layers[0].window
    return {"ksize": f"{height}x{width}", "stride": stride, "repeat": len(layers)}


def _halves(shapes: tuple[Shape, Shape]) -> bool:
    return shapes[0][1] == 2 * shapes[1][1]


@quantity("shufflenet_stage4", status="definition")
def shufflenet_stage4(preset: str) -> Mapping[str, Value]:
    """Output channels of stage 4 of a ShuffleNet."""
    with torch.device("meta"):
        net = create(preset)
    return {"channels": trace(net, IMAGE).shapes[STAGES["Stage4"]][1][0]}
