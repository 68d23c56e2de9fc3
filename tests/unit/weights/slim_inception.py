"""The variables of the inception networks in TF-Slim, derived from slim's definitions and not from our networks.

Source: research/slim/nets of github.com/tensorflow/models, for the scopes, kernels and channels of each network.
"""

from slim_graph import BACKGROUND, Graph, Shape


def inception_v1() -> dict[str, Shape]:
    """nets/inception_v1.py."""
    graph = Graph("InceptionV1")
    x = graph.chain("", 3, "1a_7x7=64 2b_1x1=64 2c_3x3=192")
    for name, one, reduce_3, three, reduce_5, five, pool in (
        ("3b", 64, 96, 128, 16, 32, 32),
        ("3c", 128, 128, 192, 32, 96, 64),
        ("4b", 192, 96, 208, 16, 48, 64),
        ("4c", 160, 112, 224, 24, 64, 64),
        ("4d", 128, 128, 256, 24, 64, 64),
        ("4e", 112, 144, 288, 32, 64, 64),
        ("4f", 256, 160, 320, 32, 128, 128),
        ("5b", 256, 160, 320, 32, 128, 128),
        ("5c", 384, 192, 384, 48, 128, 128),
    ):
        last = "0a_3x3" if name == "5b" else "0b_3x3"
        x = graph.mixed(
            f"Mixed_{name}",
            x,
            f"0a_1x1={one}",
            f"0a_1x1={reduce_3} 0b_3x3={three}",
            f"0a_1x1={reduce_5} {last}={five}",
            f"0b_1x1={pool}",
        )
    graph.conv("Logits/Conv2d_0c_1x1", x, BACKGROUND, after="bias")
    return graph.shapes


def inception_v2() -> dict[str, Shape]:
    """nets/inception_v2.py; its norm is an argument of conv2d alone, so the separable layer has a bias."""
    graph = Graph("InceptionV2")
    x = graph.separable("Conv2d_1a_7x7", 3, 64, 7, multiplier=8, after="bias")
    x = graph.chain("", x, "2b_1x1=64 2c_3x3=192")
    for name, one, reduce_3, three, reduce_d, double, pool in (
        ("3b", 64, 64, 64, 64, 96, 32),
        ("3c", 64, 64, 96, 64, 96, 64),
        ("4a", 0, 128, 160, 64, 96, 0),
        ("4b", 224, 64, 96, 96, 128, 128),
        ("4c", 192, 96, 128, 96, 128, 128),
        ("4d", 160, 128, 160, 128, 160, 96),
        ("4e", 96, 128, 192, 160, 192, 96),
        ("5a", 0, 128, 192, 192, 256, 0),
        ("5b", 352, 192, 320, 160, 224, 128),
        ("5c", 352, 192, 320, 192, 224, 128),
    ):
        strided = one == 0
        three_layers = f"0a_1x1={reduce_3} {'1a' if strided else '0b'}_3x3={three}"
        double_layers = f"0a_1x1={reduce_d} 0b_3x3={double} {'1a' if strided else '0c'}_3x3={double}"
        ends = ([], [""]) if strided else ([f"0a_1x1={one}"], [f"0b_1x1={pool}"])
        x = graph.mixed(f"Mixed_{name}", x, *ends[0], three_layers, double_layers, *ends[1])
    graph.conv("Logits/Conv2d_1c_1x1", x, BACKGROUND, after="bias")
    return graph.shapes


def inception_v3() -> dict[str, Shape]:
    """nets/inception_v3.py, with its names that are out of step."""
    graph = Graph("InceptionV3")
    x = graph.chain("", 3, "1a_3x3=32 2a_3x3=32 2b_3x3=64 3b_1x1=80 4a_3x3=192")
    for name, five, pool in (
        ("5b", "0a_1x1=48 0b_5x5=64", 32),
        ("5c", "0b_1x1=48 Conv_1_0c_5x5=64", 64),
        ("5d", "0a_1x1=48 0b_5x5=64", 64),
    ):
        x = graph.mixed(f"Mixed_{name}", x, "0a_1x1=64", five, "0a_1x1=64 0b_3x3=96 0c_3x3=96", f"0b_1x1={pool}")
    x = graph.mixed("Mixed_6a", x, "1a_1x1=384@3x3", "0a_1x1=64 0b_3x3=96 1a_1x1=96@3x3", "")
    for name, c in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        x = graph.mixed(
            f"Mixed_{name}",
            x,
            "0a_1x1=192",
            f"0a_1x1={c} 0b_1x7={c} 0c_7x1=192",
            f"0a_1x1={c} 0b_7x1={c} 0c_1x7={c} 0d_7x1={c} 0e_1x7=192",
            "0b_1x1=192",
        )
    _inception_auxiliary(graph, x, "Conv2d_2a_5x5")
    graph.conv("AuxLogits/Conv2d_2b_1x1", 768, BACKGROUND, after="bias")
    x = graph.mixed("Mixed_7a", x, "0a_1x1=192 1a_3x3=320", "0a_1x1=192 0b_1x7=192 0c_7x1=192 1a_3x3=192", "")
    for name, second in (("7b", "0b_3x1"), ("7c", "0c_3x1")):
        x = graph.mixed(
            f"Mixed_{name}",
            x,
            "0a_1x1=320",
            f"0a_1x1=384 | 0b_1x3=384 {second}=384",
            "0a_1x1=448 0b_3x3=384 | 0c_1x3=384 0d_3x1=384",
            "0b_1x1=192",
        )
    graph.conv("Logits/Conv2d_1c_1x1", x, BACKGROUND, after="bias")
    return graph.shapes


