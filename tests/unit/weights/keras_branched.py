"""The layers of Keras Applications whose branches fork and join; as in keras_networks.py."""

from collections.abc import Iterator

from keras_networks import Entry, Session, Shape, conv, dense, norm, separable


class Inception:
    """Convolutions with norms that have no gamma, all numbered; `chain` reads from `inputs` channels."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.layers: list[Entry] = []

    def chain(self, inputs: int, *steps: tuple[int, int | Shape]) -> int:
        for outputs, side in steps:
            self.layers += [self.session.conv(side, inputs, outputs), self.session.norm(outputs, scale=False)]
            inputs = outputs
        return inputs


def inception_v3(session: Session) -> Iterator[Entry]:
    net = Inception(session)
    x = net.chain(3, (32, 3), (32, 3), (64, 3), (80, 1), (192, 3))
    for pool in (32, 64, 64):
        x = (
            net.chain(x, (64, 1))
            + net.chain(x, (48, 1), (64, 5))
            + net.chain(x, (64, 1), (96, 3), (96, 3))
            + net.chain(x, (pool, 1))
        )
    x += net.chain(x, (384, 3)) + net.chain(x, (64, 1), (96, 3), (96, 3))
    for c in (128, 160, 160, 192):
        x = (
            net.chain(x, (192, 1))
            + net.chain(x, (c, 1), (c, (1, 7)), (192, (7, 1)))
            + net.chain(x, (c, 1), (c, (7, 1)), (c, (1, 7)), (c, (7, 1)), (192, (1, 7)))
            + net.chain(x, (192, 1))
        )
    x += net.chain(x, (192, 1), (320, 3)) + net.chain(x, (192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3))
    for _ in range(2):
        total = net.chain(x, (320, 1))
        fork = net.chain(x, (384, 1))
        total += net.chain(fork, (384, (1, 3))) + net.chain(fork, (384, (3, 1)))
        fork = net.chain(x, (448, 1), (384, 3))
        total += net.chain(fork, (384, (1, 3))) + net.chain(fork, (384, (3, 1)))
        x = total + net.chain(x, (192, 1))
    yield from net.layers
    yield dense("predictions", x, 1000)


def inception_resnet_v2(session: Session) -> Iterator[Entry]:
    net = Inception(session)
    blocks = {
        "block35": (((32, 1),), ((32, 1), (32, 3)), ((32, 1), (48, 3), (64, 3))),
        "block17": (((192, 1),), ((128, 1), (160, (1, 7)), (192, (7, 1)))),
        "block8": (((192, 1),), ((192, 1), (224, (1, 3)), (256, (3, 1)))),
    }

    def repeated(name: str, count: int, x: int) -> None:
        for number in range(1, count + 1):
            mixed = sum(net.chain(x, *branch) for branch in blocks[name])
            net.layers.append(conv(f"{name}_{number}_conv", 1, mixed, x, bias=True))

    x = net.chain(3, (32, 3), (32, 3), (64, 3), (80, 1), (192, 3))
    x = (
        net.chain(x, (96, 1))
        + net.chain(x, (48, 1), (64, 5))
        + net.chain(x, (64, 1), (96, 3), (96, 3))
        + net.chain(x, (64, 1))
    )
    repeated("block35", 10, x)
    x += net.chain(x, (384, 3)) + net.chain(x, (256, 1), (256, 3), (384, 3))
    repeated("block17", 20, x)
    x += (
        net.chain(x, (256, 1), (384, 3)) + net.chain(x, (256, 1), (288, 3)) + net.chain(x, (256, 1), (288, 3), (320, 3))
    )
    repeated("block8", 10, x)
    yield from net.layers
    yield conv("conv_7b", 1, x, 1536)
    yield norm("conv_7b_bn", 1536, scale=False)
    yield dense("predictions", 1536, 1000)


def nasnet(repeats: int, penultimate: int, stem: int, skip_reduction: bool) -> Iterator[Entry]:
    """p and x are (channels, halvings) of the last output but one and of the last."""
    filters = penultimate // 24
    yield conv("stem_conv1", 3, 3, stem)
    yield norm("stem_bn1", stem)
    x, p = (stem, 0), None

    def block(name: str, inputs: int, f: int, side: int) -> Iterator[Entry]:
        for number, channels in ((1, inputs), (2, f)):
            yield separable(f"separable_conv_{number}_{name}", side, channels, f)
            yield norm(f"separable_conv_{number}_bn_{name}", f)

    def adjusted(f: int, name: str) -> Iterator[Entry]:
        if p is not None and p[1] != x[1]:
            yield conv(f"adjust_conv_1_{name}", 1, p[0], f // 2)
            yield conv(f"adjust_conv_2_{name}", 1, p[0], f // 2)
            yield norm(f"adjust_bn_{name}", f)
        elif p is not None and p[0] != f:
            yield conv(f"adjust_conv_projection_{name}", 1, p[0], f)
            yield norm(f"adjust_bn_{name}", f)

    cells: list[tuple[str, str, int]] = [("reduction", "stem_1", filters // 4), ("reduction", "stem_2", filters // 2)]
    for resolution in range(3):
        first = resolution * repeats + (resolution > 0)
        if resolution:
            cells.append(("reduction", f"reduce_{resolution * repeats}", filters * 2**resolution))
        cells += [("normal", str(first + index), filters * 2**resolution) for index in range(repeats)]
    for kind, name, f in cells:
        yield from adjusted(f, name)
        raw = x[0] if p is None else f
        yield conv(f"{kind}_conv_1_{name}", 1, x[0], f)
        yield norm(f"{kind}_bn_1_{name}", f)
        if kind == "normal":
            parts = (("left1", f, 5), ("right1", raw, 3), ("left2", raw, 5), ("right2", raw, 3), ("left5", f, 3))
        else:
            parts = (("left1", f, 5), ("right1", raw, 7), ("right2", raw, 7), ("right3", raw, 5), ("left4", f, 3))
        for part, inputs, side in parts:
            yield from block(f"{kind}_{part}_{name}", inputs, f, side)
        made = (6 * f, x[1]) if kind == "normal" else (4 * f, x[1] + 1)
        p, x = (p if skip_reduction and name.startswith("reduce") else x), made
    yield dense("predictions", x[0], 1000)
