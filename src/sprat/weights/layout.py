"""From the layout of a foreign tensor to that of ours; every change is a permutation, a reshape or a constant."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprat.errors import BadInput

Array = NDArray[Any]


def _hwio(array: Array) -> Array:
    return array.transpose(3, 2, 0, 1)


def _hwim(array: Array) -> Array:
    """Depthwise (H, W, I, M) to (I * M, 1, H, W): output channel i * M + m is the m-th of input channel i."""
    height, width, inputs, multiplier = array.shape
    return array.transpose(2, 3, 0, 1).reshape(inputs * multiplier, 1, height, width)


def _ohwi(array: Array) -> Array:
    return array.transpose(0, 3, 1, 2)


def _1hwc(array: Array) -> Array:
    return array.transpose(3, 0, 1, 2)


def _hwio_linear(array: Array) -> Array:
    return array.reshape(array.shape[-2:]).T


def _last_two(array: Array) -> Array:
    return array.reshape(array.shape[0], -1)


def _linear_hwio(array: Array) -> Array:
    """A convolution over its whole input, (H, W, I, O), as the fully-connected layer (O, I * H * W)."""
    return array.transpose(3, 2, 0, 1).reshape(array.shape[3], -1)


def _linear_ohwi(array: Array) -> Array:
    """A convolution over its whole input, (O, H, W, I), as the fully-connected layer (O, I * H * W)."""
    return array.transpose(0, 3, 1, 2).reshape(array.shape[0], -1)


def _first_half(array: Array) -> Array:
    return array[: len(array) // 2]


def _second_half(array: Array) -> Array:
    return array[len(array) // 2 :]


# name -> (number of dimensions it takes, what it does)
LAYOUTS: Mapping[str, tuple[int, Callable[[Array], Array]]] = {
    "hwio": (4, _hwio),
    "hwim": (4, _hwim),
    "ohwi": (4, _ohwi),
    "1hwc": (4, _1hwc),
    "io": (2, np.transpose),
    "hwio_linear": (4, _hwio_linear),
    "oihw_linear": (4, _last_two),
    "ohwi_linear": (4, _last_two),
    "linear_oihw": (4, _last_two),  # a convolution over its whole input as a fully-connected layer
    "linear_hwio": (4, _linear_hwio),
    "linear_ohwi": (4, _linear_ohwi),
    "first_half": (1, _first_half),  # of a norm over both halves of a factorized reduction, of which ours has two
    "second_half": (1, _second_half),
}


def constant(name: str, eps: float) -> float:
    """What fills a parameter the file has nothing for: "ones", "zeros", or "one_minus_eps", a variance whose norm then
    divides by exactly one.
    """
    return {"ones": 1.0, "zeros": 0.0, "one_minus_eps": 1.0 - eps}[name]


def arranged(array: Array, layout: str, name: str) -> Array:
    """The array in our layout; a view where it can be.

    Args:
        array: as the file lays it out.
        layout: a key of LAYOUTS; "" for as it is; "flatten_hwc:7x7x512" for a fully-connected layer (H * W * C, O)
            whose input was flattened with channels last; "conv_ihw:512x7x7" for one (O, I * H * W) that is a
            convolution of ours; "times:1.5" for a tensor to be multiplied.
        name: of the tensor, for the message.

    Raises:
        BadInput: it has not the dimensions the layout needs.
    """
    kind, _, sides = layout.partition(":")
    if kind == "times":
        return array * np.float32(sides)
    if kind in ("flatten_hwc", "conv_ihw"):
        shape = tuple(int(side) for side in sides.split("x"))
        inputs = math.prod(shape)
        axis = 0 if kind == "flatten_hwc" else 1
        if array.ndim != 2 or array.shape[axis] != inputs:
            raise BadInput(f"tensor {name} has the shape {array.shape}; {inputs} inputs ({sides}) were expected")
        if kind == "conv_ihw":
            return array.reshape(array.shape[0], *shape)
        return array.reshape(*shape, array.shape[1]).transpose(3, 2, 0, 1).reshape(array.shape[1], inputs)
    if not kind:
        return array
    dimensions, change = LAYOUTS[kind]
    if array.ndim != dimensions:
        raise BadInput(f"tensor {name} has the shape {array.shape}; {dimensions} dimensions were expected")
    if kind in ("hwio_linear",) and array.shape[:2] != (1, 1):
        raise BadInput(f"tensor {name} has the shape {array.shape}; a 1x1 convolution was expected")
    if kind in ("oihw_linear", "ohwi_linear") and math.prod(array.shape[1:]) not in array.shape[1:]:
        raise BadInput(f"tensor {name} has the shape {array.shape}; a 1x1 convolution was expected")
    return change(array)
