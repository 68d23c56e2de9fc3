"""The recurrent cell of ENAS: each node applies one activation to one earlier node through a highway gate.

Source: ENAS (arXiv:1802.03268), section 2.1 and figure 6; the authors' first release (R1) and their later enas_lm (R2),
which they recommend. Dropout and the training recipe are no part of the network here.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from sprat.errors import BadInput

OPS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "identity": lambda x: x,
    "sigmoid": torch.sigmoid,
}
OUTPUTS = ("loose", "later")


@dataclass(frozen=True, slots=True)
class RecurrentNode:
    """op(W previous), gated.

    Args:
        previous: an earlier node; -1, the last step's state, for node 0 and for it alone.
        op: "tanh", "relu", "identity" or "sigmoid".
    """

    previous: int
    op: str


@dataclass(frozen=True, slots=True)
class RecurrentCell:
    """A recurrent architecture.

    Args:
        nodes: numbered from 0; node 0 also reads the input.
        output: which nodes are averaged: "loose", those that no node reads (the paper, R1), or "later", all but node 0
            (R2).
    """

    nodes: tuple[RecurrentNode, ...]
    output: str = "loose"

    def to_dict(self) -> dict[str, Any]:
        """The cell as JSON values; `from_dict` is the inverse."""
        return {"nodes": [asdict(node) for node in self.nodes], "output": self.output}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "RecurrentCell":
        """The cell that `to_dict` wrote.

        Raises:
            BadInput: a field is missing, unknown or of the wrong type.
        """
        nodes = values.get("nodes")
        if set(values) != _names(cls) or not isinstance(nodes, list) or not isinstance(values["output"], str):
            raise BadInput(f"recurrent cell {dict(values)!r} must have nodes, a list, and output, a string")
        for node in nodes:
            fits = isinstance(node, Mapping) and set(node) == _names(RecurrentNode)
            if not fits or type(node["previous"]) is not int or not isinstance(node["op"], str):
                raise BadInput(f"node {node!r} of a recurrent cell must have previous, an integer, and op, a string")
        return cls(tuple(RecurrentNode(**node) for node in nodes), values["output"])


def _names(kind: type) -> set[str]:
    return {field.name for field in fields(kind)}


# Section 2.1: the example of four nodes.
EXAMPLE = RecurrentCell(
    (
        RecurrentNode(-1, "tanh"),
        RecurrentNode(0, "relu"),
        RecurrentNode(1, "relu"),
        RecurrentNode(0, "tanh"),
    ),
)

# Figure 6, R1's cell: at the 748 units it was trained with, 22,027,104 parameters; table 1 prints 24M.
FIGURE_6 = RecurrentCell(
    (
        RecurrentNode(-1, "tanh"),
        RecurrentNode(0, "tanh"),
        RecurrentNode(1, "relu"),
        RecurrentNode(2, "relu"),
        RecurrentNode(2, "tanh"),
        RecurrentNode(2, "tanh"),
        RecurrentNode(5, "relu"),
        RecurrentNode(1, "tanh"),
        RecurrentNode(6, "relu"),
        RecurrentNode(8, "relu"),
        RecurrentNode(8, "relu"),
        RecurrentNode(8, "relu"),
    ),
)

# R2's cell: at the 800 units it was trained with, 20,800,000 parameters.
ENAS_LM = RecurrentCell(
    (
        RecurrentNode(-1, "tanh"),
        RecurrentNode(0, "sigmoid"),
        RecurrentNode(1, "tanh"),
        RecurrentNode(2, "relu"),
        RecurrentNode(2, "sigmoid"),
        RecurrentNode(4, "tanh"),
        RecurrentNode(5, "tanh"),
        RecurrentNode(3, "sigmoid"),
        RecurrentNode(6, "sigmoid"),
    ),
    output="later",
)


def outputs(cell: RecurrentCell) -> tuple[int, ...]:
    """The nodes whose mean is the cell's output, in order.

    Raises:
        BadInput: the cell cannot be built; the message names the node.
    """
    if not cell.nodes:
        raise BadInput("a recurrent cell needs at least 1 node; it has none")
    for number, node in enumerate(cell.nodes):
        if node.op not in OPS:
            raise BadInput(f"node {number} of a recurrent cell has op {node.op!r}; it must be one of {', '.join(OPS)}")
        if number == 0 and node.previous != -1:
            raise BadInput(f"node 0 of a recurrent cell reads node {node.previous}; it must read -1, the last state")
        if number > 0 and not 0 <= node.previous < number:
            known = f"it may read 0 to {number - 1}"
            raise BadInput(f"node {number} of a recurrent cell reads node {node.previous}; {known}")
    if cell.output not in OUTPUTS:
        raise BadInput(f"output of a recurrent cell is {cell.output!r}; it must be {' or '.join(OUTPUTS)}")
    if cell.output == "later" and len(cell.nodes) == 1:
        raise BadInput("a recurrent cell of 1 node has no later nodes to average; add a node or ask for output 'loose'")
    read = {node.previous for node in cell.nodes} if cell.output == "loose" else {0}
    return tuple(number for number in range(len(cell.nodes)) if number not in read)


class Recurrent(nn.Module):
    """The cell unrolled over a sequence: mean over the output nodes of h_j = c * op(W_j h_i) + (1 - c) * h_i.

    Its gate is c = sigmoid(V_j h_i); V_j and W_j are one matrix, so that each node is one product. Node 0 adds
    products of the input to both and takes the last state as h_i. No biases.

    Args:
        cell: what to compute.
        hidden: units of the input and of every node.
    """

    def __init__(self, cell: RecurrentCell, hidden: int) -> None:
        super().__init__()
        self.outputs = outputs(cell)
        self.nodes = tuple((node.previous, node.op) for node in cell.nodes)
        self.input = nn.Linear(hidden, 2 * hidden, bias=False)
        self.weights = nn.ModuleList(nn.Linear(hidden, 2 * hidden, bias=False) for _ in cell.nodes)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs x (T, N, H) and the state (N, H) before them to outputs (T, N, H) and the last of these (N, H)."""
        steps = []
        for from_input in self.input(x).unbind(0):
            state = self._step(from_input, state)
            steps.append(state)
        return torch.stack(steps), state

    def _step(self, from_input: Tensor, state: Tensor) -> Tensor:
        """One step: its part of node 0 (N, 2 H) and the state before it (N, H) to the state after it."""
        values: list[Tensor] = []
        for (previous, op), weight in zip(self.nodes, self.weights, strict=True):
            before = state if previous < 0 else values[previous]
            product = weight(before) if values else from_input + weight(before)
            gate, value = product.chunk(2, dim=1)
            values.append(torch.lerp(before, OPS[op](value), torch.sigmoid(gate)))
        return torch.stack([values[number] for number in self.outputs]).mean(0)


