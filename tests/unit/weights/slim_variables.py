"""The variables of ResNet, VGG, MobileNet and NASNet in TF-Slim, derived from slim's definitions and not from ours.

Source: research/slim/nets of github.com/tensorflow/models, for the scopes, kernels and channels of each network.
"""

from slim_graph import BACKGROUND, Graph, Shape


def resnet(version: int, depth: int) -> dict[str, Shape]:
    """nets/resnet_v1.py and resnet_v2.py; the files of version 1 also hold the mean of the training images."""
    graph = Graph(f"resnet_v{version}_{depth}", scale=True)
    inside = "norm" if version == 1 else "bias"
    x = graph.conv("conv1", 3, 64, (7, 7), after=inside)
    units = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}[depth]
    for block, number in enumerate(units, start=1):
        mid = 32 * 2**block
        for unit in range(1, number + 1):
            scope = f"block{block}/unit_{unit}/bottleneck_v{version}"
            if version == 2:
                graph.norm(f"{scope}/preact", x)
            if x != 4 * mid:
                graph.conv(f"{scope}/shortcut", x, 4 * mid, after=inside)
            graph.conv(f"{scope}/conv1", x, mid)
            graph.conv(f"{scope}/conv2", mid, mid, (3, 3))
            x = graph.conv(f"{scope}/conv3", mid, 4 * mid, after=inside)
    if version == 2:
        graph.norm("postnorm", x)
    graph.conv("logits", x, 1000 if version == 1 else BACKGROUND, after="bias")
    if version == 1:
        graph.put("mean_rgb", 3)
    return graph.shapes


def vgg(depth: int) -> dict[str, Shape]:
    """nets/vgg.py: slim.repeat numbers from 1; fully-connected layers are convolutions. With the mean, as above."""
    graph = Graph(f"vgg_{depth}")
    x = 3
    for group, (channels, number) in enumerate(
        zip((64, 128, 256, 512, 512), {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}[depth], strict=True), start=1
    ):
        for layer in range(1, number + 1):
            x = graph.conv(f"conv{group}/conv{group}_{layer}", x, channels, (3, 3), after="bias")
    x = graph.conv("fc6", x, 4096, (7, 7), after="bias")
    x = graph.conv("fc7", x, 4096, after="bias")
    graph.conv("fc8", x, 1000, after="bias")
    graph.put("mean_rgb", 3)
    return graph.shapes


def mobilenet_v1(width: float) -> dict[str, Shape]:
    """nets/mobilenet_v1.py: channels are max(int(published * width), 8)."""
    graph = Graph("MobilenetV1", scale=True)
    first, *others = [max(int(c * width), 8) for c in (32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024)]
    x = graph.conv("Conv2d_0", 3, first, (3, 3))
    for number, channels in enumerate(others, start=1):
        graph.depthwise(f"Conv2d_{number}_depthwise", x, 3)
        x = graph.conv(f"Conv2d_{number}_pointwise", x, channels)
    graph.conv("Logits/Conv2d_1c_1x1", x, BACKGROUND, after="bias")
    return graph.shapes


