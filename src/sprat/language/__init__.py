"""Recurrent cells as literal data, and the language model around one."""

from sprat.language.enas_cell import (
    ENAS_LM,
    EXAMPLE,
    FIGURE_6,
    LanguageModel,
    Recurrent,
    RecurrentCell,
    RecurrentNode,
    outputs,
)

__all__ = [
    "ENAS_LM",
    "EXAMPLE",
    "FIGURE_6",
    "LanguageModel",
    "Recurrent",
    "RecurrentCell",
    "RecurrentNode",
    "outputs",
]
