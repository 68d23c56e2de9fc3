"""The recurrent cells of ENAS, their counts, and what a step computes (shared/facts/enas.md)."""

import json
from math import exp, tanh

import pytest
import torch
from torch import Tensor, nn

from sprat.errors import BadInput
from sprat.language import ENAS_LM, EXAMPLE, FIGURE_6, LanguageModel, Recurrent, RecurrentCell, RecurrentNode, outputs

IDENTITY = RecurrentCell((RecurrentNode(-1, "sigmoid"), RecurrentNode(0, "identity"), RecurrentNode(0, "relu")))


def params(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize(("cell", "hidden", "wanted"), [(FIGURE_6, 748, 22_027_104), (ENAS_LM, 800, 20_800_000)])
def test_counts(cell: RecurrentCell, hidden: int, wanted: int) -> None:
    with torch.device("meta"):
        net = LanguageModel(cell, hidden)
    later = len(cell.nodes) - 1
    assert params(net) == wanted == 10_000 * hidden + (4 + 2 * later) * hidden**2


def test_the_printed_24_million_need_788_units() -> None:
    with torch.device("meta"):
        assert round(params(LanguageModel(FIGURE_6, 788)) / 1e6, 1) == 24.0
        assert round(params(LanguageModel(FIGURE_6, 748)) / 1e6, 1) == 22.0


def test_published_cells() -> None:
    assert outputs(EXAMPLE) == (2, 3)
    assert outputs(FIGURE_6) == (3, 4, 7, 9, 10, 11)
    assert {node.op for node in FIGURE_6.nodes} == {"tanh", "relu"}
    assert outputs(ENAS_LM) == tuple(range(1, 9))
    assert [node.previous for node in FIGURE_6.nodes] == [-1, 0, 1, 2, 2, 2, 5, 1, 6, 8, 8, 8]
    assert [node.previous for node in ENAS_LM.nodes] == [-1, 0, 1, 2, 2, 4, 5, 3, 6]
    assert " ".join(node.op for node in FIGURE_6.nodes) == (
        "tanh tanh relu relu tanh tanh relu tanh relu relu relu relu"
    )
    assert " ".join(node.op for node in ENAS_LM.nodes) == ("tanh sigmoid tanh relu sigmoid tanh tanh sigmoid sigmoid")


def sigmoid(z: float) -> float:
    return 1 / (1 + exp(-z))


def test_a_step_by_hand() -> None:
    """One unit, the example of section 2.1: h1 = tanh(..), h2 = relu(h1), h3 = relu(h2), h4 = tanh(h1)."""
    net = Recurrent(EXAMPLE, 1)
    gates, values = (0.5, -1.0, 2.0, 0.25), (1.5, 0.75, -0.5, -2.0)
    with torch.no_grad():
        net.input.weight.copy_(torch.tensor([[0.3], [0.7]]))
        for weight, gate, value in zip(net.weights, gates, values, strict=True):
            weight.weight.copy_(torch.tensor([[gate], [value]]))
        out, last = net(torch.tensor([[[0.8]]]), torch.tensor([[-0.6]]))
    c1 = sigmoid(0.8 * 0.3 - 0.6 * 0.5)
    h1 = c1 * tanh(0.8 * 0.7 - 0.6 * 1.5) + (1 - c1) * -0.6
    c2 = sigmoid(-1.0 * h1)
    h2 = c2 * max(0.75 * h1, 0) + (1 - c2) * h1
    c3 = sigmoid(2.0 * h2)
    h3 = c3 * max(-0.5 * h2, 0) + (1 - c3) * h2
    c4 = sigmoid(0.25 * h1)
    h4 = c4 * tanh(-2.0 * h1) + (1 - c4) * h1
    assert h1 < 0  # so that both sides of each ReLU are seen
    assert out.item() == pytest.approx((h3 + h4) / 2, rel=1e-5)
    assert last.item() == out.item()


def test_one_unit_with_weights_of_zero_halves_the_state() -> None:
    """Every gate is 1/2: tanh and relu of 0 give h / 2 after each node, sigmoid gives (1/2 + h) / 2."""
    for op, after in (("tanh", 0.5), ("relu", 0.5), ("identity", 0.5), ("sigmoid", 0.75)):
        net = Recurrent(RecurrentCell((RecurrentNode(-1, op),)), 1)
        for parameter in net.parameters():
            nn.init.zeros_(parameter)
        out, _ = net(torch.zeros(1, 1, 1), torch.ones(1, 1))
        assert out.item() == after
    chain = RecurrentCell((RecurrentNode(-1, "tanh"), RecurrentNode(0, "relu"), RecurrentNode(1, "relu")), "later")
    net = Recurrent(chain, 1)
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    out, _ = net(torch.zeros(1, 1, 1), torch.ones(1, 1))
    assert out.item() == (0.25 + 0.125) / 2


def straight(net: LanguageModel, cell: RecurrentCell, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """The same with four matrices at node 0 and two at each later one, a token at a time."""
    hidden = state.shape[1]
    functions = {"tanh": Tensor.tanh, "relu": Tensor.relu, "sigmoid": Tensor.sigmoid, "identity": Tensor.clone}
    halves = [(weight.weight[:hidden], weight.weight[hidden:]) for weight in net.recurrent.weights]
    x_gate, x_value = net.recurrent.input.weight[:hidden], net.recurrent.input.weight[hidden:]
    rows = []
    for t in range(tokens.shape[0]):
        h: dict[int, Tensor] = {-1: state}
        x = net.embedding.weight[tokens[t]]
        for number, node in enumerate(cell.nodes):
            gate, value = (h[node.previous] @ matrix.T for matrix in halves[number])
            if number == 0:
                gate, value = gate + x @ x_gate.T, value + x @ x_value.T
            c = gate.sigmoid()
            h[number] = c * functions[node.op](value) + (1 - c) * h[node.previous]
        if cell.output == "loose":
            chosen = [i for i in range(len(cell.nodes)) if all(node.previous != i for node in cell.nodes)]
        else:
            chosen = list(range(1, len(cell.nodes)))
        state = sum((h[i] for i in chosen), torch.zeros(())) / len(chosen)
        rows.append(state @ net.embedding.weight.T)
    return torch.stack(rows), state


@pytest.mark.parametrize("cell", [EXAMPLE, FIGURE_6, ENAS_LM, IDENTITY])
def test_logits_are_those_of_a_straight_line(cell: RecurrentCell) -> None:
    torch.manual_seed(0)
    net = LanguageModel(cell, 6, vocabulary=11, init_range=0.8).double()
    tokens, state = torch.randint(11, (5, 3)), torch.randn(3, 6, dtype=torch.float64)
    with torch.no_grad():
        logits, last = net(tokens, state)
        wanted, wanted_last = straight(net, cell, tokens, state)
    assert logits.shape == (5, 3, 11)
    assert last.shape == (3, 6)
    torch.testing.assert_close(logits, wanted, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(last, wanted_last, rtol=1e-9, atol=1e-9)


def test_the_state_carries_on_and_streams_do_not_mix() -> None:
    torch.manual_seed(0)
    net = LanguageModel(ENAS_LM, 8, vocabulary=20, init_range=0.5).eval()
    tokens = torch.randint(20, (9, 3))
    with torch.no_grad():
        whole, last = net(tokens)
        first, state = net(tokens[:4])
        second, end = net(tokens[4:], state)
        alone, _ = net(tokens[:, 1:2])
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(end, last)
    torch.testing.assert_close(alone, whole[:, 1:2])
    assert torch.equal(net.start(3), torch.zeros(3, 8))


@pytest.mark.parametrize("cell", [EXAMPLE, FIGURE_6, ENAS_LM, IDENTITY])
def test_gradient_reaches_every_parameter(cell: RecurrentCell) -> None:
    torch.manual_seed(0)
    net = LanguageModel(cell, 6, vocabulary=10, init_range=0.5)
    logits, _ = net(torch.randint(10, (5, 3)))
    nn.functional.cross_entropy(logits.flatten(0, 1), torch.randint(10, (15,))).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert (parameter.grad != 0).float().mean() > 0.2, name


def test_the_embedding_is_the_classifier() -> None:
    net = LanguageModel(EXAMPLE, 4, vocabulary=9)
    assert sum(9 in parameter.shape for parameter in net.parameters()) == 1


@pytest.mark.parametrize("bound", [0.04, 0.05])
def test_initial_values_are_uniform(bound: float) -> None:
    torch.manual_seed(0)
    net = LanguageModel(EXAMPLE, 64, vocabulary=500, init_range=bound)
    for parameter in net.parameters():
        assert 0.98 * bound < parameter.abs().max().item() <= bound
        assert parameter.std().item() == pytest.approx(bound / 3**0.5, rel=0.03)


def test_it_learns_a_cycle_that_needs_the_state() -> None:
    """After 0 comes 1 or 2 in turn: one token alone does not tell which."""
    torch.manual_seed(0)
    stream = torch.tensor([0, 1, 0, 2] * 6)[:, None]
    net = LanguageModel(FIGURE_6, 16, vocabulary=3, init_range=0.6)
    optimiser = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(80):
        logits, _ = net(stream[:-1])
        loss = nn.functional.cross_entropy(logits[3:].flatten(0, 1), stream[4:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.1  # log(2) / 2 without a state


@pytest.mark.parametrize("cell", [EXAMPLE, FIGURE_6, ENAS_LM, IDENTITY])
def test_cells_survive_json(cell: RecurrentCell) -> None:
    again = RecurrentCell.from_dict(json.loads(json.dumps(cell.to_dict())))
    assert again == cell
    assert hash(again) == hash(cell)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"nodes": []},
        {"nodes": "tanh", "output": "loose"},
        {"nodes": [], "output": 1},
        {"nodes": [], "output": "loose", "highway": True},
        {"nodes": [["-1", "tanh"]], "output": "loose"},
        {"nodes": [{"previous": -1}], "output": "loose"},
        {"nodes": [{"previous": True, "op": "tanh"}], "output": "loose"},
        {"nodes": [{"previous": -1, "op": None}], "output": "loose"},
    ],
)
def test_json_of_another_form_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(BadInput, match="recurrent cell"):
        RecurrentCell.from_dict(values)


@pytest.mark.parametrize(
    ("nodes", "output", "why"),
    [
        ((), "loose", "at least 1 node"),
        (((0, "tanh"),), "loose", "node 0 .* must read -1"),
        (((-1, "gelu"),), "loose", "node 0 .* op 'gelu'; .*tanh, relu, identity, sigmoid"),
        (((-1, "tanh"), (1, "relu")), "loose", "node 1 .* reads node 1; it may read 0 to 0"),
        (((-1, "tanh"), (-1, "relu")), "loose", "node 1 .* reads node -1"),
        (((-1, "tanh"), (0, "relu")), "last", "output .* 'last'; it must be loose or later"),
        (((-1, "tanh"),), "later", "no later nodes"),
    ],
)
def test_cells_that_cannot_be_built_are_refused(nodes: tuple[tuple[int, str], ...], output: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        LanguageModel(RecurrentCell(tuple(RecurrentNode(*node) for node in nodes), output), 4)


@pytest.mark.parametrize(
    "change", [{"hidden": 0}, {"vocabulary": 0}, {"init_range": 0.0}, {"init_range": float("nan")}]
)
def test_numbers_must_be_positive(change: dict[str, float]) -> None:
    with pytest.raises(BadInput, match="must be above 0"):
        LanguageModel(EXAMPLE, **{"hidden": 4, **change})  # type: ignore[arg-type]
