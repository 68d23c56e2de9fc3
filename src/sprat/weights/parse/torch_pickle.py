"""Looks through the pickle of a torch file before torch loads it; nothing is called and no memory is asked for.

torch.load(weights_only=True) calls nothing harmful, but believes sizes: it sets memory aside for whatever a storage
declares, grows one that is smaller than a tensor's shape says, and hashes tuples that hold themselves a billion times.
Here the few instructions that state dicts are made of are followed step by step, and every size is checked.

Source: pickletools (the instructions), torch/serialization.py and torch/_weights_only_unpickler.py (their use).
"""

import io
import pickletools
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sprat.errors import BadInput

MAX_STEPS = 3_000_000
MAX_TUPLE = 10_000  # values in a tuple, those of tuples within it counted each time

# Bytes of one number, by class of storage.
STORAGES: Mapping[str, int] = {
    f"torch {kind}Storage": size
    for kind, size in (
        *(("Double", 8), ("Float", 4), ("Half", 2), ("BFloat16", 2), ("Long", 8), ("Int", 4), ("Short", 2)),
        *(("Char", 1), ("Byte", 1), ("Bool", 1)),
    )
}
_TENSORS = {"torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2"}
_VALUES = {"collections OrderedDict", "collections Counter", "torch._utils _rebuild_parameter", "torch Size"}
_FLOATS, _WHOLE = ("float16", "bfloat16", "float32", "float64"), ("uint8", "int8", "int16", "int32", "int64", "bool")
_TYPES = {f"torch {name}" for name in (*_FLOATS, *_WHOLE, "device")}
_CONSTANTS = {"NONE", "NEWTRUE", "NEWFALSE", "BINFLOAT", "EMPTY_DICT"}
_TEXTS = {"BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "SHORT_BINSTRING"}
_REFUSAL = (
    "pickles can run code, so only plain tensors are taken from them; in a place where you trust the file, load it and "
    "write its state dict with safetensors.torch.save_file"
)


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of numbers that tensors are views of.

    Args:
        key: its name in the file.
        count: numbers it has.
        item_bytes: of one number.
    """

    key: str
    count: int
    item_bytes: int

    @property
    def size_bytes(self) -> int:
        """Of all numbers."""
        return self.count * self.item_bytes


@dataclass(frozen=True, slots=True, eq=False)
class _Tuple:
    items: tuple[Any, ...]
    weight: int


@dataclass(frozen=True, slots=True, eq=False)
class _Global:
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class _Made:
    """What calling a global gives, or a dictionary."""

    name: str
    weight: int = 1


@dataclass
class Pickle:
    """What a pickle holds, as far as it matters.

    Args:
        storages: key to storage.
        result: the value itself; containers but tuples and lists, and tensors, are placeholders.
    """

    storages: dict[str, Storage] = field(default_factory=dict)
    result: Any = None


def look_through(stream: io.BytesIO, what: str) -> Pickle:
    """What the pickle at the stream's position holds; the position is then after it.

    Args:
        stream: of which one pickle is read.
        what: for messages, the path.

    Raises:
        BadInput: it is damaged, calls what no state dict calls, or a tensor does not fit into its storage.
    """
    machine = _Machine(what)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of backslashes in names, which are refused anyway
            for step, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
                if step >= MAX_STEPS:
                    raise BadInput(f"{what}: its pickle has over {MAX_STEPS:,} steps; no state dict has so many")
                machine.step(opcode.name, argument)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, UnicodeError) as error:
        raise BadInput(f"{what}: its pickle is damaged ({type(error).__name__}); get the original file again") from None
    return machine.found


class _Machine:
    """Follows the instructions as torch's own machine does, one stack a MARK, with placeholders for what it makes."""

    def __init__(self, what: str) -> None:
        self.found = Pickle()
        self._what = what
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Follow one instruction."""
        stack = self._stack
        if name in _TEXTS:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_Made("dict") if name == "EMPTY_DICT" else None)
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif name == "MARK":
            self._below.append(stack)
            self._stack = []
        elif name == "EMPTY_TUPLE":
            stack.append(_Tuple((), 1))
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            length = int(name[-1])
            if len(stack) < length:
                raise IndexError
            stack[-length:] = [self._tuple(stack[-length:])]
        elif name == "TUPLE":
            items = self._since_mark()
            self._stack.append(self._tuple(items))
        elif name == "EMPTY_LIST":
            stack.append([])
        elif name == "APPEND":
            item = stack.pop()
            _list(stack[-1]).append(item)
        elif name == "APPENDS":
            items = self._since_mark()
            _list(self._stack[-1]).extend(items)
        elif name == "SETITEM":
            del stack[-2:]
        elif name == "SETITEMS":
            self._since_mark()
        elif name == "GLOBAL":
            stack.append(self._known(argument))
        elif name == "BINPERSID":
            stack.append(self._storage(stack.pop()))
        elif name == "REDUCE":
            arguments = stack.pop()
            stack[-1] = self._called(stack[-1], arguments)
        elif name == "BUILD":
            stack.pop()
            if not (isinstance(stack[-1], _Made) and stack[-1].name == "collections OrderedDict"):
                raise self._refused("sets the inside of an object")
        elif name == "STOP":
            self.found.result = stack.pop()
        elif name != "PROTO":
            raise self._refused(f"has the instruction {name}, which torch's state dicts have not")

    def _since_mark(self) -> list[Any]:
        items = self._stack
        self._stack = self._below.pop()
        return items

    def _tuple(self, items: Sequence[Any]) -> _Tuple:
        weight = 1 + sum(item.weight if isinstance(item, _Tuple | _Made) else 1 for item in items)
        if weight > MAX_TUPLE:
            raise BadInput(f"{self._what}: a tuple in its pickle has over {MAX_TUPLE:,} values; the file is hostile")
        return _Tuple(tuple(items), weight)

    def _known(self, name: str) -> _Global:
        if name not in STORAGES and name not in _TENSORS | _VALUES | _TYPES:
            raise self._refused(f"calls for {name.replace(' ', '.', 1)[:80]}")
        return _Global(name)

    def _storage(self, identity: Any) -> Storage:
        """The storage of a persistent id: ("storage", class, key, device, count), in old files also a view: None."""
        items = identity.items if isinstance(identity, _Tuple) else ()
        plain = len(items) == 5 or (len(items) == 6 and items[5] is None)
        if not plain or items[0] != "storage" or not isinstance(items[1], _Global) or items[1].name not in STORAGES:
            raise self._refused("refers to something else than a plain storage")
        key, count = items[2], items[4]
        if not isinstance(key, str) or not isinstance(count, int) or count < 0:
            raise BadInput(f"{self._what}: a storage has no proper name or size; the file is damaged")
        storage = Storage(key, count, STORAGES[items[1].name])
        if self.found.storages.setdefault(key, storage) != storage:
            raise BadInput(f"{self._what}: storage {key[:40]} has two sizes or types; the file is damaged")
        return storage

    def _called(self, called: Any, arguments: Any) -> _Made:
        if not isinstance(called, _Global) or not isinstance(arguments, _Tuple) or called.name in STORAGES:
            raise self._refused("calls what is no function")
        if called.name in _TENSORS:
            self._check_tensor(arguments.items)
        return _Made(called.name, arguments.weight)

    def _check_tensor(self, arguments: tuple[Any, ...]) -> None:
        """A tensor of (storage, offset, size, stride, ...) must lie within its storage."""
        storage, offset, size, stride = arguments[:4]
        if not (isinstance(storage, Storage) and isinstance(size, _Tuple) and isinstance(stride, _Tuple)):
            raise self._refused("makes a tensor of something else than a storage")
        sides, steps = size.items, stride.items
        numbers = (offset, *sides, *steps)
        if len(sides) != len(steps) or not all(isinstance(number, int) and number >= 0 for number in numbers):
            raise BadInput(f"{self._what}: a tensor has no proper shape; the file is damaged")
        count, last = 1, offset
        for side, step in zip(sides, steps, strict=True):
            count *= side
            last += (side - 1) * step
        if count > storage.count or (count > 0 and last >= storage.count):
            raise BadInput(
                f"{self._what}: a tensor has more numbers than its storage {storage.key[:40]} of {storage.count:,}; "
                "the file is damaged"
            )

    def _refused(self, deed: str) -> BadInput:
        return BadInput(f"{self._what}: its pickle {deed}; {_REFUSAL}")


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("only lists are appended to")
    return value
