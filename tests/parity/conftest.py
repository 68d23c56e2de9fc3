"""Same weights, same logits: carries the weights of an independent implementation into one of our networks."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn


def _in_order(net: nn.Module, x: Tensor) -> list[tuple[str, nn.Module]]:
    """Convolutions, batch norms and fully-connected layers in the order of their first call."""
    names = {module: name for name, module in net.named_modules()}
    called: dict[nn.Module, str] = {}
    hooks = [
        module.register_forward_pre_hook(lambda module, _: called.setdefault(module, names[module]) and None)
        for module in net.modules()
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.Linear)
    ]
    with torch.no_grad():
        net.eval()(x)
    for hook in hooks:
        hook.remove()
    return [(name, module) for module, name in called.items()]


@pytest.fixture(scope="session")
def same_logits() -> Callable[..., None]:
    """A check: give `theirs` random weights and statistics, copy them in order of execution, compare logits.

    `order` may reorder our list of (name, module) where branches run in another order. Logits of two random images
    agree within 1e-4 of the largest.
    """

    def check(
        ours: nn.Module,
        theirs: nn.Module,
        shape: tuple[int, int, int],
        order: Callable[[list[tuple[str, nn.Module]]], list[tuple[str, nn.Module]]] | None = None,
    ) -> None:
        torch.manual_seed(0)
        x = torch.randn(2, *shape)
        for module in theirs.modules():
            if isinstance(module, nn.BatchNorm2d):
                if module.affine:
                    nn.init.uniform_(module.weight, 0.5, 1.5)
                    nn.init.normal_(module.bias, std=0.1)
                nn.init.normal_(module.running_mean, std=0.1)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
        mine, other = _in_order(ours, x), _in_order(theirs, x)
        mine = order(mine) if order else mine
        assert len(mine) == len(other), (len(mine), len(other))
        for (name, target), (their_name, source) in zip(mine, other, strict=True):
            state, wanted = source.state_dict(), target.state_dict()
            assert type(target) is type(source), (name, their_name)
            assert {key: value.numel() for key, value in state.items()} == {
                key: value.numel() for key, value in wanted.items()
            }, (name, target, their_name, source)
            target.load_state_dict({key: value.reshape(wanted[key].shape) for key, value in state.items()})
        with torch.no_grad():
            left, right = ours.eval()(x), theirs.eval()(x)
        scale = right.abs().max()
        assert scale > 1e-6
        assert (right[0] - right[1]).abs().max() > 1e-3 * scale, "the two images give the same logits: a dead network"
        assert (left - right).abs().max() <= 1e-4 * scale

    return check
