"""Grid: float32 values that are integer multiples of one step, and the code for vectors of them (gains, biases)."""

import math

import numpy as np
import numpy.typing as npt

from sprat.codec.wire import Ints, Reader, read_rice, unzigzag, varint, write_rice, zigzag
from sprat.errors import BadArtifact

MAX_MULTIPLE = 2**24

HALF: np.dtype[np.floating] = np.dtype("<f2")
SINGLE: np.dtype[np.floating] = np.dtype("<f4")

Singles = npt.NDArray[np.float32]


def on_grid(multiples: Ints, step: np.float32) -> Singles:
    """float32(k * step): the product in double precision, where it is exact, rounded once."""
    with np.errstate(over="ignore"):
        return (multiples * np.float64(step)).astype(np.float32)


def find_grid(values: Singles) -> tuple[np.float32, Ints] | None:
    """The step and the multiples that give exactly these values, or None where there is no such grid.

    Tried are the greatest common divisor of the values, and the smallest magnitude (which finds a step of any
    mantissa when plus or minus one step occurs). -0.0 lies on no grid.
    """
    if not np.isfinite(values).all() or bool(np.any((values == 0) & np.signbit(values))):
        return None
    magnitudes = np.unique(np.abs(values[values != 0])).astype(np.float64)
    if magnitudes.size == 0 or magnitudes[-1] / magnitudes[0] >= MAX_MULTIPLE:
        return None
    for step in (_common_divisor(magnitudes), np.float32(magnitudes[0])):
        if step == 0 or magnitudes[-1] / np.float64(step) >= MAX_MULTIPLE:
            continue
        multiples = np.rint(values / np.float64(step)).astype(np.int64)
        if np.array_equal(on_grid(multiples, step), values):
            return step, multiples
    return None


def _common_divisor(magnitudes: npt.NDArray[np.float64]) -> np.float32:
    """The greatest common divisor of float32 magnitudes within a factor of 2**24, exactly; 0 where it is no float32."""
    exponent = int(np.frexp(magnitudes[0])[1]) - 24  # all are integers at this scale
    integers = np.ldexp(magnitudes, -exponent).astype(np.int64)
    divisor = math.gcd(*integers.tolist())
    step = np.float32(math.ldexp(divisor, exponent))
    return step if math.ldexp(divisor, exponent) == float(step) else np.float32(0)


def step_type(step: np.float32) -> np.dtype[np.floating]:
    """The type in which a step is stored: float16 where it is exact (normal numbers only), else float32."""
    with np.errstate(over="ignore"):
        narrow = np.float16(step)
    exact = np.float32(narrow) == step and narrow >= np.finfo(np.float16).smallest_normal
    return HALF if exact else SINGLE


def write_step(step: np.float32) -> bytes:
    """The step as two or four bytes, little-endian, in its `step_type`."""
    return np.array(step, step_type(step)).tobytes()


def read_step(reader: Reader, dtype: np.dtype[np.floating]) -> np.float32:
    """The step that `write_step` wrote as this type."""
    step = np.frombuffer(reader.take(dtype.itemsize), dtype)[0].astype(np.float32)
    if not (np.isfinite(step) and step > 0):
        raise BadArtifact(f"a grid of step {step}; a step is positive and finite: the file is damaged")
    return np.float32(step)


def write_grid(step: np.float32, multiples: Ints) -> bytes:
    """Step, the middle multiple, and the distances from it in Rice code."""
    middle = int(np.median(multiples))
    distances = multiples.ravel() - middle
    return (
        write_step(step)
        + varint(zigzag(middle))
        + write_rice(np.where(distances < 0, -2 * distances - 1, 2 * distances))
    )


def read_grid(reader: Reader, count: int, step_dtype: np.dtype[np.floating]) -> Singles:
    """The values that `write_grid` wrote with a step of this type."""
    step = read_step(reader, step_dtype)
    middle = unzigzag(reader.varint(2 * MAX_MULTIPLE))
    folded = read_rice(reader, count)
    multiples = middle + np.where(folded & 1, -(folded >> 1) - 1, folded >> 1)
    if count and int(np.abs(multiples).max()) > MAX_MULTIPLE:
        raise BadArtifact(f"a multiple above {MAX_MULTIPLE} of a grid step: the file is damaged")
    return on_grid(multiples, step)
