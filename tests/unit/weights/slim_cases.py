"""The networks of TF-Slim's releases: their variables, and what is to take them."""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

from slim_graph import Shape
from slim_inception import inception_resnet_v2, inception_v1, inception_v2, inception_v3, inception_v4
from slim_variables import mobilenet_v1, mobilenet_v2, nasnet, resnet, vgg


class Case(NamedTuple):
    """A network of slim: its variables, the entry and the preset that are to take it, its row in the facts or none."""

    variables: Callable[[], dict[str, Shape]]
    entry: str
    preset: str
    row: str = ""


CASES = {
    "inception_v1": Case(inception_v1, "inception_v1", "inception_v1", "Inception V1"),
    "inception_v2": Case(inception_v2, "inception_v2", "inception_v2", "Inception V2"),
    "inception_v3": Case(inception_v3, "inception_v3", "inception_v3", "Inception V3"),
    "inception_v4": Case(inception_v4, "inception_v4", "inception_v4", "Inception V4"),
    "inception_resnet_v2": Case(
        inception_resnet_v2, "inception_resnet_v2", "inception_resnet_v2", "Inception-ResNet-v2"
    ),
    **{
        f"resnet_v{version}_{depth}": Case(
            partial(resnet, version, depth),
            f"resnet_v{version}",
            f"resnet_v{version}_{depth}_slim",
            f"ResNet V{version} {depth}" + ("^" if version == 2 and depth < 200 else ""),
        )
        for version, depths in ((1, (50, 101, 152)), (2, (50, 101, 152, 200)))
        for depth in depths
    },
    **{f"vgg_{depth}": Case(partial(vgg, depth), "vgg", f"vgg{depth}", f"VGG {depth}") for depth in (16, 19)},
    **{
        f"mobilenet_v1_{width}": Case(
            partial(mobilenet_v1, width),
            "mobilenet_v1",
            f"mobilenet_v1_{width}_relu6",
            f"MobileNet_v1_{release}" if release else "",
        )
        for width, release in ((1.0, "1.0_224"), (0.75, ""), (0.5, "0.50_160"), (0.25, "0.25_128"))
    },
    **{
        f"mobilenet_v2_{width}": Case(partial(mobilenet_v2, width), "mobilenet_v2", f"mobilenet_v2_{width}")
        for width in (1.4, 1.0, 0.75, 0.5, 0.35)
    },
    "nasnet_a_mobile": Case(
        partial(nasnet, 12, 44, 32, 224, skip=False), "nasnet_a_mobile", "nasnet_a_4_1056", "NASNet-A_Mobile_224#"
    ),
    "nasnet_a_large": Case(
        partial(nasnet, 18, 168, 96, 331, skip=True), "nasnet_a_large", "nasnet_a_6_4032", "NASNet-A_Large_331#"
    ),
}


@cache
def variables_of(name: str) -> dict[str, Shape]:
    """The variables of a case."""
    return CASES[name].variables()
