"""Count: what a network costs on one image, in total and per layer, from the operators it runs."""

from dataclasses import dataclass

from torch import nn

from sprat.cost.memory import peak_bytes
from sprat.cost.operators import FREE
from sprat.cost.trace import Op, Shape, Trace, trace
from sprat.image import ImageSpec

BYTES = {"float32": 4, "float16": 2, "int8": 1}


@dataclass(frozen=True, slots=True)
class LayerCost:
    """One module that owns parameters or multiplies.

    Args:
        name: path in the network, as in its state dict.
        kind: "conv", "pointwise", "depthwise", "group conv", "group pointwise", "transposed conv", "linear",
            "attention", "norm", or the class of the module in lower case.
        in_shape: of its first call, without the batch; () where the module never ran.
        out_shape: likewise.
        params: its own parameters; one that several modules share belongs to the first.
        macs: multiply-adds of all its calls.
    """

    name: str
    kind: str
    in_shape: Shape
    out_shape: Shape
    params: int
    macs: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What one image costs.

    Args:
        params: elements of all nn.Parameters, also frozen and unused ones; buffers are none.
        macs: multiply-adds of convolutions and matrix products; biases, normalisation, activation and pooling count 0.
        elementwise: work that is no multiply-add: elements that normalisation, activation, arithmetic, pooling,
            reductions and copies read or write, whichever is more. Views are free.
        activations: elements in the outputs of the multiplying operators (arXiv:2003.13678).
        peak_bytes: peak float32 activation memory, see sprat.cost.memory.
        layers: in the order of execution; their params and macs sum to the totals.
    """

    params: int
    macs: int
    elementwise: int
    activations: int
    peak_bytes: int
    layers: tuple[LayerCost, ...]

    def weight_bytes(self) -> dict[str, int]:
        """Bytes of the parameters as they stand in memory, by number format."""
        return {name: self.params * size for name, size in BYTES.items()}

    def shares(self) -> dict[str, tuple[int, int]]:
        """Kind of layer to its (macs, params), the largest part of the macs first, as in table 2 of MobileNets."""
        kinds = dict.fromkeys(layer.kind for layer in self.layers)
        sums = {
            kind: (
                sum(layer.macs for layer in self.layers if layer.kind == kind),
                sum(layer.params for layer in self.layers if layer.kind == kind),
            )
            for kind in kinds
        }
        return dict(sorted(sums.items(), key=lambda entry: entry[1], reverse=True))


def count(net: nn.Module, image: ImageSpec) -> Cost:
    """What `net` costs on one image. Works on any module and on any device; the network is left as it was.

    Raises:
        BadInput: the network cannot take such an image, or runs an operator whose cost is not known.
    """
    return cost_of(trace(net, image))


def cost_of(run: Trace) -> Cost:
    """What a traced run costs."""
    layers = _layers(run)
    return Cost(
        params=sum(layer.params for layer in layers),
        macs=sum(op.macs for op in run.ops),
        elementwise=sum(max(op.in_numel, op.out_numel) for op in run.ops if op.group not in (*FREE, "multiply")),
        activations=sum(op.out_numel for op in run.ops if op.macs),
        peak_bytes=peak_bytes(run),
        layers=layers,
    )


def _layers(run: Trace) -> tuple[LayerCost, ...]:
    modules = dict(run.net.named_modules())
    multiplying: dict[str, list[Op]] = {}
    for op in run.ops:
        if op.macs:
            multiplying.setdefault(op.module, []).append(op)
    params = _own_params(modules)
    rows = []
    for name in (*run.shapes, *(name for name in modules if name not in run.shapes)):
        ops = multiplying.get(name, [])
        if not ops and not params[name]:
            continue
        in_shape, out_shape = run.shapes.get(name, ((), ()))
        rows.append(
            LayerCost(
                name=name or type(run.net).__name__,
                kind=ops[0].kind if ops else _kind(modules[name]),
                in_shape=in_shape,
                out_shape=out_shape,
                params=params[name],
                macs=sum(op.macs for op in ops),
            )
        )
    return tuple(rows)


def _own_params(modules: dict[str, nn.Module]) -> dict[str, int]:
    """Module path to the elements of the parameters it owns, each parameter once."""
    seen: set[int] = set()
    owned = {}
    for name, module in modules.items():
        new = [p for p in module._parameters.values() if p is not None and id(p) not in seen]
        seen.update(id(parameter) for parameter in new)
        owned[name] = sum(parameter.numel() for parameter in new)
    return owned


def _kind(module: nn.Module) -> str:
    name = type(module).__name__
    return "norm" if "Norm" in name else name.lower()
