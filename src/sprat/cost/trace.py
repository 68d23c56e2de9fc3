"""Trace: which operators a network runs on one image, for which module, and which memory each reads and writes.

The network runs once in evaluation mode on the meta device, where tensors have shapes but no contents; one whose Python
code looks at contents runs for real on a copy. Either way the network given is left as it was, and no random number is
drawn.
"""

import copy
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from sprat.cost.operators import group_of
from sprat.errors import BadInput
from sprat.image import ImageSpec

aten = torch.ops.aten

Shape = tuple[int, ...]

_NORM = (aten.native_batch_norm.default, aten._native_batch_norm_legit_no_training.default)
_QUICK = {*_NORM, aten.relu.default, aten.convolution.default}
_POOLS = (aten.max_pool2d_with_indices, aten.max_pool2d, aten.avg_pool2d)
_ALLOCATIONS = (aten.empty, aten.new_empty, aten.empty_like, aten.empty_strided, aten.new_empty_strided)


@dataclass(frozen=True, slots=True)
class Op:
    """One executed operator.

    Args:
        module: path of the innermost module that was running; "" is the network itself.
        operator: its name without overload, such as "aten.convolution".
        group: "multiply" for convolutions and matrix products; else as in operators.py, such as "activation".
        kind: "conv", "pointwise", "depthwise", "group conv", "linear", ...; "" for operators without macs.
        macs: multiply-adds.
        in_numel: elements of the largest input.
        out_numel: elements of the first output.
        reads: storages of the activations it reads.
        writes: storages of the activations it returns; one that is also read is a view or was changed in place.
        in_shapes: of `reads`, with the batch of 1.
        out_shapes: of `writes`.
        window: (kernel height, kernel width, stride, groups) of convolutions and pools; () for the rest.
    """

    module: str
    operator: str
    group: str
    kind: str
    macs: int
    in_numel: int
    out_numel: int
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    in_shapes: tuple[Shape, ...] = ()
    out_shapes: tuple[Shape, ...] = ()
    window: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """A run on one image.

    Args:
        net: what was run; its parameters have the names and shapes of the network given.
        ops: in the order of execution.
        shapes: module path to (input shape, output shape) of its first call, without the batch; in order of execution.
        sizes: storage to its float32 bytes.
        image: storage of the input.
        results: storages of the output.
    """

    net: nn.Module
    ops: tuple[Op, ...]
    shapes: dict[str, tuple[Shape, Shape]]
    sizes: dict[int, int]
    image: int
    results: tuple[int, ...]


def trace(net: nn.Module, image: ImageSpec) -> Trace:
    """The operators `net` runs on one image.

    Raises:
        BadInput: the network cannot take such an image, or runs an operator whose cost is not known.
    """
    try:
        return _run(_on_meta(net), torch.empty(1, *image.shape, device="meta"))
    except BadInput:
        raise
    except Exception as error:
        if any(parameter.is_meta for parameter in net.parameters()):
            raise BadInput(f"{type(net).__name__} cannot take an image of {image}: {error}") from error
    try:
        return _run(copy.deepcopy(net).cpu().float(), torch.zeros(1, *image.shape))
    except BadInput:
        raise
    except Exception as error:
        raise BadInput(f"{type(net).__name__} cannot take an image of {image}: {error}") from error


def _on_meta(net: nn.Module) -> nn.Module:
    """`net` itself when it is on the meta device, else a copy there; weights are not copied."""
    modules = list(net.modules())
    tensors = _tensors_of(modules)
    if tensors and all(tensor.is_meta for tensor in tensors):
        return net
    memo: dict[int, Any] = {}
    for tensor in tensors:
        empty = torch.empty_like(tensor, device="meta", requires_grad=False)
        memo[id(tensor)] = nn.Parameter(empty, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, Tensor):
                memo[id(value)] = torch.empty_like(value, device="meta", requires_grad=False)
    return copy.deepcopy(net, memo)


