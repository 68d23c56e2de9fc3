"""Wire: the integers and bit strings a payload is made of, read with a bound on everything."""

import numpy as np
import numpy.typing as npt

from sprat.errors import BadArtifact

Ints = npt.NDArray[np.int64]


def varint(value: int) -> bytes:
    """LEB128: seven bits a byte, least significant first, the top bit set on all bytes but the last."""
    assert 0 <= value < 2**63
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def zigzag(value: int) -> int:
    """0, -1, 1, -2, 2 ... as 0, 1, 2, 3, 4 ..."""
    return value * 2 if value >= 0 else -value * 2 - 1


def unzigzag(value: int) -> int:
    """The integer that `zigzag` folded."""
    return -(value >> 1) - 1 if value & 1 else value >> 1


class Reader:
    """A position in a byte string; reading past its end is a BadArtifact, never a short answer."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        if count > self.left:
            raise BadArtifact(
                f"a field of {count} bytes is wanted where {self.left} are left: the file is cut or damaged"
            )
        self._at += count
        return self._content[self._at - count : self._at]

    def byte(self) -> int:
        """The next byte."""
        return self.take(1)[0]

    def varint(self, most: int) -> int:
        """The next LEB128 integer, which may be at most `most`."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            if shift >= 63:
                raise BadArtifact("an integer of more than nine bytes: the file is damaged")
        if value > most:
            raise BadArtifact(f"a count of {value} where at most {most} is allowed: the file is damaged or too large")
        return value

    def rest(self) -> bytes:
        """All bytes that are left."""
        return self.take(self.left)

    def peek(self, most: int) -> bytes:
        """The next bytes, at most `most`, without moving."""
        return self._content[self._at : self._at + most]

    @property
    def left(self) -> int:
        """Number of bytes that are left."""
        return len(self._content) - self._at

    @property
    def at(self) -> int:
        """Number of bytes read."""
        return self._at


def write_rice(values: Ints) -> bytes:
    """Rice code of non-negative integers with the best parameter: a parameter byte, all unary parts, all low bits.

    Quotient q is q zero bits and a one; then come `parameter` low bits of each value, most significant first. Bits fill
    bytes from the top, zeros fill the last one.
    """
    assert values.size == 0 or int(values.min()) >= 0
    costs = [int((values >> low).sum()) + values.size * (1 + low) for low in range(63)]
    low = int(np.argmin(costs))
    quotients = (values >> low) + 1
    unary = np.zeros(int(quotients.sum()), np.uint8)
    unary[np.cumsum(quotients) - 1] = 1
    lows = (values[:, None] >> np.arange(low - 1, -1, -1)) & 1
    return bytes([low]) + np.packbits(np.concatenate([unary, lows.astype(np.uint8).ravel()])).tobytes()


def read_rice(reader: Reader, count: int) -> Ints:
    """The `count` integers that `write_rice` wrote."""
    low = reader.byte()
    if low > 62:
        raise BadArtifact(f"a Rice parameter of {low}; at most 62 is possible: the file is damaged")
    if count * (1 + low) > 8 * reader.left:
        raise BadArtifact(f"{count} integers cannot lie in {reader.left} bytes: the file is cut or damaged")
    content = reader.peek(8 * count + 8)  # the best parameter never needs more
    bits = np.unpackbits(np.frombuffer(content, np.uint8))
    ones = np.flatnonzero(bits)[:count]
    if ones.size < count:
        raise BadArtifact(f"{count} integers are wanted and {ones.size} found: the file is cut or damaged")
    start = int(ones[-1]) + 1 if count else 0
    if start + count * low > bits.size:
        raise BadArtifact("the low bits of the integers are missing: the file is cut or damaged")
    lows = bits[start : start + count * low].reshape(count, low)
    quotients = np.diff(ones, prepend=-1) - 1
    if low and count and int(quotients.max()) >= 2 ** (62 - low):
        raise BadArtifact("an integer of more than 62 bits: the file is damaged")
    reader.take((start + count * low + 7) // 8)
    values: Ints = quotients
    for place in range(low):
        values = values * 2 + lows[:, place]
    return values
