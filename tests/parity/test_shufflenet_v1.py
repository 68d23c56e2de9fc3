"""ShuffleNet v1 against pytorchcv's."""

from collections.abc import Callable

import pytest
import torch
from pytorchcv.models.shufflenet import ShuffleUnit, shufflenet_g1_w1, shufflenet_g3_w1, shufflenet_g8_w1
from torch import Tensor, nn

from sprat.zoo import create


def pool_first(unit: nn.Module, args: tuple[Tensor], output: Tensor) -> Tensor:
    """Theirs concatenates (branch, pool); the figure, the authors' code and ours (pool, branch)."""
    return torch.roll(output, args[0].shape[1], dims=1)


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("shufflenet_v1_1.0_g1", shufflenet_g1_w1),
        ("shufflenet_v1_1.0_g3", shufflenet_g3_w1),
        ("shufflenet_v1_1.0_g8", shufflenet_g8_w1),
    ],
)
def test_shufflenet_v1(same_logits: Callable[..., None], name: str, network: Callable[[], nn.Module]) -> None:
    theirs = network()
    for module in theirs.modules():
        if isinstance(module, ShuffleUnit) and module.downsample:
            module.register_forward_hook(pool_first)
    same_logits(create(name), theirs, (3, 224, 224))
