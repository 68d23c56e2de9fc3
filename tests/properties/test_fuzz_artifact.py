"""Hostile `.sprat` files: 40,000 mutated ones, each an error or a correct result, in bounded memory, without a crash.

The mutants run in a child process whose address space is limited, so that a claim believed too early shows as a
MemoryError, a crash of compiled code as a signal, and a hang as a timeout.
"""

import json
import os
import random
import resource
import subprocess
import sys
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from sprat import artifact, codec
from sprat.artifact.container import MAGIC
from sprat.errors import BadArtifact

LIMITS = codec.Limits(max_tensors=64, max_elements=200_000, max_header_bytes=20_000)
EXTRA_BYTES = 96 * 2**20  # above what the child has when it starts; the limits allow about 40 MB
MUTANTS = {"raw": 10_000, "payload in file": 10_000, "header": 5_000, "payload alone": 15_000}


@pytest.mark.parametrize("kind", MUTANTS)
def test_mutated_files_are_errors_or_correct(kind: str) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    child = subprocess.run(
        [sys.executable, "-W", "error", __file__, kind], capture_output=True, text=True, timeout=300, env=environment
    )
    assert child.returncode == 0, child.stderr[-2000:]
    assert child.stderr == ""
    seen = json.loads(child.stdout)
    assert sum(seen.values()) == MUTANTS[kind]
    assert seen["error"] > MUTANTS[kind] // 20
    assert set(seen) == {"error", "result"}, "nothing gets through: do the mutations reach the decoder?"


def fuzz(kind: str) -> Counter[str]:
    files = [artifact.pack(manifest(number), state) for number, state in enumerate(states())]
    dice = random.Random(kind)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + EXTRA_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    originals = [artifact.unpack(content, LIMITS) for content in files]
    seen: Counter[str] = Counter()
    for _ in range(MUTANTS[kind]):
        which = dice.randrange(len(files))
        if kind == "payload alone":
            seen[try_payload(dice, files[which])] += 1
        elif kind == "raw":
            seen[try_file(mutate(dice, files[which], files), originals)] += 1
        elif kind == "payload in file":
            seen[try_file(with_payload(dice, files[which]), originals)] += 1
        else:
            seen[try_file(with_header(dice, files[which]), None)] += 1
    return seen


def try_file(content: bytes, originals: list[tuple[artifact.Manifest, artifact.State]] | None) -> str:
    """Unpacks; what comes out bears the hash, and unless the checksums were made anew, is one of the originals."""
    try:
        read, state = artifact.unpack(content, LIMITS)
    except BadArtifact as error:
        return "error" if 10 < len(str(error)) < 1000 else "error without a message"
    assert artifact.state_sha256(state) == read.state_sha256
    assert sum(array.size for array in state.values()) <= LIMITS.max_elements
    if originals is not None:
        assert any(read == original and same(state, known) for original, known in originals)
    return "result"


def try_payload(dice: random.Random, content: bytes) -> str:
    payload = dice.choice(artifact.container.open_contents(content).payloads)[1]
    try:
        array = codec.decode(mutate(dice, payload, [payload]), LIMITS)
    except BadArtifact:
        return "error"
    assert array.size <= LIMITS.max_elements
    return "result"


def same(state: artifact.State, other: artifact.State) -> bool:
    return list(state) == list(other) and all(state[name].tobytes() == other[name].tobytes() for name in state)


def mutate(dice: random.Random, content: bytes, others: list[bytes]) -> bytes:
    """Bits flipped, bytes set, the end cut, a piece removed, repeated, moved in from another file."""
    data = bytearray(content)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        at = min(dice.randrange(len(data) + 1), dice.randrange(len(data) + 1)) if data else 0
        size = dice.choice((1, 2, 4, 30))
        match dice.randrange(7):
            case 0 | 1 if at < len(data):
                data[at] ^= 1 << dice.randrange(8)
            case 2 if at < len(data):
                data[at] = dice.choice((0, 1, 127, 128, 254, 255, dice.randrange(256)))
            case 3:
                del data[dice.randrange(len(data) + 1) :]
            case 4:
                del data[at : at + size]
            case 5:
                data[at:at] = data[at : at + size] * dice.choice((1, 2, 50))
            case 6:
                other = dice.choice(others)
                start = dice.randrange(len(other) + 1)
                data[at : at + dice.choice((0, size))] = other[start : start + size]
    return bytes(data)


