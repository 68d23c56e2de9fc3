"""Inception v1 against the network written out with plain functions, as no independent implementation is at hand."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sprat.image import ImageSpec
from sprat.zoo import build
from sprat.zoo.inception_v1 import InceptionV1

MODULES = ["3b", "3c", "pool", "4b", "4c", "4d", "4e", "4f", "pool", "5b", "5c"]


def plain(net: nn.Module, x: Tensor, *, paper: bool) -> list[Tensor]:
    """Logits, and those of the side classifiers, from the state dict alone."""
    state = net.state_dict()

    def conv(x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = state[f"{name}.0.weight"]
        x = functional.conv2d(x, weight, state.get(f"{name}.0.bias"), stride, weight.shape[-1] // 2)
        if not paper:
            mean, var = state[f"{name}.1.running_mean"], state[f"{name}.1.running_var"]
            scale = state[f"{name}.1.weight"] / (var + 0.001).sqrt()
            x = (x - mean[:, None, None]) * scale[:, None, None] + state[f"{name}.1.bias"][:, None, None]
        return x.clamp_min(0)

    def pool(x: Tensor, kernel: int) -> Tensor:
        # A window that starts at every second pixel; those over the lower and right border see less.
        extra = kernel - 2
        return functional.max_pool2d(functional.pad(x, (0, extra, 0, extra), value=-torch.inf), kernel, 2)

    def norm(x: Tensor) -> Tensor:
        if not paper:
            return x
        squares = functional.pad(x * x, (0, 0, 0, 0, 2, 2))
        near = sum(squares[:, shift : shift + x.shape[1]] for shift in range(5))
        return x / (1 + 1e-4 / 5 * near) ** 0.75

    x = norm(pool(conv(x, "stem", 2), 3))
    x = norm(conv(conv(x, "stages.0.2b"), "stages.0.2c"))
    x = pool(x, 3)
    stage, side = 1, []
    for name in MODULES:
        if name == "pool":
            stage += 1
            x = pool(x, 3 if stage < 3 or paper else 2)
            continue
        at = f"stages.{stage}.{name}.branches"
        x = torch.cat(
            [
                conv(x, f"{at}.0"),
                conv(conv(x, f"{at}.1.0"), f"{at}.1.1"),
                conv(conv(x, f"{at}.2.0"), f"{at}.2.1"),
                conv(functional.max_pool2d(x, 3, 1, 1), f"{at}.3.1"),
            ],
            dim=1,
        )
        if name in ("4b", "4e") and paper:
            at = f"auxiliary.{name}"
            y = conv(functional.avg_pool2d(x, 5, 3), f"{at}.1").flatten(1)
            y = (y @ state[f"{at}.4.weight"].T + state[f"{at}.4.bias"]).clamp_min(0)
            side.append(y @ state[f"{at}.7.weight"].T + state[f"{at}.7.bias"])
    return [x.mean((2, 3)) @ state["head.3.weight"].T + state["head.3.bias"], *side]


def _random(net: nn.Module) -> None:
    torch.manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, std=(2 / module.weight[0].numel()) ** 0.5)
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.1)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)


@pytest.mark.parametrize(
    ("config", "forward"),
    [
        (InceptionV1(), lambda net, x: (net(x),)),
        (InceptionV1(variant="paper", auxiliary=True), lambda net, x: net.with_auxiliary(x)),
    ],
)
def test_inception_v1(config: InceptionV1, forward: Callable[[nn.Module, Tensor], tuple[Tensor, ...]]) -> None:
    image = ImageSpec(3, 224, 224)
    net = build(config, image, 20).eval()
    _random(net)
    x = 100 * torch.randn(2, *image.shape)  # large enough for the response normalisation to matter
    with torch.no_grad():
        seen, wanted = forward(net, x), plain(net, x, paper=config.variant == "paper")
    assert len(seen) == len(wanted)
    for left, right in zip(seen, wanted, strict=True):
        scale = right.abs().max()
        assert (right[0] - right[1]).abs().max() > 1e-3 * scale
        assert (left - right).abs().max() <= 1e-4 * scale