def _tensors_of(modules: Sequence[nn.Module]) -> list[Tensor]:
    """Parameters and buffers that the modules own; a walk of our own, as PyTorch's takes longer than the network."""
    parameters = [tensor for module in modules for tensor in module._parameters.values() if tensor is not None]
    return [*parameters, *(tensor for module in modules for tensor in module._buffers.values() if tensor is not None)]


def _run(net: nn.Module, x: Tensor) -> Trace:
    names = {module: name for name, module in net.named_modules()}
    recorder = _Recorder(list(names))
    with _evaluating(names), torch.random.fork_rng(devices=[]), torch.no_grad(), recorder.watching(names), recorder:
        output = net(x)
    return Trace(
        net=net,
        ops=tuple(recorder.ops),
        shapes=recorder.shapes,
        sizes=recorder.sizes,
        image=_storage(x),
        results=tuple(_storage(tensor) for tensor in _tensors(output)),
    )


@contextmanager
def _evaluating(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Evaluation mode inside; every module's own mode again afterwards."""
    modes = [(module, module.training) for module in modules]
    try:
        for module, _ in modes:
            module.training = False
        yield
    finally:
        for module, mode in modes:
            module.training = mode


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes down every operator that runs; `watching` tells it which module is running."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ops: list[Op] = []
        self.shapes: dict[str, tuple[Shape, Shape]] = {}
        self.sizes: dict[int, int] = {}
        self._constants = {_storage(tensor) for tensor in _tensors_of(modules)}
        self._running: list[str] = [""]
        self._alive: list[Any] = []  # a storage's id is its address, so no storage may go while we count

    @contextmanager
    def watching(self, names: Mapping[nn.Module, str]) -> Iterator[None]:
        """Keep track of the running module by two forward hooks, which are gone afterwards."""

        def enter(module: nn.Module, _args: Any) -> None:
            if (name := names.get(module)) is not None:
                self._running.append(name)
                self.shapes.setdefault(name, ((), ()))

        def leave(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            if (name := names.get(module)) is not None:
                self._running.pop()
                if self.shapes[name] == ((), ()):
                    self.shapes[name] = (_shape((args, kwargs)), _shape(output))

        # Hooks on all modules, as two on each of hundreds take longer to set than the network to run.
        handles = (register_module_forward_pre_hook(enter), register_module_forward_hook(leave, with_kwargs=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        output = _quick_output(func, args)
        if output is None:
            output = func(*args, **kwargs)
        if func.overloadpacket not in _ALLOCATIONS:
            self._record(func.overloadpacket, args, kwargs, output)
        return output

    def _record(self, packet: Any, args: Any, kwargs: Any, output: Any) -> None:
        inputs, outputs = _tensors((args, kwargs)), _tensors(output)
        self._alive.append((inputs, outputs))
        reads = [_storage(tensor) for tensor in inputs]
        writes = [_storage(tensor) for tensor in outputs]
        constant = bool(reads) and all(storage in self._constants for storage in reads)
        if constant:
            self._constants.update(writes)  # computed from weights alone: known before the image arrives
        for tensor, storage in zip((*inputs, *outputs), (*reads, *writes), strict=True):
            if storage not in self._constants:
                self.sizes[storage] = tensor.untyped_storage().nbytes() // tensor.element_size() * 4
        kind, macs = _macs(packet, args, kwargs, output)
        operator, module = str(packet), self._running[-1]
        self.ops.append(
            Op(
                module=module,
                operator=operator,
                group="multiply" if kind else "constant" if constant else group_of(operator, module),
                kind=kind,
                macs=macs,
                in_numel=max((tensor.numel() for tensor in inputs), default=0),
                out_numel=outputs[0].numel() if outputs else 0,
                reads=tuple(storage for storage in reads if storage not in self._constants),
                writes=tuple(storage for storage in writes if storage not in self._constants),
                in_shapes=self._shapes(inputs, reads),
                out_shapes=self._shapes(outputs, writes),
                window=_window(packet, args),
            )
        )

    def _shapes(self, tensors: list[Tensor], storages: list[int]) -> tuple[Shape, ...]:
        return tuple(
            tuple(tensor.shape)
            for tensor, storage in zip(tensors, storages, strict=True)
            if storage not in self._constants
        )


def _quick_output(func: Any, args: Any) -> Any:
    """The output of the commonest operators on the meta device, whose own kernels are Python and slow; else None."""
    if func not in _QUICK or not args[0].is_meta:
        return None
    x = args[0]
    if func is aten.convolution.default:
        weight, strides, paddings, dilations, transposed = args[1], args[3], args[4], args[5], args[6]
        if transposed or len(strides) != x.dim() - 2 or x.shape[1] != weight.shape[1] * args[8]:
            return None
        sides = [
            (side + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
            for side, kernel, stride, padding, dilation in zip(
                x.shape[2:], weight.shape[2:], strides, paddings, dilations, strict=True
            )
        ]
        if min(sides) < 1:
            return None  # PyTorch's own kernel says what is wrong
        return torch.empty((x.shape[0], weight.shape[0], *sides), dtype=x.dtype, device="meta")
    same = torch.empty(x.shape, dtype=x.dtype, device="meta")
    if func in _NORM:
        if func is _NORM[0] and args[5]:
            return None
        return same, torch.empty(0, device="meta"), torch.empty(0, device="meta")
    return same


def _window(packet: Any, args: Any) -> tuple[int, ...]:
    """(kernel height, kernel width, stride, groups) of a convolution or a two-dimensional pool, else ()."""
    if packet is aten.convolution and args[1].dim() == 4:
        return (*args[1].shape[2:], args[3][0], args[8])
    if packet in _POOLS:
        kernel = _pair(args[1])
        stride = _pair(args[2]) if len(args) > 2 and args[2] else kernel
        return (*kernel, stride[0], 1)
    return ()


def _pair(value: Any) -> tuple[int, int]:
    sides = [value] if isinstance(value, int) else list(value)
    return sides[0], sides[-1]


def _macs(packet: Any, args: Any, kwargs: Any, output: Any) -> tuple[str, int]:
    """Kind and multiply-adds of an operator; "" and 0 for all but convolutions and matrix products."""
    if packet is aten.convolution:
        x, weight, transposed, groups = args[0], args[1], args[6], args[8]
        positions = x if transposed else output
        return _conv_kind(weight.shape, transposed, groups), positions.numel() * weight[0].numel()
    if packet is aten.mm or packet is aten.bmm:
        return "linear", args[0].numel() * args[1].shape[-1]
    if packet is aten.addmm or packet is aten.baddbmm:
        return "linear", args[1].numel() * args[2].shape[-1]
    if packet is aten.mv or packet is aten.dot or packet is aten.vdot:
        return "linear", args[0].numel()
    if packet is aten.addmv:
        return "linear", args[1].numel()
    if packet in flop_registry:  # attention and its like: torch's own formula
        return "attention", flop_registry[packet](*args, **kwargs, out_val=output) // 2
    return "", 0


def _conv_kind(weight: Sequence[int], transposed: bool, groups: int) -> str:
    if transposed:
        return "transposed conv"
    if groups > 1 and weight[1] == 1:
        return "depthwise"
    small = math.prod(weight[2:]) == 1
    if groups > 1:
        return "group pointwise" if small else "group conv"
    return "pointwise" if small else "conv"


def _storage(tensor: Tensor) -> int:
    storage: int = tensor.untyped_storage()._cdata
    return storage


def _tensors(value: Any) -> list[Tensor]:
    """The floating-point tensors in nested tuples, lists and dicts; indices of a max pool are not activations."""
    found: list[Tensor] = []
    _collect((value,), found)
    return found


def _collect(values: Iterable[Any], found: list[Tensor]) -> None:
    for value in values:
        if isinstance(value, Tensor):
            if value.is_floating_point():
                found.append(value)
        elif isinstance(value, tuple | list):
            _collect(value, found)
        elif isinstance(value, dict):
            _collect(value.values(), found)


def _shape(value: Any) -> Shape:
    """Shape of the first tensor, without the batch."""
    tensors = _tensors(value)
    return tuple(tensors[0].shape[1:]) if tensors else ()
