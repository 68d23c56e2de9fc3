"""The real Deep Compression SqueezeNet: all of it, bit for bit, against what COMPRESSION.md measured."""

from pathlib import Path

import numpy as np
import pytest

from sprat import codec

ENTROPY_BYTES = 539_245  # ideal order-0 entropy per layer, with plain codebooks and biases
DEEPCABAC_BYTES = 546_522


@pytest.mark.slow
def test_the_real_squeezenet_comes_under_its_entropy(shared: Path) -> None:
    state = _read_net((shared / "weights" / "compressed_SqueezeNet.net").read_bytes())
    assert sum(int(np.count_nonzero(array)) for name, array in state.items() if "weight" in name) == 415_921
    total = 0
    for array in state.values():
        payload = codec.encode(array)
        assert codec.decode(payload).tobytes() == array.tobytes()
        total += len(payload)
    assert total < 533_000 < ENTROPY_BYTES < DEEPCABAC_BYTES


def _read_net(content: bytes) -> dict[str, np.ndarray]:
    fires = [(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)]
    shapes, inputs = [(96, 3, 7, 7)], 96
    for squeeze, expand in fires:
        shapes += [(squeeze, inputs, 1, 1), (expand, squeeze, 1, 1), (expand, squeeze, 3, 3)]
        inputs = 2 * expand
    shapes.append((1000, inputs, 1, 1))
    counts, at, state = np.frombuffer(content, "<u4", 26).astype(int), 104, {}
    for layer, (shape, count) in enumerate(zip(shapes, counts, strict=True)):
        codebook = np.frombuffer(content, "<f4", 256, at)
        state[f"{layer}.bias"] = np.frombuffer(content, "<f4", shape[0], at + 1024)
        at += 1024 + 4 * shape[0]
        codes = np.frombuffer(content, np.uint8, count, at)
        nibbles = np.frombuffer(content, np.uint8, -(-count // 2), at + count)
        at += count + nibbles.size
        gaps = np.stack([nibbles & 15, nibbles >> 4], 1).ravel()[:count].astype(np.int64)
        weights = np.zeros(np.prod(shape), np.float32)
        weights[np.cumsum(gaps + 1) - 1] = codebook[codes]
        state[f"{layer}.weight"] = weights.reshape(shape)
    assert at == len(content)
    return state