def mobilenet_v2(width: float) -> dict[str, Shape]:
    """nets/mobilenet/mobilenet_v2.py: channels go to a multiple of 8; the last 1,280 are not made fewer."""

    def divisible(value: float) -> int:
        near = max(8, int(value + 4) // 8 * 8)
        return near + 8 if near < 0.9 * value else near

    graph = Graph("MobilenetV2", scale=True)
    x = graph.conv("Conv", 3, divisible(32 * width), (3, 3))
    outputs = (16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320)
    for number, channels in enumerate(outputs):
        scope = f"expanded_conv_{number}" if number else "expanded_conv"
        inside = graph.conv(f"{scope}/expand", x, divisible(6 * x)) if number else x
        graph.depthwise(f"{scope}/depthwise", inside, 3)
        x = graph.conv(f"{scope}/project", inside, divisible(channels * width))
    x = graph.conv("Conv_1", x, divisible(1280 * max(width, 1.0)))
    graph.conv("Logits/Conv2d_1c_1x1", x, BACKGROUND, after="bias")
    return graph.shapes


# Operations and the states they read of NASNet-A's cells (nets/nasnet/nasnet_utils.py), left and right of five pairs.
NORMAL = (
    (("separable_5x5", 0), ("separable_3x3", 1)),
    (("separable_5x5", 1), ("separable_3x3", 1)),
    (("avg_pool", 0), ("none", 1)),
    (("avg_pool", 1), ("avg_pool", 1)),
    (("separable_3x3", 0), ("none", 0)),
)
REDUCTION = (
    (("separable_5x5", 0), ("separable_7x7", 1)),
    (("max_pool", 0), ("separable_7x7", 1)),
    (("avg_pool", 0), ("separable_5x5", 1)),
    (("none", 3), ("avg_pool", 2)),
    (("separable_3x3", 2), ("max_pool", 0)),
)
Output = tuple[int, int]  # channels and side of what a cell makes


def nasnet(num_cells: int, filters: int, stem: int, side: int, *, skip: bool) -> dict[str, Shape]:
    """nets/nasnet/nasnet.py for ImageNet, with the side classifier of training.

    Args:
        num_cells: normal cells in all.
        filters: of the first normal cell's states.
        stem: channels of the first convolution.
        side: of the image.
        skip: whether a cell after a reduction reads what came before the reduction's input.
    """
    graph = Graph("", scale=True)
    graph.conv("conv0", 3, stem, (3, 3), after="nothing")
    graph.norm("conv0_bn", stem)
    outputs: list[Output | None] = [None, (stem, (side - 3) // 2 + 1)]

    def cell(name: str, channels: int, older: Output | None, stride: int) -> None:
        newer = outputs[-1]
        assert newer is not None
        outputs.append(_nasnet_cell(graph, name, channels, older, newer, stride))

    cell("cell_stem_0", filters // 4, None, 2)
    cell("cell_stem_1", filters // 2, outputs[-2], 2)
    reductions = (num_cells // 3, 2 * num_cells // 3)
    for number in range(num_cells):
        older = outputs[-2]
        if number in reductions:
            filters *= 2
            cell(f"reduction_cell_{reductions.index(number)}", filters, older, 2)
        cell(f"cell_{number}", filters, older if skip else outputs[-2], 1)
        made = outputs[-1]
        assert made is not None
        if number == reductions[1] - 1:
            full = (made[1] - 5) // 3 + 1
            scope = f"aux_{number}/aux_logits"
            graph.conv(f"{scope}/proj", made[0], 128, after="nothing")
            graph.norm(f"{scope}/aux_bn0", 128)
            graph.conv(f"{scope}/Conv", 128, 768, (full, full), after="nothing")
            graph.norm(f"{scope}/aux_bn1", 768)
            graph.dense(f"{scope}/FC", 768, BACKGROUND)
    graph.dense("final_layer/FC", 6 * filters, BACKGROUND)
    return graph.shapes


def _nasnet_cell(graph: Graph, name: str, channels: int, older: Output | None, newer: Output, stride: int) -> Output:
    """One cell; its output has the used states 1 to 6 of a normal cell, 3 to 6 of a reduction."""
    raw = newer[0] if older is None else channels
    if older is not None and older[1] != newer[1]:
        assert channels % 2 == 0
        graph.conv(f"{name}/path1_conv", older[0], channels // 2, after="nothing")
        graph.conv(f"{name}/path2_conv", older[0], channels // 2, after="nothing")
        graph.norm(f"{name}/final_path_bn", channels)
    elif older is not None and older[0] != channels:
        graph.conv(f"{name}/prev_1x1", older[0], channels, after="nothing")
        graph.norm(f"{name}/prev_bn", channels)
    elif older is not None:
        raw = older[0]
    graph.conv(f"{name}/1x1", newer[0], channels, after="nothing")
    graph.norm(f"{name}/beginning_bn", channels)
    for pair, hands in enumerate(NORMAL if stride == 1 else REDUCTION):
        for hand, (operation, state) in zip(("left", "right"), hands, strict=True):
            inputs = raw if state == 1 else channels
            scope = f"{name}/comb_iter_{pair}/{hand}"
            if operation.startswith("separable"):
                kernel = operation[-3:]
                for number in (1, 2):
                    layer = f"{scope}/separable_{kernel}_{number}"
                    inputs = graph.separable(layer, inputs, channels, int(kernel[0]))
                    graph.norm(f"{scope}/bn_sep_{kernel}_{number}", channels)
            elif inputs != channels or (operation == "none" and stride == 2 and state < 2):
                graph.conv(f"{scope}/1x1", inputs, channels, after="nothing")
                graph.norm(f"{scope}/bn_1", channels)
    return channels * (6 if stride == 1 else 4), -(-newer[1] // stride)