def inception_v4() -> dict[str, Shape]:
    """nets/inception_v4.py."""
    graph = Graph("InceptionV4")
    x = graph.chain("", 3, "1a_3x3=32 2a_3x3=32 2b_3x3=64")
    x = graph.mixed("Mixed_3a", x, "", "0a_3x3=96")
    x = graph.mixed("Mixed_4a", x, "0a_1x1=64 1a_3x3=96", "0a_1x1=64 0b_1x7=64 0c_7x1=64 1a_3x3=96")
    x = graph.mixed("Mixed_5a", x, "1a_3x3=192", "")
    for letter in "bcde":
        triple = "0a_1x1=64 0b_3x3=96 0c_3x3=96"
        x = graph.mixed(f"Mixed_5{letter}", x, "0a_1x1=96", "0a_1x1=64 0b_3x3=96", triple, "0b_1x1=96")
    x = graph.mixed("Mixed_6a", x, "1a_3x3=384", "0a_1x1=192 0b_3x3=224 1a_3x3=256", "")
    for letter in "bcdefgh":
        long = "0a_1x1=192 0b_7x1=192 0c_1x7=224 0d_7x1=224 0e_1x7=256"
        x = graph.mixed(f"Mixed_6{letter}", x, "0a_1x1=384", "0a_1x1=192 0b_1x7=224 0c_7x1=256", long, "0b_1x1=128")
    _inception_auxiliary(graph, x, "Conv2d_2a")
    graph.dense("AuxLogits/Aux_logits", 768, BACKGROUND)
    x = graph.mixed("Mixed_7a", x, "0a_1x1=192 1a_3x3=192", "0a_1x1=256 0b_1x7=256 0c_7x1=320 1a_3x3=320", "")
    for letter in "bcd":
        x = graph.mixed(
            f"Mixed_7{letter}",
            x,
            "0a_1x1=256",
            "0a_1x1=384 | 0b_1x3=256 0c_3x1=256",
            "0a_1x1=384 0b_3x1=448 0c_1x3=512 | 0d_1x3=256 0e_3x1=256",
            "0b_1x1=256",
        )
    graph.dense("Logits/Logits", x, BACKGROUND)
    return graph.shapes


def inception_resnet_v2() -> dict[str, Shape]:
    """nets/inception_resnet_v2.py; slim.repeat numbers from 1 inside "Repeat", "Repeat_1" and "Repeat_2"."""
    graph = Graph("InceptionResnetV2")

    def block(scope: str, inputs: int, *branches: str) -> None:
        mixed = graph.mixed(scope, inputs, *branches)
        graph.conv(f"{scope}/Conv2d_1x1", mixed, inputs, after="bias")

    x = graph.chain("", 3, "1a_3x3=32 2a_3x3=32 2b_3x3=64 3b_1x1=80 4a_3x3=192")
    x = graph.mixed("Mixed_5b", x, "1x1=96", "0a_1x1=48 0b_5x5=64", "0a_1x1=64 0b_3x3=96 0c_3x3=96", "0b_1x1=64")
    for number in range(1, 11):
        triple = "0a_1x1=32 0b_3x3=48 0c_3x3=64"
        block(f"Repeat/block35_{number}", x, "1x1=32", "0a_1x1=32 0b_3x3=32", triple)
    x = graph.mixed("Mixed_6a", x, "1a_3x3=384", "0a_1x1=256 0b_3x3=256 1a_3x3=384", "")
    for number in range(1, 21):
        block(f"Repeat_1/block17_{number}", x, "1x1=192", "0a_1x1=128 0b_1x7=160 0c_7x1=192")
    _inception_auxiliary(graph, x, "Conv2d_2a_5x5")
    graph.dense("AuxLogits/Logits", 768, BACKGROUND)
    three = "0a_1x1=256 0b_3x3=288 1a_3x3=320"
    x = graph.mixed("Mixed_7a", x, "0a_1x1=256 1a_3x3=384", "0a_1x1=256 1a_3x3=288", three, "")
    for scope in (*(f"Repeat_2/block8_{number}" for number in range(1, 10)), "Block8"):
        block(scope, x, "1x1=192", "0a_1x1=192 0b_1x3=224 0c_3x1=256")
    x = graph.chain("", x, "7b_1x1=1536")
    graph.dense("Logits/Logits", x, BACKGROUND)
    return graph.shapes


def _inception_auxiliary(graph: Graph, inputs: int, second: str) -> None:
    """1x1 to 128, then a convolution over the whole 5x5 map to 768."""
    graph.conv("AuxLogits/Conv2d_1b_1x1", inputs, 128)
    graph.conv(f"AuxLogits/{second}", 128, 768, (5, 5))
