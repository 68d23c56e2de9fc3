import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sprat.errors import BadInput
from sprat.export import grad_cam


class Bright(nn.Module):
    """Map 0 is the image, map 1 its negative; class 0 looks at the mean of map 0, class 1 at that of map 1."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.9)
        self.head = nn.Sequential(nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
        self.head[-1].weight.data = torch.eye(2)

    def features(self, x: Tensor) -> list[Tensor]:
        return [x, self.dropout(torch.cat([x, 1 - x], dim=1))]


def test_heat_lies_where_the_class_is_seen():
    x = torch.zeros(1, 1, 8, 6)
    x[0, 0, 1:3, 2:4] = 1.0
    heat = grad_cam(Bright(), x, 0)
    np.testing.assert_array_equal(heat, x[0, 0].numpy())
    np.testing.assert_array_equal(grad_cam(Bright(), x, 1), 1 - heat)


def test_equals_the_formula_of_the_paper():
    torch.manual_seed(0)
    net = nn.Module()
    net.conv = nn.Conv2d(3, 5, 3, stride=4)
    net.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4))
    net.features = lambda x: [net.conv(x)]
    x = torch.randn(1, 3, 33, 33)
    maps = net.conv(x)[0]
    alpha = net.head[-1].weight[2] / maps[0].numel()  # the gradient of the logit at every place
    expected = torch.relu((alpha[:, None, None] * maps).sum(0)).detach()
    expected = torch.nn.functional.interpolate(expected[None, None], size=(33, 33), mode="bilinear")[0, 0]
    np.testing.assert_allclose(grad_cam(net, x, 2), (expected / expected.max()).numpy(), atol=1e-5)


def test_nothing_that_speaks_for_a_class_is_all_zero():
    net = Bright()
    net.head[-1].weight.data.zero_()
    heat = grad_cam(net, torch.ones(1, 1, 4, 4), 0)
    np.testing.assert_array_equal(heat, np.zeros((4, 4), np.float32))


def test_modes_and_gradients_of_the_network_are_left_alone():
    net = Bright().train()
    net.dropout.eval()
    with torch.no_grad():
        grad_cam(net, torch.ones(1, 1, 4, 4), 0)
    assert net.training
    assert not net.dropout.training
    assert all(parameter.grad is None for parameter in net.parameters())


def test_bad_requests_are_named():
    with pytest.raises(BadInput, match="classes 0 to 1"):
        grad_cam(Bright(), torch.ones(1, 1, 4, 4), 2)
    with pytest.raises(BadInput, match="one image"):
        grad_cam(Bright(), torch.ones(2, 1, 4, 4), 0)
