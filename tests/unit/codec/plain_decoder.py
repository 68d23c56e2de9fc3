"""A decoder of payloads in plain Python, written from docs/reference/format.md alone: what the fast one must equal."""

import struct
from math import prod

WIDTHS = (4, 2, 8, 4, 1, 1, 8, 2, 1)
FLOATS, SIGNED = (0, 1, 6), (2, 3, 7, 8)


class Stream:
    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def take(self, number: int) -> bytes:
        self.at += number
        assert self.at <= len(self.content)
        return self.content[self.at - number : self.at]

    def varint(self) -> int:
        byte = self.take(1)[0]
        return byte if byte < 128 else byte & 127 | self.varint() << 7

    def zigzag(self) -> int:
        return unzigzag(self.varint())

    def rice(self, number: int) -> list[int]:
        low = self.take(1)[0]
        bits = "".join(f"{byte:08b}" for byte in self.content[self.at :])
        high, at = [], 0
        for _ in range(number):
            end = bits.index("1", at)
            high.append(end - at)
            at = end + 1
        values = []
        for part in high:
            values.append(part << low | int(bits[at : at + low] or "0", 2))
            at += low
        self.take(-(-at // 8))
        return values


def unzigzag(value: int) -> int:
    return -(value + 1) // 2 if value & 1 else value // 2


class Symbols:
    """Section 4."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 8
        self.lower, self.range = 0, 2**64 - 1
        self.point = int.from_bytes(content[:8].ljust(8, b"\0"), "big")

    def get(self, counts: list[int]) -> int:
        scale = self.range >> 24
        q = (self.point - self.lower) % 2**64 // scale
        assert q < 2**24
        total, seen, start = sum(counts), 0, 0
        for symbol, number in enumerate(counts):
            seen += number
            end = symbol + 1 + (2**24 - len(counts)) * seen // total
            if q < end:
                break
            start = end
        self.lower = (self.lower + scale * start) % 2**64
        self.range = scale * (end - start)
        if self.range < 2**32:
            self.range <<= 32
            self.lower = (self.lower << 32) % 2**64
            word = int.from_bytes(self.content[self.at : self.at + 4].ljust(4, b"\0"), "big")
            self.point = (self.point << 32) % 2**64 + word
            self.at += 4
        return symbol


def decode(payload: bytes) -> tuple[int, tuple[int, ...], list[bytes]]:
    """Type number, shape, and the bytes of each element."""
    stream = Stream(payload)
    first = stream.take(1)[0]
    code, kind, ndim = stream.take(3) if first == 255 else (first // 5 % 5, first // 25, first % 5)
    shape = tuple(stream.varint() for _ in range(ndim))
    width, number = WIDTHS[kind], prod(shape)
    if number == 0:
        values = []
    elif code == 0:
        content = stream.content[stream.at :].ljust(width, b"\0")
        values = [content[::-1] if kind in FLOATS else content] * number
    elif code == 1:
        values = planes(stream, number, kind)
    elif code == 2:
        table, zero = value_table(stream, kind)
        symbols = Symbols(stream.content[stream.at :])
        values = [table[index] for index in levels(symbols, shape, len(table), zero)]
    else:
        step = struct.unpack("<f", stream.take(4))[0] if code == 3 else struct.unpack("<e", stream.take(2))[0]
        middle = stream.zigzag()
        values = [struct.pack("<f", (middle + unzigzag(v)) * step) for v in stream.rice(number)]
    return kind, shape, values


def value_table(stream: Stream, kind: int) -> tuple[list[bytes], int]:
    """Section 5."""
    form, number, zero = stream.take(1)[0], stream.varint() + 2, stream.varint()
    if form >= 2:
        step = struct.unpack("<f", stream.take(4))[0] if form == 2 else struct.unpack("<e", stream.take(2))[0]
        low = stream.zigzag()
        return [struct.pack("<f", (low + index) * step) for index in range(number)], zero
    stored = 1 if form == 1 else kind
    width = WIDTHS[stored]
    ordinals = [int.from_bytes(stream.take(width), "little")]
    for gap in stream.rice(number - 1):
        ordinals.append(ordinals[-1] + 1 + gap)
    top, every = 1 << (8 * width - 1), (1 << 8 * width) - 1
    values = []
    for ordinal in ordinals:
        pattern = ordinal
        if stored in FLOATS:
            pattern = ordinal ^ top if ordinal & top else ordinal ^ every
        elif stored in SIGNED:
            pattern = ordinal ^ top
        content = pattern.to_bytes(width, "little")
        values.append(struct.pack("<f", struct.unpack("<e", content)[0]) if form == 1 else content)
    return values, zero


def planes(stream: Stream, number: int, kind: int) -> list[bytes]:
    """Section 7."""
    width = WIDTHS[kind]
    kinds = stream.take(width)
    found: list[list[int]] = [[]] * width
    for plane, form in enumerate(kinds):
        if form < 2:
            found[plane] = list(stream.take(number)) if form == 0 else [stream.take(1)[0]] * number
    symbols = Symbols(stream.content[stream.at :])
    for plane, form in enumerate(kinds):
        if form == 2:
            counts, bytes_ = [1] * 256, []
            while len(bytes_) < number:
                begin = len(bytes_)
                block = [symbols.get(counts) for _ in range(min(number, begin + max(64, begin // 16)) - begin)]
                for byte in block:
                    counts[byte] += 16
                bytes_ += block
            found[plane] = bytes_
    values = []
    for parts in zip(*found, strict=True):
        bits = int.from_bytes(bytes(parts), "big")
        if kind in FLOATS:
            bits = bits >> 1 | (bits & 1) << (8 * width - 1)
        values.append(bits.to_bytes(width, "little"))
    return values


def log16(x: int) -> int:
    e = x.bit_length() - 1
    return 16 * e + ((x << 4) >> e) - 16


def bucket(k: int) -> tuple[int, int]:
    """Signed bucket and number of fine bits of a level number."""
    a = abs(k)
    e = a.bit_length() - 4
    number, bits = (a, 0) if a < 8 else (8 + 2 * e + (a >> (e + 2) & 1), e + 2)
    return (-number if k < 0 else number), bits


def levels(symbols: Symbols, shape: tuple[int, ...], number: int, zero: int) -> list[int]:
    """Section 8."""
    R = shape[0] if shape else 1
    kernel = prod(shape[2:])
    C = (shape[1] if len(shape) > 1 else 1) * kernel
    inputs = C // kernel
    first = bucket(-zero)[0]
    by_symbol: dict[int, list[int]] = {}
    for k in range(-zero, number - zero):
        by_symbol.setdefault(bucket(k)[0] - first, []).append(k)
    fine_bits = {s: bucket(ks[0])[1] for s, ks in by_symbol.items()}
    A = len(by_symbol)
    n = [[1 << fine_bits[s] for s in range(A)] for _ in range(16)]
    tree = {s: [[1, 1] for _ in range(1 << fine_bits[s])] for s in range(A)}
    row, column, channel, seen, part = [0] * R, [0] * C, [0] * inputs, [0] * inputs, [0] * R
    total, count = 1, 2
    gr, gc = max(1, R // (8 * C)), max(1, C // (8 * R))
    use_part = kernel > 1 and inputs > 1 and gc == 1
    result = [0] * (R * C)
    for t in range(-(-R // gr) + -(-C // gc) - 1):
        places = [
            (r, c)
            for r in range(max(0, t - (C - 1) // gc) * gr, min(R, (t + 1) * gr))
            for c in range((t - r // gr) * gc, min(C, (t - r // gr + 1) * gc))
        ]
        classes = []
        mean = max(1, (total << 8) // count)
        for r, c in places:
            i = c // kernel
            of_i = ((channel[i] << 8) + 8 * mean) // (seen[i] + 8)
            x = log16((row[r] << 8) + 8 * mean) - log16(c // gc * gc + 8)
            x += log16((column[c] << 8) + 16 * of_i) - log16(r // gr * gr + 16) - 2 * log16(mean)
            if use_part:
                if c % kernel == 0:
                    part[r] = 0
                x += log16((part[r] << 8) + 2 * mean) - log16(c % kernel + 2) - log16(mean)
            classes.append(min(15, max(0, (3 * x >> 4) + 8)))
        coded = [symbols.get(n[q]) for q in classes]
        known = [0] * len(places)
        for place in range(max(fine_bits[s] for s in coded)):
            news = []
            for e, s in enumerate(coded):
                if fine_bits[s] > place:
                    pair = tree[s][(1 << place) - 1 + known[e]]
                    bit = symbols.get(pair)
                    known[e] = 2 * known[e] + bit
                    news.append((pair, bit))
            for pair, bit in news:
                pair[bit] += 2
        for (r, c), q, s, fine in zip(places, classes, coded, known, strict=True):
            number_of_bucket = abs(s + first)
            e = (number_of_bucket - 8) // 2
            a = number_of_bucket if number_of_bucket < 8 else ((2 + number_of_bucket % 2) << (e + 2)) + fine
            result[r * C + c] = zero + (-a if s + first < 0 else a)
            assert 0 <= result[r * C + c] < number
            n[q][s] += 8
            if q > 0:
                n[q - 1][s] += 4
            if q < 15:
                n[q + 1][s] += 4
            row[r] += a
            column[c] += a
            channel[c // kernel] += a
            seen[c // kernel] += 1
            total += a
            count += 1
            if use_part:
                part[r] += a
    return result
