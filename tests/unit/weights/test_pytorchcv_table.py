"""pytorchcv's networks, which are real and independent of the zoo, through their files into ours."""

import importlib
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from pytorchcv.models import alexnet, vgg
from safetensors.torch import save_file
from torch import Tensor, nn

from sprat.errors import BadInput
from sprat.export.load import network_of
from sprat.image import ImageSpec
from sprat.weights.convert import Converted, config_of, convert, parameters_of, side_of, skeleton
from sprat.weights.foreign import Foreign
from sprat.weights.importing import import_weights
from sprat.weights.layout import arranged
from sprat.weights.rules import pair
from sprat.weights.table import Network, networks_of
from sprat.zoo import build, get_preset


class Case(NamedTuple):
    """A network of pytorchcv: its module and function, the entry of the table, and the preset that it is."""

    module: str
    function: str
    entry: str
    preset: str


CASES = [
    Case("alexnet", "alexnet", "alexnet", "alexnet_g1"),
    *(Case("vgg", f"vgg{depth}", "vgg", f"vgg{depth}") for depth in (11, 13, 16, 19)),
    Case("vgg", "bn_vgg11", "bn_vgg", "vgg11"),
    Case("vgg", "bn_vgg13b", "bn_vgg", "vgg13"),
    Case("vgg", "bn_vgg16b", "bn_vgg", "vgg16_bn_1.0"),
    Case("vgg", "bn_vgg19", "bn_vgg", "vgg19"),
    *(Case("densenet", f"densenet{depth}", "densenet", f"densenet{depth}") for depth in (121, 161, 169, 201)),
    *(
        Case("densenet_cifar", f"densenet{depth}_k{k}_bc_cifar10", "densenet_bc_cifar", f"densenet_bc_{depth}_{k}")
        for depth, k in ((100, 12), (190, 40), (250, 24))
    ),
    *(
        Case("densenet_cifar", f"densenet40_k{k}_bc_cifar100", f"densenet40_k{k}_bc_cifar", "densenet_bc_100_12")
        for k in (12, 24, 36)
    ),
    *(
        Case("squeezenet", f"squeeze{kind}net_v1_{number}", f"squeeze{kind}net", f"squeezenet_1.{number}")
        for kind in ("", "res")
        for number in (0, 1)
    ),
    *(
        Case("mobilenet", f"mobilenet_{theirs}", "mobilenet", f"mobilenet_v1_{ours}")
        for theirs, ours in (("w1", 1.0), ("w3d4", 0.75), ("wd2", 0.5), ("wd4", 0.25))
    ),
    Case("mobilenetv2", "mobilenetv2b_w1", "mobilenetv2b", "mobilenet_v2_1.0"),
    *(Case("resnet", f"resnet{depth}", "resnet_basic", f"resnet{depth}") for depth in (18, 34)),
    *(Case("resnet", f"resnet{depth}", "resnet", f"resnet{depth}") for depth in (50, 101, 152, 200)),
    *(Case("resnet", f"resnet{depth}b", "resnet_b", f"resnet{depth}") for depth in (50, 101, 152, 200)),
    *(
        Case("resnext", f"resnext{kind}", "resnext", f"resnext{kind}")
        for kind in ("50_32x4d", "101_32x4d", "101_64x4d")
    ),
    *(
        Case("resnext_cifar", f"resnext29_{kind}_cifar10", "resnext_cifar", f"resnext29_{kind}")
        for kind in ("32x4d", "16x64d")
    ),
    *(
        Case("resnext_cifar", f"resnext{kind}_cifar10", f"resnext{kind}_cifar", "resnext29_32x4d")
        for kind in ("20_16x4d", "20_32x2d", "20_32x4d", "272_1x64d", "272_2x32d")
    ),
    *(
        Case("preresnet_cifar", f"preresnet{name}_cifar10", "preresnet_cifar", f"resnet_cifar_v2_{depth}")
        for name, depth in (("164bn", 164), ("1001", 1001))
    ),
    *(
        Case("preresnet_cifar", f"preresnet{depth}bn_svhn", f"preresnet{depth}_cifar", "resnet_cifar_v2_164")
        for depth in (272, 542)
    ),
    Case("xception", "xception", "xception", "xception"),
    Case("inceptionv3", "inceptionv3", "inceptionv3", "inception_v3"),
    Case("inceptionv4", "inceptionv4", "inceptionv4", "inception_v4"),
    Case("inceptionresnetv2", "inceptionresnetv2", "inceptionresnetv2", "inception_resnet_v2"),
    Case("nasnet", "nasnet_4a1056", "nasnet_4a1056", "nasnet_a_4_1056"),
    Case("nasnet", "nasnet_6a4032", "nasnet_6a4032", "nasnet_a_6_4032"),
]
BY_FUNCTION = {case.function: case for case in CASES}
ENTRIES = {network.name: network for network in networks_of("torch") if network.source == "pytorchcv"}


