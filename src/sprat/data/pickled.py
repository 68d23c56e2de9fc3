"""pickled: plain values and byte arrays out of a pickle, without running it.

A pickle is a program, and Python's own reader calls what it names. This reader has no way to call anything: it steps
through the opcodes that the CIFAR files consist of, and the few names they mention stand for byte arrays built here.
"""

import math
import pickletools
from dataclasses import dataclass
from typing import Any

import numpy as np

from sprat.errors import BadInput

_NAMES = {
    "numpy.core.multiarray _reconstruct": "array",
    "numpy._core.multiarray _reconstruct": "array",
    "numpy.core.numeric _frombuffer": "buffer",
    "numpy._core.numeric _frombuffer": "buffer",
    "numpy ndarray": "ndarray",
    "numpy dtype": "dtype",
    "_codecs encode": "bytes",
}


@dataclass(frozen=True, slots=True)
class _Name:
    """A name the pickle mentions."""

    kind: str


@dataclass(slots=True)
class _Made:
    """What the pickle wants made by a call: an array or a dtype, still empty; BUILD fills in an array."""

    kind: str
    value: Any = None


_MARK = _Name("mark")
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NUMBERS = ("BININT", "BININT1", "BININT2", "LONG1")
_TEXTS = ("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8")
_STRINGS = ("BINSTRING", "SHORT_BINSTRING")  # Python 2 str: bytes, shown as latin-1 by pickletools
_BYTES = ("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8")
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def read_pickle(content: bytes) -> Any:
    """The value: dicts with text keys, lists, tuples, numbers, text, bytes, uint8 arrays; Python 2 strings as latin-1.

    Raises:
        BadInput: damaged, or it holds anything else; nothing in it is ever called.
    """
    try:
        return _run(content)
    except BadInput:
        raise
    except Exception as error:  # a damaged pickle fails in pickletools or at an empty stack, in many ways
        raise BadInput(f"damaged pickle ({error or type(error).__name__})") from None


def _run(content: bytes) -> Any:
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    room = 2 * len(content)  # for bytes made by calls, so that a short file cannot fill the memory
    argument: Any
    for opcode, argument, _ in pickletools.genops(content):
        name = opcode.name
        if name in _NUMBERS or name in _TEXTS or name in _STRINGS or name in _BYTES:
            stack.append(argument)
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name == "MARK":
            stack.append(_MARK)
        elif name in ("EMPTY_DICT", "EMPTY_LIST"):
            stack.append({} if name == "EMPTY_DICT" else [])
        elif name in ("APPEND", "APPENDS"):
            values = [stack.pop()] if name == "APPEND" else _pop_mark(stack)
            _expect(stack[-1], list).extend(values)
        elif name in ("SETITEM", "SETITEMS"):
            pairs = [stack.pop(-2), stack.pop()] if name == "SETITEM" else _pop_mark(stack)
            _expect(stack[-1], dict).update((_text(k), v) for k, v in zip(pairs[::2], pairs[1::2], strict=True))
        elif name == "TUPLE":
            stack.append(tuple(_pop_mark(stack)))
        elif name in _TUPLES:
            count = _TUPLES[name]
            stack[len(stack) - count :] = [tuple(stack[len(stack) - count :])]
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            mentioned = argument if name == "GLOBAL" else " ".join([_text(stack.pop(-2)), _text(stack.pop())])
            if mentioned not in _NAMES:
                shown = mentioned[:80].replace(" ", ".")
                raise BadInput(f"it names {shown!r}, which no CIFAR file does; do not trust this file")
            stack.append(_Name(_NAMES[mentioned]))
        elif name == "REDUCE":
            arguments = _expect(stack.pop(), tuple)
            room = _spend(room, arguments)
            stack.append(_make(_expect(stack.pop(), _Name).kind, arguments))
        elif name == "BUILD":
            state = _expect(stack.pop(), tuple)
            made = _expect(stack[-1], _Made)
            if made.kind == "array":
                _version, shape, dtype, fortran, data = state
                room = _spend(room, state)
                made.value = _array(shape, dtype, fortran, data)
        elif name == "STOP":
            return _finished(stack.pop())
        elif name not in ("PROTO", "FRAME"):
            raise BadInput(f"it uses the pickle opcode {name}, which no CIFAR file does; do not trust this file")
    raise BadInput("damaged pickle (no end)")


def _pop_mark(stack: list[Any]) -> list[Any]:
    start = len(stack) - 1
    while stack[start] is not _MARK:  # an IndexError where there is none
        start -= 1
    values = stack[start + 1 :]
    del stack[start:]
    return values


def _spend(room: int, values: tuple[Any, ...]) -> int:
    room -= sum(len(value) for value in values if isinstance(value, str | bytes | bytearray))
    if room < 0:
        raise BadInput("it unpacks to far more than its own length; do not trust this file")
    return room


def _expect(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise BadInput(f"damaged pickle (a {type(value).__name__} where a {kind.__name__} belongs)")
    return value


def _text(value: Any) -> str:
    text: str = value.decode("latin-1") if isinstance(value, bytes) else _expect(value, str)
    return text


def _make(kind: str, arguments: tuple[Any, ...]) -> Any:
    if kind == "bytes":
        return _expect(arguments[0], str).encode("latin-1")
    if kind == "dtype":
        return _Made("dtype", _text(arguments[0]))
    if kind == "buffer":
        data, dtype, shape, order = arguments
        return _Made("array", _array(shape, dtype, order == "F", data))
    if kind == "array":
        return _Made("array")
    raise BadInput("damaged pickle (a call of something that is no function)")


def _array(shape: Any, dtype: Any, fortran: Any, data: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    content = data.encode("latin-1") if isinstance(data, str) else bytes(data)
    if (
        _expect(dtype, _Made).value not in ("u1", "|u1")
        or len(shape) > 4
        or not all(type(side) is int and 0 <= side < 2**31 for side in shape)
    ):
        raise BadInput("it holds an array that is not of bytes")
    if math.prod(shape) != len(content):
        raise BadInput(f"it holds {len(content):,} bytes for an array of shape {shape}")
    return np.frombuffer(content, np.uint8).reshape(shape, order="F" if fortran else "C")


def _finished(value: Any) -> Any:
    """The value with arrays in place of what stood for them; they may be the whole value or those of a dict."""
    if isinstance(value, dict):
        return {key: inner.value if isinstance(inner, _Made) else inner for key, inner in value.items()}
    return value.value if isinstance(value, _Made) else value
