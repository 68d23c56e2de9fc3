"""The limits of a budget beside what was measured."""

from collections.abc import Mapping
from typing import Any

from sprat.budget import Budget

QUANTITIES = (
    ("size_bytes", "max_bytes", "File size", "bytes"),
    ("latency_ms", "max_latency_ms", "Time for one image", "ms"),
    ("macs", "max_macs", "Multiply-adds", ""),
    ("params", "max_params", "Parameters", ""),
    ("peak_bytes", "max_peak_bytes", "Peak activation memory", "bytes"),
)


def limits_of(budget: Budget, measured: Mapping[str, float | None]) -> list[dict[str, Any]]:
    """One row a quantity: seen and allowed (None where there is no limit), the part used, and whether it holds.

    Args:
        budget: of the request.
        measured: by the names Budget.excess uses; None for what is not known yet, which leaves `holds` None.
    """
    rows = []
    for name, field, label, unit in QUANTITIES:
        seen, allowed = measured.get(name), getattr(budget, field)
        known = seen is not None and allowed is not None
        rows.append(
            {
                "quantity": name,
                "label": label,
                "unit": unit,
                "seen": seen,
                "allowed": allowed,
                "used": seen / allowed if seen is not None and allowed is not None else None,
                "holds": not budget.excess(**{name: seen}) if known else None,  # type: ignore[arg-type]
            }
        )
    return rows
