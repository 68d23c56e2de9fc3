"""Write src/sprat/search/accuracy.json: the published ImageNet results of the ledger and the model fitted on them.

python scripts/fit_accuracy.py
"""

import json

from sprat.image import ImageSpec
from sprat.ledger.imagenet import published
from sprat.search.accuracy import FITTED, Published, to_json
from sprat.zoo import all_presets, config_to_dict, published_input


def results() -> list[Published]:
    """The ledger's results; a preset is named only where the result holds at its published input."""
    presets = {json.dumps(config_to_dict(config), sort_keys=True): name for name, config in all_presets().items()}
    found = []
    for entry in published():
        preset = presets.get(json.dumps(config_to_dict(entry.config), sort_keys=True), "")
        usual: ImageSpec | None = published_input(preset)[0] if preset else None
        found.append(
            Published(
                name=f"{preset or entry.name} at {entry.image}",
                preset=preset if entry.image == usual else "",
                family=entry.family,
                macs=entry.macs,
                params=entry.params,
                top1=round(entry.top1, 4),
                where=entry.source,
            )
        )
    return found


if __name__ == "__main__":
    FITTED.write_text(to_json(results()))
    print(json.dumps(json.loads(FITTED.read_text())["model"], indent=1))
