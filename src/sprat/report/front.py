"""The pictures of the papers: accuracy against multiply-adds, parameters and latency, of all that `sprat pick` weighed.

Drawn with matplotlib, which comes with the extra `plot`.
"""

from pathlib import Path
from typing import Any

from sprat.errors import BadInput
from sprat.needed import import_late

FORMATS = (".png", ".svg", ".pdf")
_AXES = (("macs", "Multiply-adds"), ("params", "Parameters"), ("latency_ms", "Predicted ms, one CPU thread"))
_MOST_LABELS = 5  # of the front, in a picture


def draw_front(found: dict[str, Any], path: Path) -> Path:
    """`path`, now a picture with one panel a cost; latency is left out where it was not predicted.

    Args:
        found: `to_dict` of a Shortlist.
        path: ends in .png, .svg or .pdf.

    Raises:
        BadInput: another ending, or matplotlib is not installed, or the folder cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise BadInput(f"cannot draw {path}: its name must end in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    import_late("matplotlib", "plot").use("Agg")
    pyplot = import_late("matplotlib.pyplot", "plot")
    axes_wanted = [(key, name) for key, name in _AXES if any(c.get(key) for c in found["candidates"])]
    families = sorted({candidate["family"] for candidate in found["candidates"]})
    shades = pyplot.get_cmap("tab20")
    colour = {family: shades(index % 20) for index, family in enumerate(families)}
    figure, panels = pyplot.subplots(
        1, len(axes_wanted), figsize=(6.4 * len(axes_wanted), 6.4), sharey=True, squeeze=False
    )
    for panel, (key, name) in zip(panels[0], axes_wanted, strict=True):
        _panel(panel, found, key, name, colour)
    panels[0][0].set_ylabel("Top-1 on ImageNet, %")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncol=min(7, len(labels)), fontsize=8, frameon=False)
    heading = f"{found['num_fits']:,} of {found['num_candidates']:,} candidates fit {found['budget_text']}"
    figure.suptitle(f"{heading}\ndots: expected by a model of published results; crosses: published", fontsize=11)
    figure.tight_layout(rect=(0, 0.03 + 0.028 * -(-len(labels) // 7), 1, 0.94))
    try:
        figure.savefig(path, dpi=130)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        pyplot.close(figure)
    return path


def _panel(panel: Any, found: dict[str, Any], key: str, name: str, colour: dict[str, Any]) -> None:
    """One panel: candidates, the front, published results, later networks, the limit."""
    for family, shade in colour.items():
        own = [c for c in found["candidates"] if c["family"] == family and c.get(key)]
        for fits, alpha in ((False, 0.12), (True, 0.75)):
            dots = [(c[key], 100 * c["expected_top1"]) for c in own if c["fits"] is fits]
            label = family if fits or not any(c["fits"] for c in own) else None
            if dots:
                panel.scatter(*zip(*dots, strict=True), s=9, color=shade, alpha=alpha, linewidths=0, label=label)
    front = sorted((c for c in found["candidates"] if c["front"] and c.get(key)), key=lambda c: c[key])
    stair, best = [], -1.0
    for candidate in front:
        if candidate["expected_top1"] > best:
            best = candidate["expected_top1"]
            stair.append(candidate)
    panel.step([c[key] for c in stair], [100 * c["expected_top1"] for c in stair], where="post", color="black", lw=1)
    for index in sorted(
        {round(i * (len(stair) - 1) / (_MOST_LABELS - 1)) for i in range(_MOST_LABELS)} if stair else ()
    ):
        text = f"{stair[index]['name']} @{stair[index]['image'][1]}"
        place = (stair[index][key], 100 * stair[index]["expected_top1"])
        box = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.8}
        panel.annotate(text, place, fontsize=7, xytext=(7, -9), textcoords="offset points", bbox=box, zorder=5)
    for results, mark, shade, label in (
        (found["published"], "x", "0.25", "published results of these networks"),
        (found["yardsticks"], "D", "crimson", "later networks (published)"),
    ):
        known = [result for result in results if result.get(key)]
        if known:
            face = {"facecolors": "none", "edgecolors": shade} if mark == "D" else {"color": shade}
            spots = [[result[key] for result in known], [100 * result["top1"] for result in known]]
            panel.scatter(*spots, marker=mark, s=22, linewidths=0.9, label=label, **face)
    limit = found["budget"].get({"macs": "max_macs", "params": "max_params", "latency_ms": "max_latency_ms"}[key])
    if limit:
        panel.axvline(limit, color="black", ls=":", lw=1)
    panel.set_xscale("log")
    panel.set_xlabel(name)
    panel.grid(alpha=0.25, which="major")
