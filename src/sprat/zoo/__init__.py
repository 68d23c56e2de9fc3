"""The networks: one family, one file. A family turns a config value into an nn.Module.

`build(config, image, num_classes)` is the whole interface; a built network has `features(x)`, which returns the
feature maps after each stage, and `head`, which turns the last of them into logits.
"""

from sprat.zoo.family import (
    Family,
    all_presets,
    build,
    class_tensors,
    config_from_dict,
    config_to_dict,
    create,
    family_of,
    get_preset,
    list_models,
    published_input,
)
from sprat.zoo.ported import Ported

__all__ = [
    "Family",
    "Ported",
    "all_presets",
    "build",
    "class_tensors",
    "config_from_dict",
    "config_to_dict",
    "create",
    "family_of",
    "get_preset",
    "list_models",
    "published_input",
]