def made(case: Case) -> nn.Module:
    network: nn.Module = getattr(importlib.import_module(f"pytorchcv.models.{case.module}"), case.function)()
    return network


def test_every_entry_is_tested() -> None:
    assert {case.entry for case in CASES} == set(ENTRIES)


@pytest.mark.parametrize("function", BY_FUNCTION)
def test_every_tensor_pairs_with_one_of_its_shape(function: str) -> None:
    case = BY_FUNCTION[function]
    network, side = ENTRIES[case.entry], side_of(ENTRIES[case.entry].side, case.preset)
    assert case.preset in network.models or any("*" in pattern for pattern in network.models)
    with torch.device("meta"):
        theirs = made(case)
    image = ImageSpec(3, side, side)
    classes = int(theirs.num_classes)  # type: ignore[arg-type]
    ours = skeleton(config_of(network, case.preset, get_preset(case.preset), image), image, classes)
    shapes = {name: tuple(value.shape) for name, value in theirs.state_dict().items()}
    wanted = {name: tuple(value.shape) for name, value in ours.state_dict().items()}
    pairing = pair(network, list(shapes), parameters_of(ours))
    assert pairing.complete, pairing.faults()
    for name, source in pairing.sources.items():
        for foreign in source.names:
            empty = np.broadcast_to(np.float32(0), shapes[foreign])
            assert arranged(empty, source.transform, foreign).shape == wanted[name], (foreign, name)


def prepared(theirs: nn.Module, *, centred: bool = False) -> nn.Module:
    """Theirs with random statistics, and, as it is made for one size of image, a last pool over the whole map.

    `centred` filters have a sum of zero: in networks as deep as the Inceptions others forget the image.
    """
    torch.manual_seed(0)
    for name, module in list(theirs.named_modules()):
        if name.endswith((".final_pool", ".final_block.pool")) and isinstance(module, nn.AvgPool2d):
            parent, _, last = name.rpartition(".")
            setattr(theirs.get_submodule(parent), last, nn.AdaptiveAvgPool2d(1))
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
        elif isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.normal_(module.bias, std=0.1)
        if isinstance(module, nn.Conv2d) and centred:
            nn.init.kaiming_normal_(module.weight)
            with torch.no_grad():
                module.weight -= module.weight.mean((1, 2, 3), keepdim=True)
    return theirs.eval()


def images(side: int) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))


def assert_same(ours: Tensor, theirs: Tensor) -> None:
    scale = theirs.abs().max()
    assert (theirs[0] - theirs[1]).abs().max() > 1e-3 * scale, "the two images give the same logits: a dead network"
    assert (ours - theirs).abs().max() <= 1e-4 * scale


def logits(network: nn.Module, x: Tensor) -> Tensor:
    with torch.inference_mode():
        found: Tensor = network(x)
    return found


