"""The error tree. Every error a user can meet is one of these.

SpratError
├── UnknownName      a name that is not registered (model, data set, format); says "did you mean"
├── BadInput         data, options or a file that cannot be used as given
├── BudgetExceeded   no candidate, or not the finished file, fits the budget
├── BadArtifact      a .sprat or .onnx file that is damaged, hostile or does not agree with its original
├── RunConflict      a run folder that already holds a different request
└── Stuck            training that does not learn (in sprat.train)

Each message has three parts: what was asked, what was seen, what to do.
"""

from typing import ClassVar


class SpratError(Exception):
    """Base of all errors meant for users: one line, no traceback."""

    exit_code: ClassVar[int] = 1


class UnknownName(SpratError):
    """A name that is in no registry."""

    exit_code = 2


class BadInput(SpratError):
    """Input that cannot be used as given."""

    exit_code = 1


class BudgetExceeded(SpratError):
    """Nothing fits the budget; the message names the nearest budget that can be met."""

    exit_code = 3


class BadArtifact(SpratError):
    """A file that is damaged, hostile, or disagrees with the network it was made from."""

    exit_code = 1


class RunConflict(SpratError):
    """The run folder belongs to a different request; the message shows the difference."""

    exit_code = 2
