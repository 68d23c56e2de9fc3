"""Quantity: functions that compute the columns of rows that are not a whole network, and their registry.

Those of one paper stand in the file of its name beside this one; those of several are here.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sprat.errors import BadInput
from sprat.registry import Registry

Value = Fraction | int | str
Compute = Callable[..., Mapping[str, Value]]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A way to compute columns.

    Args:
        status: of the cells that agree: "exact", "formula" or "definition".
        compute: named arguments to column and value; raises BadInput where the code contradicts the formula.
    """

    status: str
    compute: Compute


QUANTITIES: Registry[Quantity] = Registry("quantity of the ledger", "sprat.ledger")


def quantity(name: str, *, status: str) -> Callable[[Compute], Compute]:
    """Register the decorated function."""

    def register(compute: Compute) -> Compute:
        QUANTITIES.add(name, Quantity(status, compute))
        return compute

    return register


def computed(name: str, given: Mapping[str, Any]) -> Mapping[str, Value]:
    """The columns of a quantity for some arguments.

    Raises:
        UnknownName: there is no such quantity.
        BadInput: the arguments are not those of the function.
    """
    compute = QUANTITIES.get(name).compute
    try:
        bound = inspect.signature(compute).bind(**given)
    except TypeError as error:
        raise BadInput(f"quantity {name} cannot take {', '.join(given) or 'no arguments'}: {error}") from None
    return compute(*bound.args, **bound.kwargs)


def decimal(text: str) -> Fraction:
    """A number written in a row: "0.714" without the error of a float.

    Raises:
        BadInput: it is not a number.
    """
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise BadInput(f"{text!r} is not a number; write it like 0.714") from None


@quantity("ratio", status="formula")
def ratio(column: str, over: str, under: str) -> Mapping[str, Value]:
    """over / under, both as printed elsewhere."""
    return {column: decimal(over) / decimal(under)}


@quantity("difference", status="formula")
def difference(column: str, high: str, low: str) -> Mapping[str, Value]:
    """high - low, both as printed elsewhere, as a fraction of 1 (they are percentages)."""
    return {column: (decimal(high) - decimal(low)) / 100}


@quantity("product", status="formula")
def product(column: str, factors: list[str]) -> Mapping[str, Value]:
    """The product of numbers printed elsewhere, such as GPUs x days x 24 hours."""
    total = Fraction(1)
    for factor in factors:
        total *= decimal(factor)
    return {column: total}