def with_payload(dice: random.Random, content: bytes) -> bytes:
    """One payload mutated or its length field wrong, all else as it should be."""
    contents = artifact.container.open_contents(content)
    lengths = sum(len(codec.varint(len(payload))) for _, payload in contents.payloads)
    parts = [content[: contents.container_bytes - lengths]]
    chosen = dice.randrange(len(contents.payloads))
    wrong_length = dice.random() < 0.2
    for number, (_, payload) in enumerate(contents.payloads):
        length = len(payload)
        if number == chosen and wrong_length:
            length = max(0, dice.choice((length + dice.randrange(-9, 9), 0, 2**31, 2**62)))
        elif number == chosen:
            payload = mutate(dice, payload, [payload])
            length = len(payload)
        parts += [codec.varint(length), payload]
    return b"".join(parts)


def with_header(dice: random.Random, content: bytes) -> bytes:
    """The header's parts changed, then its lengths and its checksum made right (mostly)."""
    reader = codec.Reader(content)
    reader.take(len(MAGIC) + 1)
    num_tensors, sha256 = reader.varint(64), reader.take(32)
    texts = []
    for _ in range(2):
        reader.varint(10**6)
        texts.append(zlib.decompress(reader.take(reader.varint(10**6)), -15))
    reader.take(4)
    rest = reader.rest()
    match dice.randrange(5):
        case 0:
            num_tensors = dice.choice((0, num_tensors - 1, num_tensors + 1, 60, 2**40))
        case 1:
            sha256 = mutate(dice, sha256, [sha256])[:32].ljust(32, b"\0")
        case 2:
            texts[0] = mutate(dice, texts[0], texts)
        case 3:
            texts[1] = mutate(dice, texts[1], texts)
        case 4:
            texts[dice.randrange(2)] *= dice.choice((0, 2, 1000))
    start = MAGIC + bytes([dice.choice((1, 1, 1, 1, 0, 2))]) + codec.varint(num_tensors) + sha256
    for text in texts:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = packer.compress(text) + packer.flush()
        if dice.random() < 0.1:
            packed = mutate(dice, packed, [packed])
        claim = len(text) if dice.random() < 0.9 else dice.choice((0, len(text) + 1, 20_000, 2**50))
        start += codec.varint(claim) + codec.varint(len(packed)) + packed
    return start + zlib.crc32(start).to_bytes(4, "little") + rest


def manifest(number: int) -> artifact.Manifest:
    return artifact.Manifest(
        architecture={"family": "mobilenet_v1", "width": 0.25 + number},
        image=(3, 8, 8),
        classes=("cat", "dog"),
        scores={"val_accuracy": 0.5},
    )


def states() -> list[artifact.State]:
    """Small, and with every code and table in them."""
    noise = np.random.default_rng(0)
    levels = np.array([-0.5, -0.123, 0, 0, 0.25, 0.77], np.float16).astype(np.float32)
    odd = np.array([-0.501234, 0, 0, 0.3123456, 1e-9], np.float32)
    steps = (noise.laplace(0, 9, (9, 8)).astype(np.int64) * np.float64(np.float32(0.0173))).astype(np.float32)
    bias = (noise.integers(-90, 90, 40) * np.float64(np.float32(0.013))).astype(np.float32)
    return [
        {
            "conv.weight": levels[noise.integers(0, 6, (6, 2, 3, 3))],
            "norm.weight": (noise.integers(20, 90, 40) / 64).astype(np.float32),
            "norm.running_var": np.ones(6, np.float32),
            "norm.num_batches_tracked": np.array(371),
        },
        {"a": odd[noise.integers(0, 5, (7, 6))], "b": steps, "c": bias},
        {"f": noise.normal(size=70).astype(np.float32), "h": noise.normal(size=40).astype(np.float16)},
        {
            "i": noise.integers(-3000, 3000, (5, 30)),
            "t": noise.random((4, 9)) < 0.5,
            "v": levels[noise.integers(0, 6, 90)],
        },
    ]


if __name__ == "__main__":
    print(json.dumps(fuzz(sys.argv[1])))
