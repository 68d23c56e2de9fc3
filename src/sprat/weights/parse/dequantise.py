"""Numbers of a file as float32: floats as they are, integers by their scale and zero point.

Source: tensorflow.org, "TensorFlow Lite 8-bit quantization specification": real = scale * (integer - zero point), one
pair for a tensor, or one for each index of an axis.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprat.errors import BadInput
from sprat.weights.foreign import as_float

MAX_ZERO_POINT = 2**31


@dataclass(frozen=True)
class Quantisation:
    """How integers stand for real numbers.

    Args:
        scale: (1,) or (length of the axis,), each above 0.
        zero_point: as scale, int64.
        axis: that the scales belong to; 0 for one scale.
    """

    scale: NDArray[np.floating[Any]]
    zero_point: NDArray[np.int64]
    axis: int

    def to_json(self) -> Mapping[str, Any]:
        """{"scale": number, "zero_point": number}, or lists where there are several."""
        scale, zero = self.scale.tolist(), self.zero_point.tolist()
        return {"scale": scale[0], "zero_point": zero[0]} if len(scale) == 1 else {"scale": scale, "zero_point": zero}


def quantisation(
    scale: NDArray[np.floating[Any]], zero_point: NDArray[np.int64], axis: int, shape: tuple[int, ...], what: str
) -> Quantisation:
    """A checked Quantisation.

    Args:
        scale: as in the file, at least one.
        zero_point: as in the file; none is 0.
        axis: as in the file.
        shape: of the tensor.
        what: it is of, for the message.

    Raises:
        BadInput: numbers that are not finite or not above 0, or another count than the tensor needs.
    """
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise BadInput(f"{what} has a scale that is not a number above 0; the file is damaged")
    if not len(zero_point):
        zero_point = np.zeros(1, np.int64)
    if len(zero_point) not in (1, len(scale)) or (np.abs(zero_point.astype(np.float64)) > MAX_ZERO_POINT).any():
        raise BadInput(
            f"{what} has {len(zero_point)} zero points for {len(scale)} scales, or huge ones; the file is damaged"
        )
    if len(scale) == 1:
        return Quantisation(scale, zero_point, 0)
    if not 0 <= axis < len(shape) or shape[axis] != len(scale):
        raise BadInput(f"{what} of shape {shape} has {len(scale)} scales along axis {axis}; the file is damaged")
    return Quantisation(scale, np.broadcast_to(zero_point, scale.shape), axis)


def dequantised(values: NDArray[Any], how: Quantisation | None, what: str) -> NDArray[np.float32]:
    """The real numbers, float32, that the numbers of a file stand for.

    Args:
        values: floats of any size, for which `how` is not used, or integers.
        how: scale and zero point.
        what: they are, for the message.

    Raises:
        BadInput: integers without a scale, or numbers beyond float32.
    """
    if values.dtype.kind == "f" and values.dtype.itemsize <= 4:
        return as_float(values)
    real = values
    if values.dtype.kind != "f":
        if how is None:
            raise BadInput(f"{what} holds {values.dtype} numbers without a scale; a quantised network has one")
        sides = [-1 if axis == how.axis else 1 for axis in range(values.ndim)] if len(how.scale) > 1 else []
        zero, scale = (part.astype(np.float64).reshape(sides) for part in (how.zero_point, how.scale))
        real = (values.astype(np.float64) - zero) * scale
    with np.errstate(over="ignore"):
        result = as_float(real)
    if not np.isfinite(result).all():
        raise BadInput(f"{what} holds numbers beyond what float32 can; the file is damaged")
    return result
