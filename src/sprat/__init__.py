"""sprat: the smallest convolutional network that does your job, with its numbers measured.

    import sprat
    result = sprat.fit("photos/", max_size="500KB", minutes=20, out="runs/photos")
    sprat.load("runs/photos/model.sprat").predict([image])

Public names are loaded when they are first used, so that `import sprat` takes no PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from sprat.budget import Budget
    from sprat.cost import Cost, count
    from sprat.data import open_collection
    from sprat.errors import BadArtifact, BadInput, BudgetExceeded, RunConflict, SpratError, UnknownName
    from sprat.export.load import load
    from sprat.image import ImageSpec
    from sprat.job import fit
    from sprat.recipe import Augment, Recipe
    from sprat.search import pick
    from sprat.weights.importing import import_weights
    from sprat.zoo import build, create, list_models

_HOMES = {
    "Budget": "budget",
    "Cost": "cost",
    "count": "cost",
    "open_collection": "data",
    "BadArtifact": "errors",
    "BadInput": "errors",
    "BudgetExceeded": "errors",
    "RunConflict": "errors",
    "SpratError": "errors",
    "UnknownName": "errors",
    "load": "export",
    "fit": "job",
    "ImageSpec": "image",
    "import_weights": "weights.importing",
    "Augment": "recipe",
    "Recipe": "recipe",
    "pick": "search",
    "build": "zoo",
    "create": "zoo",
    "list_models": "zoo",
}

__all__ = [
    "Augment",
    "BadArtifact",
    "BadInput",
    "Budget",
    "BudgetExceeded",
    "Cost",
    "ImageSpec",
    "Recipe",
    "RunConflict",
    "SpratError",
    "UnknownName",
    "__version__",
    "build",
    "count",
    "create",
    "fit",
    "import_weights",
    "list_models",
    "load",
    "open_collection",
    "pick",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'sprat' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"sprat.{home}"), name)


def __dir__() -> list[str]:
    return __all__
