"""Arrays as a compressor leaves them, and the odd ones."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def shared_values(shape: tuple[int, ...], levels: int = 15, zeros: float = 0.4, seed: int = 0) -> Array:
    """Laplacian weights, rows and inputs of different scale, cut to a few float16 values that are on no grid."""
    random = np.random.default_rng(seed)
    weights = random.laplace(size=shape)
    weights *= np.exp(random.normal(0, 0.5, shape[0])).reshape(-1, *[1] * (len(shape) - 1))
    if len(shape) > 1:
        weights *= np.exp(random.normal(0, 0.5, shape[1])).reshape(1, -1, *[1] * (len(shape) - 2))
    magnitude = np.abs(weights)
    cut, top = np.quantile(magnitude, zeros), np.quantile(magnitude, 0.999)
    half = levels // 2
    number = np.where(magnitude < cut, 0, np.clip((magnitude - cut) / (top - cut) * half + 1, 1, half)).astype(np.int64)
    values = np.sort(random.uniform(0.01, 0.3, half + 1)).astype(np.float16).astype(np.float32)
    values[0] = 0
    return np.where(weights < 0, -values[number], values[number]).astype(np.float32) + np.float32(0)


def on_grid(size: int, step: float, spread: float, seed: int = 0) -> Array:
    random = np.random.default_rng(seed)
    return (np.rint(random.normal(0, spread, size)).astype(np.int64) * np.float64(np.float32(step))).astype(np.float32)


def odd_arrays() -> dict[str, Array]:
    random = np.random.default_rng(3)
    nan = np.array([0x7FC00001, 0xFFC00000, 0x7F800000, 0xFF800000, 0x80000000, 0, 1, 0x3F800000], "<u4").view("<f4")
    return {
        "special floats": nan,
        "special floats, many": np.tile(nan, 40).reshape(32, 10),
        "negative zero alone": np.array([-0.0, -0.0], np.float32),
        "negative zero among levels": np.where(shared_values((20, 10)) == 0, np.float32(-0.0), shared_values((20, 10))),
        "scalar": np.array(1.25, np.float32),
        "batches tracked": np.array(12345, np.int64),
        "empty": np.zeros((3, 0, 2), np.float32),
        "empty vector": np.zeros(0, np.int64),
        "one element": np.full((1, 1, 1, 1), -3, np.float16),
        "running variance": np.ones(64, np.float32),
        "bools": random.random((7, 5)) < 0.3,
        "bytes": random.integers(0, 256, 300).astype(np.uint8),
        "int64": random.integers(-(2**63), 2**63 - 1, 50),
        "int64 extremes": np.array([-(2**63), 2**63 - 1, 0, -1] * 5),
        "int32": random.integers(-40, 40, (30, 12)).astype(np.int32),
        "int8": random.integers(-128, 128, (16, 9, 3, 3)).astype(np.int8),
        "int16": random.integers(-500, 500, 100).astype(np.int16),
        "float64": random.normal(size=(5, 7)),
        "float16": random.normal(size=200).astype(np.float16),
        "float32": random.normal(size=(33, 9)).astype(np.float32),
        "float16 in float32": random.normal(size=500).astype(np.float16).astype(np.float32),
        "bfloat16 in float32": (random.normal(size=500).astype(np.float32).view(np.uint32) & 0xFFFF0000).view(
            np.float32
        ),
        "pointwise": shared_values((24, 20, 1, 1)),
        "depthwise": shared_values((80, 1, 3, 3), levels=31, zeros=0.05),
        "convolution": shared_values((12, 6, 3, 3)),
        "stem": shared_values((8, 3, 7, 7), levels=63, zeros=0.1),
        "linear": shared_values((10, 120)),
        "wide": shared_values((2, 300)),
        "tall": shared_values((300, 2)),
        "vector of levels": shared_values((200,)),
        "conv1d": shared_values((10, 6, 5)),
        "conv3d": shared_values((4, 3, 3, 3, 3)),
        "no zero level": np.where(shared_values((20, 20)) > 0, np.float32(0.5), np.float32(0.25)),
        "only negative": -np.abs(shared_values((15, 15))) - np.float32(1),
        "hundreds of levels": np.rint(np.random.default_rng(5).laplace(0, 60, (60, 50))).astype(np.int32),
        "grid levels": on_grid(2000, 0.0173, 4).reshape(50, 40),
        "grid16 vector": on_grid(64, 1 / 64, 30),
        "grid vector": on_grid(128, 0.0173, 15),
        "subnormal grid": (np.arange(-9, 9) * np.float64(1e-44)).astype(np.float32),
        "huge grid": (np.arange(-9, 9) * 1e37).astype(np.float32),
        "fortran order": np.asfortranarray(shared_values((9, 14))),
        "big-endian": shared_values((9, 14)).astype(">f4"),
        "sliced": shared_values((30, 30))[::2, 1::3],
    }
