import json
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from sprat.cost import count
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.zoo import Ported, build, config_from_dict, config_to_dict, family_of, get_preset
from sprat.zoo.end_padded import SameAvgPool2d, SameConv2d, SameMaxPool2d, end_padded


def same_by_hand(x: np.ndarray, kernel: int, stride: int, reduce) -> np.ndarray:
    """Windows as TensorFlow's documentation places them, one output pixel at a time; `reduce` sees what lies inside."""
    height, width = x.shape[-2:]
    rows, columns = -(-height // stride), -(-width // stride)
    top = max(0, (rows - 1) * stride + kernel - height) // 2
    left = max(0, (columns - 1) * stride + kernel - width) // 2
    out = np.zeros((*x.shape[:-2], rows, columns), np.float64)
    for row, column in product(range(rows), range(columns)):
        first, begin = row * stride - top, column * stride - left
        window = x[..., max(0, first) : first + kernel, max(0, begin) : begin + kernel]
        out[..., row, column] = reduce(window, max(0, -first), max(0, -begin))
    return out


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (5, 2), (7, 2), (2, 2), (3, 3), (5, 4)])
@pytest.mark.parametrize("side", [(8, 8), (7, 9), (10, 5), (16, 3)])
def test_windows_lie_where_tensorflow_puts_them(kernel: int, stride: int, side: tuple[int, int]):
    torch.manual_seed(0)
    x = torch.randn(2, 3, *side)
    array = x.double().numpy()
    largest = same_by_hand(array, kernel, stride, lambda w, *_: w.max((-2, -1)))
    np.testing.assert_allclose(SameMaxPool2d(kernel, stride)(x).numpy(), largest, atol=1e-6)
    mean = same_by_hand(array, kernel, stride, lambda w, *_: w.mean((-2, -1)))
    np.testing.assert_allclose(SameAvgPool2d(kernel, stride)(x).numpy(), mean, atol=1e-6)

    conv = nn.Conv2d(3, 3, kernel, stride, kernel // 2, groups=3, bias=False)
    weight = conv.weight.detach().double().numpy()[:, 0]  # (3, k, k)

    def dot(window: np.ndarray, top: int, left: int) -> np.ndarray:
        part = weight[:, top : top + window.shape[-2], left : left + window.shape[-1]]
        return (window * part).sum((-2, -1))

    with torch.no_grad():
        ours = SameConv2d.like(conv)(x).numpy()
    np.testing.assert_allclose(ours, same_by_hand(array, kernel, stride, dot), atol=1e-5)


@pytest.mark.parametrize("side", [7, 9, 31])
def test_an_odd_side_is_padded_as_ours_are(side: int):
    x = torch.randn(1, 4, side, side)
    conv = nn.Conv2d(4, 5, 3, 2, 1)
    with torch.no_grad():
        assert torch.equal(SameConv2d.like(conv)(x), conv(x))
    assert torch.equal(SameMaxPool2d(3, 2)(x), functional.max_pool2d(x, 3, 2, 1))


@pytest.mark.parametrize("name", ["mobilenet_v1_0.25", "inception_v1", "xception_0.25", "nasnet_a_4_1056"])
def test_weights_counts_and_shapes_are_those_of_the_network_inside(name: str):
    preset, image = get_preset(name), ImageSpec(3, 96, 96)
    padded = Ported(network=preset, padding="same")
    with torch.device("meta"):
        plain, other = build(preset, image, 7), build(padded, image, 7)
    shapes = [{k: tuple(v.shape) for k, v in net.state_dict().items()} for net in (plain, other)]
    assert shapes[0] == shapes[1]
    assert any(isinstance(module, SameConv2d | SameMaxPool2d) for module in other.modules())
    assert not any(
        isinstance(module, nn.Conv2d)
        and not isinstance(module, SameConv2d)
        and module.stride[0] > 1
        and module.padding[0]
        for module in other.modules()
    )
    counts = [count(net, image) for net in (plain, other)]
    assert counts[0].macs == counts[1].macs
    assert counts[0].params == counts[1].params
    assert [layer.out_shape for layer in counts[0].layers] == [layer.out_shape for layer in counts[1].layers]


def test_the_answers_differ_on_even_sides():
    image = ImageSpec(3, 64, 64)
    nets = []
    for config in (get_preset("mobilenet_v1_0.25"), Ported(network=get_preset("mobilenet_v1_0.25"), padding="same")):
        torch.manual_seed(0)
        nets.append(build(config, image, 10).eval())
    nets[1].load_state_dict(nets[0].state_dict())
    with torch.no_grad():
        x = torch.randn(2, 3, 64, 64)
        left, right = nets[0](x), nets[1](x)
    spread = (left - left.mean()).abs().max()
    assert (left - right).abs().max() > 1e-3 * spread


def test_the_config_survives_json_and_names_its_family():
    config = Ported(network=get_preset("mobilenet_v1_0.5"), padding="same", built_for=128)
    values = json.loads(json.dumps(config_to_dict(config)))
    assert values["family"] == "mobilenet_v1"
    assert config_from_dict(values) == config
    assert family_of(config).name == "mobilenet_v1"


@pytest.mark.parametrize("padding", ["valid", 1, None])
def test_another_padding_is_refused(padding: object):
    with pytest.raises(BadInput, match="padding"):
        Ported(network=get_preset("mobilenet_v1_0.5"), padding=padding)  # type: ignore[arg-type]


@pytest.mark.parametrize("ported", [{"padding": "same"}, {"padding": "same", "built_for": -1}, 3, None])
def test_other_details_are_refused(ported: object):
    with pytest.raises(BadInput, match=r"ported|built_for"):
        config_from_dict({**config_to_dict(get_preset("mobilenet_v1_0.5")), "ported": ported})


def test_a_network_keeps_the_strides_of_the_image_it_was_built_for():
    preset, small = get_preset("mobilenet_v1_0.25"), ImageSpec(3, 96, 96)
    with torch.device("meta"):
        fitted, kept = build(preset, small, 2), build(Ported(network=preset, built_for=224), small, 2)
        x = torch.zeros(1, 3, 96, 96)
        assert fitted.features(x)[-1].shape[2:] == (6, 6)
        assert kept.features(x)[-1].shape[2:] == (3, 3)


def test_pools_alone_can_be_padded():
    with torch.device("meta"):
        net = end_padded(build(get_preset("resnet18"), ImageSpec(3, 64, 64), 10), "same_pools")
    assert any(isinstance(module, SameMaxPool2d) for module in net.modules())
    assert not any(isinstance(module, SameConv2d) for module in net.modules())
