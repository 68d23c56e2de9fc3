"""Sums over layers.json and compress.json: what each layer, tensor and step weighs."""

from typing import Any

SUMMED = ("params", "macs", "bytes")


def cost_facts(layers: list[dict[str, Any]] | None, compressed: dict[str, Any] | None) -> dict[str, Any]:
    """Layers with their total, and by kind; compression steps, each with its change; tensors with their total.

    The sums by kind follow MobileNets (arXiv:1704.04861), table 2.

    Args:
        layers: contract of layers.json.
        compressed: contract of compress.json.
    """
    rows = [{**row, **{key: row.get(key) or 0 for key in SUMMED}} for row in layers or []]
    total = {key: sum(row[key] for row in rows) for key in SUMMED}
    return {
        "layers": rows,
        "total": total,
        "kinds": _kind_facts(rows),
        "steps": _step_facts(compressed["steps"]) if compressed is not None else [],
        "tensors": _tensor_facts(compressed) if compressed and compressed.get("tensors") else None,
    }


def _kind_facts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sums over the layers of each kind, most macs first."""
    kinds: dict[str, dict[str, Any]] = {}
    for row in rows:
        kind = kinds.setdefault(row["kind"], {"kind": row["kind"], "num": 0, **dict.fromkeys(SUMMED, 0)})
        kind["num"] += 1
        for key in SUMMED:
            kind[key] += row[key]
    return sorted(kinds.values(), key=lambda kind: -kind["macs"])


def _step_facts(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each step beside the one before it and the first."""
    rows = []
    for place, step in enumerate(steps):
        before, first = steps[max(0, place - 1)], steps[0]
        rows.append(
            {
                "name": step["name"],
                "bytes": step["bytes"],
                "val_accuracy": step.get("val_accuracy"),
                "change": step["bytes"] / before["bytes"] - 1 if before["bytes"] else 0.0,
                "times_smaller": first["bytes"] / step["bytes"] if step["bytes"] else None,
            }
        )
    return rows


def _tensor_facts(compressed: dict[str, Any]) -> dict[str, Any]:
    """Tensors with bits a weight; the part of the weights that the file stores in fewer than 32 bits each."""
    rows = [
        {"levels": None, **row, "bits": 8 * row["bytes"] / row["params"] if row["params"] else 0.0}
        for row in compressed["tensors"]
    ]
    params = sum(row["params"] for row in rows)
    payload = sum(row["bytes"] for row in rows)
    container = compressed.get("container_bytes", 0)
    return {
        "rows": rows,
        "params": params,
        "nonzero": sum(row["nonzero"] for row in rows),
        "bytes": payload,
        "container_bytes": container,
        "all_bytes": payload + container,
        "bits": 8 * payload / params if params else 0.0,
        "covered": sum(row["params"] for row in rows if row["bytes"] < 4 * row["params"]) / params if params else 0.0,
    }