def save(network: nn.Module, path: Path) -> Path:
    if path.suffix == ".pth":
        torch.save(network.state_dict(), path)
    else:
        save_file({name: value.contiguous() for name, value in network.state_dict().items()}, path)
    return path


# Functions and the side of the images.
LOGITS = [
    ("densenet121", 64),
    ("densenet100_k12_bc_cifar10", 32),
    ("densenet40_k24_bc_cifar100", 32),
    ("squeezenet_v1_0", 64),
    ("mobilenet_wd4", 64),
    ("mobilenetv2b_w1", 64),
    ("resnet18", 64),
    ("resnet50", 64),
    ("resnext50_32x4d", 64),
    ("resnext20_32x2d_cifar10", 32),
    ("preresnet164bn_cifar10", 32),
    ("preresnet272bn_svhn", 32),
    ("xception", 64),
    ("nasnet_4a1056", 64),
    pytest.param("vgg11", 224, marks=pytest.mark.slow),
    pytest.param("alexnet", 224, marks=pytest.mark.slow),
    pytest.param("inceptionv4", 107, marks=pytest.mark.slow),
    pytest.param("inceptionresnetv2", 107, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("function", "side"), LOGITS)
def test_a_file_gives_the_logits(tmp_path: Path, function: str, side: int) -> None:
    case = BY_FUNCTION[function]
    theirs = prepared(made(case), centred=function.startswith("inception"))
    path = save(theirs, tmp_path / "file.safetensors")
    imported = import_weights(path, model=f"pytorchcv/{case.entry}", image=ImageSpec(3, side, side))
    assert imported.model == case.preset
    x = images(side)
    assert_same(logits(network_of(imported.manifest, imported.state), x), logits(theirs, x))


@pytest.mark.parametrize(
    ("function", "name"), [("squeezenet_v1_1", "a.pth"), ("resnext20_32x2d_cifar10", "a.safetensors")]
)
def test_a_file_is_recognised_among_all_networks(tmp_path: Path, function: str, name: str) -> None:
    case = BY_FUNCTION[function]
    theirs = made(case)
    imported = import_weights(save(theirs, tmp_path / name))
    assert imported.manifest.origin is not None
    assert imported.manifest.origin["network"] == f"pytorchcv/{case.entry}"
    assert (imported.model, imported.manifest.licence) == (case.preset, "MIT")
    assert len(imported.manifest.classes) == theirs.num_classes
    assert (imported.manifest.classes[0] == "0") is ("cifar" in function), "CIFAR-10 and SVHN are told apart"


@pytest.mark.parametrize(("function", "first"), [("resnet50b", "resnet50"), ("squeezeresnet_v1_1", "squeezenet_v1_1")])
def test_the_second_of_a_pair_is_asked_for_by_name(tmp_path: Path, function: str, first: str) -> None:
    case = BY_FUNCTION[function]
    theirs, x, image = prepared(made(case)), images(64), ImageSpec(3, 64, 64)
    path, entry = save(theirs, tmp_path / "file.safetensors"), f"pytorchcv/{case.entry}"
    wanted = logits(theirs, x)
    assert_same(logits(import_weights(path, model=entry, image=image).build(), x), wanted)
    taken = import_weights(path, model=case.preset, image=image)
    assert taken.network.name == BY_FUNCTION[first].entry
    assert taken.others == (f"{entry} as {case.preset}",)
    assert (logits(taken.build(), x) - wanted).abs().max() > 1e-2 * wanted.abs().max()


def test_inceptionv3_pools_without_the_padding(tmp_path: Path) -> None:
    """Theirs counts the padding of its average pools, which ours does not: without it the logits are the same."""
    theirs, x = prepared(made(BY_FUNCTION["inceptionv3"]), centred=True), images(107)
    path = save(theirs, tmp_path / "file.safetensors")
    ours = logits(import_weights(path, model="inception_v3", image=ImageSpec(3, 107, 107)).build(), x)
    counted = logits(theirs, x)
    for module in theirs.modules():
        if isinstance(module, nn.AvgPool2d):
            module.count_include_pad = False
    wanted = logits(theirs, x)
    assert_same(ours, wanted)
    assert (counted - wanted).abs().max() > 1e-3 * wanted.abs().max()


def converted(entry: Network, preset: str, theirs: nn.Module, side: int) -> Converted:
    """Theirs, an eighth as wide as published, as an eighth as wide a network of ours."""
    foreign = Foreign("torch", {name: value.numpy() for name, value in theirs.state_dict().items()})
    image = ImageSpec(3, side, side)
    found = convert(foreign, entry, preset, replace(get_preset(preset), width=0.125), image)
    assert isinstance(found, Converted), found
    return found


def our_logits(found: Converted, x: Tensor) -> Tensor:
    net = build(found.config, found.image, found.num_classes).eval()
    net.load_state_dict({name: torch.from_numpy(value) for name, value in found.state.items()}, strict=False)
    return logits(net, x)


@pytest.mark.parametrize(("preset", "entry", "norm", "bias"), [
    ("vgg13", "vgg", False, True), ("vgg13", "bn_vgg", True, False), ("vgg16_bn_1.0", "bn_vgg", True, True),
])  # fmt: skip
def test_narrow_vgg(preset: str, entry: str, norm: bool, bias: bool) -> None:
    counts = (2, 2, 3, 3, 3) if "16" in preset else (2, 2, 2, 2, 2)
    widths = [[width] * count for width, count in zip((8, 16, 32, 64, 64), counts, strict=True)]
    theirs = vgg.VGG(widths, bias=bias, use_bn=norm, num_classes=10)
    # Theirs has 4096 hidden units whatever the channels, and a last map of 7x7; that of 128 pixels is 4x4.
    theirs.output.fc1.fc, theirs.output.fc2.fc = nn.Linear(64 * 4 * 4, 512), nn.Linear(512, 512)
    theirs.output.fc3 = nn.Linear(512, 10)
    x = images(128)
    found = converted(ENTRIES[entry], preset, prepared(theirs), 128)
    assert_same(our_logits(found, x), logits(theirs, x))


def test_narrow_alexnet() -> None:
    theirs = alexnet.AlexNet(
        channels=[[12], [32], [48, 48, 32]], kernel_sizes=[[11], [5], [3, 3, 3]], strides=[[4], [1], [1, 1, 1]],
        paddings=[[0], [2], [1, 1, 1]], use_lrn=True, num_classes=10,
    )  # fmt: skip
    theirs.output.fc1.fc, theirs.output.fc2.fc = nn.Linear(32 * 6 * 6, 512), nn.Linear(512, 512)
    theirs.output.fc3 = nn.Linear(512, 10)
    x = images(224)
    found = converted(ENTRIES["alexnet"], "alexnet_g1", prepared(theirs), 224)
    assert_same(our_logits(found, x), logits(theirs, x))


@pytest.mark.parametrize(("module", "function", "model"), [
    ("mobilenetv2", "mobilenetv2_w1", "mobilenet_v2_*"), ("mobilenetv2", "mobilenetv2b_wd2", "mobilenet_v2_*"),
    ("mobilenetb", "mobilenetb_wd4", "mobilenet_v1_*"), ("preresnet", "preresnet18", "resnet*"),
    ("resnet_cifar", "resnet20_cifar10", "resnet_cifar_*"), ("shufflenet", "shufflenet_g1_wd4", "mobilenet_v1_*"),
    ("densenet_cifar", "densenet40_k12_cifar10", "densenet*"),
])  # fmt: skip
def test_a_network_that_none_of_ours_is_is_refused(tmp_path: Path, module: str, function: str, model: str) -> None:
    path = save(made(Case(module, function, "", "")), tmp_path / "file.safetensors")
    with pytest.raises(BadInput, match="the nearest is"):
        import_weights(path, model=model)
