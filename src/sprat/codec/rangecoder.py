"""Range coder: symbols under integer frequencies to bytes and back, by `constriction`, exact on every machine.

A table is a matrix of frequencies, one row a context, each row summing to 2**24 with no zero. constriction takes
floating-point probabilities; given `frequency - 1` in float64, its documented quantisation (leaky, "fast") multiplies
by exactly 1 and adds 1, so that it works on precisely our integers (a test compares with a coder in plain integers).
"""

from typing import Any, Protocol

import constriction
import numpy as np
import numpy.typing as npt

from sprat.codec.wire import Ints
from sprat.errors import BadArtifact

PRECISION = 24
TOTAL = 1 << PRECISION

Floats = npt.NDArray[np.float64]

_FAMILY = constriction.stream.model.Categorical(perfect=False)


def frequencies(counts: Ints) -> Floats:
    """Rows of counts (above 0) as rows of `frequency - 1`, where the frequencies of each row sum to 2**24.

    With A symbols, counts n and T their sum, symbol s gets the integers from cumulative(s) to cumulative(s + 1), where
    cumulative(s) = s + floor((2**24 - A) * (n_0 + ... + n_(s-1)) / T).
    """
    sums = counts.cumsum(axis=1)
    scaled = sums * (TOTAL - counts.shape[1]) // sums[:, -1:]
    result = np.empty(counts.shape, np.float64)
    result[:, 0] = scaled[:, 0]
    result[:, 1:] = scaled[:, 1:] - scaled[:, :-1]
    return result


class Coder(Protocol):
    """Codes symbols; the model's code is the same for both directions because of it."""

    def code(self, tables: Floats, contexts: Ints, symbols: Ints | None) -> Ints:
        """The symbols, one for each context (a row of `tables`, as `frequencies` gives them)."""
        ...

    def code_alike(self, table: Floats, count: int, symbols: Ints | None) -> Ints:
        """`count` symbols that all have the frequencies of one row."""
        ...


class Encoder:
    """Collects symbols; `finish` gives their bytes."""

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()

    def code(self, tables: Floats, contexts: Ints, symbols: Ints | None) -> Ints:
        """Append symbols and return them."""
        assert symbols is not None
        self._coder.encode(symbols.astype(np.int32), _FAMILY, tables[contexts])
        return symbols

    def code_alike(self, table: Floats, count: int, symbols: Ints | None) -> Ints:
        """Append symbols of one context and return them."""
        assert symbols is not None
        assert symbols.size == count
        self._coder.encode(symbols.astype(np.int32), _model(table))
        return symbols

    def finish(self) -> bytes:
        """The shortest bytes that decode to the symbols when followed by zeros without end.

        The coder's state is an interval [lower, lower + width) of 64-bit fractions behind the words already out; any
        number in it will do, so take the one with the most trailing zero bytes and leave these out.
        """
        words = np.asarray(self._coder.get_compressed())
        if words.size == 0:
            return b""
        position, (lower, width) = self._coder.pos()
        prefix = int.from_bytes(words[:position].astype(">u4").tobytes(), "big")
        if lower + 2**32 - 1 >= 2**64:  # the coder has carried into the prefix to seal; take the carry back
            prefix -= 1
        low = (prefix << 64) + lower
        point = low
        for bits in range(0, 64 + 8, 8):
            candidate = -(-low >> bits) << bits
            if candidate >= low + width:
                break
            point = candidate
        return int(point).to_bytes(4 * int(position) + 8, "big").rstrip(b"\0")


class Decoder:
    """Gives back the symbols of an Encoder's bytes. Any bytes decode to some symbols or raise BadArtifact."""

    def __init__(self, content: bytes) -> None:
        padded = content + bytes(-len(content) % 4 + 8)
        self._coder = constriction.stream.queue.RangeDecoder(np.frombuffer(padded, ">u4").astype(np.uint32))

    def code(self, tables: Floats, contexts: Ints, symbols: Ints | None) -> Ints:
        """The next symbols, one for each context."""
        del symbols
        return self._decode(_FAMILY, tables[contexts])

    def code_alike(self, table: Floats, count: int, symbols: Ints | None) -> Ints:
        """The next `count` symbols of one context."""
        del symbols
        return self._decode(_model(table), count)

    def _decode(self, model: Any, of: Floats | int) -> Ints:
        try:
            return np.asarray(self._coder.decode(model, of), np.int64)
        except (AssertionError, ValueError) as error:
            raise BadArtifact(f"the coded symbols are not valid ({error}): the file is damaged") from None


def _model(table: Floats) -> Any:
    return constriction.stream.model.Categorical(table, perfect=False)