class LanguageModel(nn.Module):
    """Embedding, recurrent cell, and the same embedding as classifier: vocabulary * H + 4 H^2 + 2 H^2 a later node.

    Args:
        cell: the recurrent architecture.
        hidden: units H of the embedding and of every node; 748 in R1, 800 in R2.
        vocabulary: number of tokens; 10,000 in Penn Treebank.
        init_range: weights start uniform within plus and minus it; 0.04 in R1, 0.05 in R2.

    Raises:
        BadInput: a cell that cannot be built, or a number that is not positive.
    """

    def __init__(self, cell: RecurrentCell, hidden: int, *, vocabulary: int = 10_000, init_range: float = 0.04) -> None:
        super().__init__()
        if hidden < 1 or vocabulary < 1 or not 0 < init_range < math.inf:
            given = f"hidden {hidden}, vocabulary {vocabulary} and init_range {init_range}"
            raise BadInput(f"language model: {given} must be above 0, such as 748, 10000 and 0.04")
        self.embedding = nn.Embedding(vocabulary, hidden)
        self.recurrent = Recurrent(cell, hidden)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -init_range, init_range)

    def start(self, batch: int) -> Tensor:
        """The state before the first token: zeros (N, H)."""
        return self.embedding.weight.new_zeros(batch, self.embedding.embedding_dim)

    def forward(self, tokens: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits (T, N, vocabulary) of the token after each of tokens (T, N), and the state (N, H) after the last.

        Args:
            tokens: integers below the vocabulary, time first.
            state: what the call before returned, detached in training; None before the first token.
        """
        state = self.start(tokens.shape[1]) if state is None else state
        hidden, state = self.recurrent(self.embedding(tokens), state)
        return nn.functional.linear(hidden, self.embedding.weight), state
