"""The networks: one family, one file. A family turns a config value into an nn.Module.

`build(config, image, num_classes)` is the whole interface; a built network has `features(x)`, which returns the
feature maps after each stage, and `head`, which turns the last of them into logits.
"""

from sprat.zoo.family import (
    Family,
    all_presets,
    build,
    config_from_dict,
    config_to_dict,
    create,
    family_of,
    get_preset,
    list_models,
    published_input,
)

__all__ = [
    "Family",
    "all_presets",
    "build",
    "config_from_dict",
    "config_to_dict",
    "create",
    "family_of",
    "get_preset",
    "list_models",
    "published_input",
]
