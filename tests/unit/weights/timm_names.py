"""timm's networks as walks over its module names, from the structure of timm/models/*.py (version 1.0.31).

As in torchvision_networks.py the tensors are made as they are met: names, shapes and, independently of the zoo, logits.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision_networks import PLANS, UNITS, Walk, basic, mean_of, resnet

ROW, COLUMN, SMALL_ROW, SMALL_COLUMN = (1, 7), (7, 1), (1, 3), (3, 1)
Step = tuple[int, int | tuple[int, int]]  # filters, kernel


def vgg(w: Walk, x: Tensor, plan: str, norm: bool, width: int = 64, hidden: int = 4096) -> Tensor:
    index, channels = 0, {"a": width, "b": 2 * width, "c": 4 * width, "d": 8 * width}
    for letter in plan:
        if letter == "M":
            x, index = F.max_pool2d(x, 2, 2), index + 1
            continue
        x = w.conv(f"features.{index}", x, channels[letter], 3, padding=1, bias=True)
        x = (w.norm(f"features.{index + 1}", x) if norm else x).relu()
        index += 3 if norm else 2
    x = w.conv("pre_logits.fc1", x, hidden, (x.shape[2], x.shape[3]), bias=True).relu()
    x = w.conv("pre_logits.fc2", x, hidden, 1, bias=True).relu()
    return w.linear("head.fc", mean_of(x), 1000)


def eights(channels: float) -> int:
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


def relu6(
    w: Walk, names: tuple[str, str], x: Tensor, out: int, kernel: int, stride: int = 1, groups: int = 1
) -> Tensor:
    y = w.conv(names[0], x, out, kernel, stride, kernel // 2, groups)
    return w.norm(names[1], y).clamp(0, 6)


def mobilenetv1(w: Walk, x: Tensor, width: float) -> Tensor:
    x = relu6(w, ("conv_stem", "bn1"), x, eights(32 * width), 3, 2)
    for stage, (count, out) in enumerate(((1, 64), (2, 128), (2, 256), (6, 512), (2, 1024))):
        for unit in range(count):
            name, stride = f"blocks.{stage}.{unit}", 2 if stage and not unit else 1
            x = relu6(w, (f"{name}.conv_dw", f"{name}.bn1"), x, x.shape[1], 3, stride, x.shape[1])
            x = relu6(w, (f"{name}.conv_pw", f"{name}.bn2"), x, eights(out * width), 1)
    return w.linear("classifier", mean_of(x), 1000)


def mobilenetv2(w: Walk, x: Tensor, width: float) -> Tensor:
    x = relu6(w, ("conv_stem", "bn1"), x, eights(32 * width), 3, 2)
    for stage, (count, out, first) in enumerate(
        ((1, 16, 1), (2, 24, 2), (3, 32, 2), (4, 64, 2), (3, 96, 1), (3, 160, 2), (1, 320, 1))
    ):
        for unit in range(count):
            name, stride, before = f"blocks.{stage}.{unit}", 1 if unit else first, x
            if stage:
                x = relu6(w, (f"{name}.conv_pw", f"{name}.bn1"), x, 6 * x.shape[1], 1)
            depthwise, last, project = ("bn2", "bn3", "conv_pwl") if stage else ("bn1", "bn2", "conv_pw")
            x = relu6(w, (f"{name}.conv_dw", f"{name}.{depthwise}"), x, x.shape[1], 3, stride, x.shape[1])
            x = w.norm(f"{name}.{last}", w.conv(f"{name}.{project}", x, eights(out * width), 1))
            x = x + before if x.shape == before.shape else x
    x = relu6(w, ("conv_head", "bn2"), x, max(1280, eights(1280 * width)), 1)
    return w.linear("classifier", mean_of(x), 1000)


def xception(w: Walk, x: Tensor, width: int = 8) -> Tensor:
    """Channels are eighths of the published ones, times `width`."""

    def separable(name: str, x: Tensor, out: int) -> Tensor:
        y = w.conv(f"{name}.conv1", x, x.shape[1], 3, padding=1, groups=x.shape[1])
        return w.conv(f"{name}.pointwise", y, out, 1)

    x = w.norm("bn1", w.conv("conv1", x, 4 * width, 3, 2)).relu()
    x = w.norm("bn2", w.conv("conv2", x, 8 * width, 3)).relu()
    blocks = [(1, 16, 16), (2, 32, 32), (3, 91, 91), *((number, 91, 91) for number in range(4, 12)), (12, 91, 128)]
    for number, *eighths in blocks:
        name, before, place = f"block{number}", x, 0
        outs = eighths if number < 4 or number == 12 else [91, 91, 91]
        for step, out in enumerate(outs):
            if number > 1 or step:
                x, place = x.relu(), place + 1
            x = w.norm(f"{name}.rep.{place + 1}", separable(f"{name}.rep.{place}", x, out * width))
            place += 2
        if number < 4 or number == 12:
            before = w.norm(f"{name}.skipbn", w.conv(f"{name}.skip", before, x.shape[1], 1, 2))
            x = F.max_pool2d(x, 3, 2, 1)
        x = x + before
    x = w.norm("bn3", separable("conv3", x, 192 * width)).relu()
    x = w.norm("bn4", separable("conv4", x, 256 * width)).relu()
    return w.linear("fc", mean_of(x), 1000)


def chain(w: Walk, name: str, x: Tensor, *steps: Step, last: int = 1, valid: bool = False) -> Tensor:
    """name.0, name.1, ...; the last one with stride `last`, unpadded where that is 2 or `valid`."""
    for number, (out, kernel) in enumerate(steps):
        final = number == len(steps) - 1
        x = basic(w, f"{name}.{number}", x, out, kernel, last if final else 1, not final or (last == 1 and not valid))
    return x


def inner_mean(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def inception_v4(w: Walk, x: Tensor) -> Tensor:
    x = basic(w, "features.1", basic(w, "features.0", x, 32, 3, 2, same=False), 32, 3, same=False)
    x = basic(w, "features.2", x, 64, 3)
    x = torch.cat([F.max_pool2d(x, 3, 2), basic(w, "features.3.conv", x, 96, 3, 2, same=False)], 1)
    left = chain(w, "features.4.branch0", x, (64, 1), (96, 3), valid=True)
    x = torch.cat([left, chain(w, "features.4.branch1", x, (64, 1), (64, ROW), (64, COLUMN), (96, 3), valid=True)], 1)
    x = torch.cat([basic(w, "features.5.conv", x, 192, 3, 2, same=False), F.max_pool2d(x, 3, 2)], 1)
    for number in range(6, 10):
        name = f"features.{number}.branch"
        parts = [basic(w, f"{name}0", x, 96, 1), chain(w, f"{name}1", x, (64, 1), (96, 3))]
        parts.append(chain(w, f"{name}2", x, (64, 1), (96, 3), (96, 3)))
        x = torch.cat([*parts, basic(w, f"{name}3.1", inner_mean(x), 96, 1)], 1)
    parts = [basic(w, "features.10.branch0", x, 384, 3, 2, same=False)]
    parts.append(chain(w, "features.10.branch1", x, (192, 1), (224, 3), (256, 3), last=2))
    x = torch.cat([*parts, F.max_pool2d(x, 3, 2)], 1)
    for number in range(11, 18):
        name = f"features.{number}.branch"
        parts = [basic(w, f"{name}0", x, 384, 1), chain(w, f"{name}1", x, (192, 1), (224, ROW), (256, COLUMN))]
        parts.append(chain(w, f"{name}2", x, (192, 1), (192, COLUMN), (224, ROW), (224, COLUMN), (256, ROW)))
        x = torch.cat([*parts, basic(w, f"{name}3.1", inner_mean(x), 128, 1)], 1)
    parts = [chain(w, "features.18.branch0", x, (192, 1), (192, 3), last=2)]
    parts.append(chain(w, "features.18.branch1", x, (256, 1), (256, ROW), (320, COLUMN), (320, 3), last=2))
    x = torch.cat([*parts, F.max_pool2d(x, 3, 2)], 1)
    for number in range(19, 22):
        name = f"features.{number}.branch"
        parts, y = [basic(w, f"{name}0", x, 256, 1)], basic(w, f"{name}1_0", x, 384, 1)
        parts += [basic(w, f"{name}1_1a", y, 256, SMALL_ROW), basic(w, f"{name}1_1b", y, 256, SMALL_COLUMN)]
        y = basic(w, f"{name}2_1", basic(w, f"{name}2_0", x, 384, 1), 448, SMALL_COLUMN)
        y = basic(w, f"{name}2_2", y, 512, SMALL_ROW)
        parts += [basic(w, f"{name}2_3a", y, 256, SMALL_ROW), basic(w, f"{name}2_3b", y, 256, SMALL_COLUMN)]
        x = torch.cat([*parts, basic(w, f"{name}3.1", inner_mean(x), 256, 1)], 1)
    return w.linear("last_linear", mean_of(x), 1000)


def inception_resnet_v2(w: Walk, x: Tensor) -> Tensor:
    def residual(name: str, x: Tensor, first: int, scale: float, *chains: tuple[Step, ...]) -> Tensor:
        parts = [basic(w, f"{name}.branch0", x, first, 1)]
        parts += [chain(w, f"{name}.branch{number}", x, *steps) for number, steps in enumerate(chains, start=1)]
        return x + scale * w.conv(f"{name}.conv2d", torch.cat(parts, 1), x.shape[1], 1, bias=True)

    x = basic(w, "conv2d_2a", basic(w, "conv2d_1a", x, 32, 3, 2, same=False), 32, 3, same=False)
    x = F.max_pool2d(basic(w, "conv2d_2b", x, 64, 3), 3, 2)
    x = F.max_pool2d(basic(w, "conv2d_4a", basic(w, "conv2d_3b", x, 80, 1), 192, 3, same=False), 3, 2)
    parts = [basic(w, "mixed_5b.branch0", x, 96, 1), chain(w, "mixed_5b.branch1", x, (48, 1), (64, 5))]
    parts.append(chain(w, "mixed_5b.branch2", x, (64, 1), (96, 3), (96, 3)))
    x = torch.cat([*parts, basic(w, "mixed_5b.branch3.1", inner_mean(x), 64, 1)], 1)
    for number in range(10):
        x = residual(f"repeat.{number}", x, 32, 0.17, ((32, 1), (32, 3)), ((32, 1), (48, 3), (64, 3))).relu()
    parts = [basic(w, "mixed_6a.branch0", x, 384, 3, 2, same=False)]
    parts.append(chain(w, "mixed_6a.branch1", x, (256, 1), (256, 3), (384, 3), last=2))
    x = torch.cat([*parts, F.max_pool2d(x, 3, 2)], 1)
    for number in range(20):
        x = residual(f"repeat_1.{number}", x, 192, 0.1, ((128, 1), (160, ROW), (192, COLUMN))).relu()
    parts = [chain(w, "mixed_7a.branch0", x, (256, 1), (384, 3), last=2)]
    parts.append(chain(w, "mixed_7a.branch1", x, (256, 1), (288, 3), last=2))
    parts.append(chain(w, "mixed_7a.branch2", x, (256, 1), (288, 3), (320, 3), last=2))
    x = torch.cat([*parts, F.max_pool2d(x, 3, 2)], 1)
    rows = ((192, 1), (224, SMALL_ROW), (256, SMALL_COLUMN))
    for number in range(9):
        x = residual(f"repeat_2.{number}", x, 192, 0.2, rows).relu()
    x = basic(w, "conv2d_7b", residual("block8", x, 192, 1.0, rows), 1536, 1)
    return w.linear("classif", mean_of(x), 1000)


def same(x: Tensor, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    """x padded for TensorFlow's SAME, the odd pixel at the end."""
    down, right = (max(0, (-(-side // stride) - 1) * stride + kernel - side) for side in x.shape[2:])
    return F.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2), value=value)


def nasnetalarge(w: Walk, x: Tensor, channels: int = 168, pads_count: bool = False) -> Tensor:
    """`pads_count`: average pools of stride 2 count the zeros around the map, as timm's do."""

    def act_conv(name: str, x: Tensor, out: int) -> Tensor:
        return w.norm(f"{name}.bn", w.conv(f"{name}.conv", x.relu(), out, 1))

    def separables(name: str, x: Tensor, out: int, kernel: int, stride: int = 1) -> Tensor:
        for number, step in ((1, stride), (2, 1)):
            part = f"{name}.separable_{number}"
            x = w.conv(f"{part}.depthwise_conv2d", same(x.relu(), kernel, step), x.shape[1], kernel, step,
                       groups=x.shape[1])  # fmt: skip
            x = w.norm(f"{name}.bn_sep_{number}", w.conv(f"{part}.pointwise_conv2d", x, out, 1))
        return x

    def mean2(x: Tensor) -> Tensor:
        total = F.avg_pool2d(same(x, 3, 2), 3, 2)
        return total if pads_count else total / F.avg_pool2d(same(torch.ones_like(x), 3, 2), 3, 2)

    def max2(x: Tensor) -> Tensor:
        return F.max_pool2d(same(x, 3, 2, -torch.inf), 3, 2)

    def factorized(name: str, x: Tensor, out: int) -> Tensor:
        x = x.relu()
        even = w.conv(f"{name}.path_1.conv", x[:, :, ::2, ::2], out // 2, 1)
        odd = w.conv(f"{name}.path_2.conv", F.pad(x, (-1, 1, -1, 1))[:, :, ::2, ::2], out // 2, 1)
        return w.norm(f"{name}.final_path_bn", torch.cat([even, odd], 1))

    def reduction(name: str, newer: Tensor, older: Tensor, out: int) -> Tensor:
        comb = f"{name}.comb_iter_"
        a = separables(f"{comb}0_left", newer, out, 5, 2) + separables(f"{comb}0_right", older, out, 7, 2)
        b = max2(newer) + separables(f"{comb}1_right", older, out, 7, 2)
        c = mean2(newer) + separables(f"{comb}2_right", older, out, 5, 2)
        return torch.cat([b, c, inner_mean(a) + b, separables(f"{comb}4_left", a, out, 3) + max2(newer)], 1)

    def normal(name: str, newer: Tensor, older: Tensor, out: int) -> Tensor:
        comb = f"{name}.comb_iter_"
        a = separables(f"{comb}0_left", newer, out, 5) + separables(f"{comb}0_right", older, out, 3)
        b = separables(f"{comb}1_left", older, out, 5) + separables(f"{comb}1_right", older, out, 3)
        e = separables(f"{comb}4_left", newer, out, 3) + newer
        return torch.cat([older, a, b, inner_mean(newer) + older, 2 * inner_mean(older), e], 1)

    stem = w.norm("conv0.bn", w.conv("conv0.conv", x, 96, 3, 2))
    first = reduction("cell_stem_0", act_conv("cell_stem_0.conv_1x1", stem, channels // 4), stem, channels // 4)
    newer = act_conv("cell_stem_1.conv_1x1", first, channels // 2)
    x = reduction("cell_stem_1", newer, factorized("cell_stem_1", stem, channels // 2), channels // 2)
    before = first
    for resolution in range(3):
        out = channels * 2**resolution
        if resolution:
            name = f"reduction_cell_{resolution - 1}"
            older = act_conv(f"{name}.conv_prev_1x1", before, out)
            reduced = reduction(name, act_conv(f"{name}.conv_1x1", x, out), older, out)
            x = reduced  # the cell after it reads the output before the reduction's input: `before` stays
        for number in range(6 * resolution, 6 * resolution + 6):
            name = f"cell_{number}"
            if number % 6 == 0:
                older = factorized(name, before, out)
            else:
                older = act_conv(f"{name}.conv_prev_1x1", before, out)
            x, before = normal(name, act_conv(f"{name}.conv_1x1", x, out), older, out), x
    return w.linear("last_linear", mean_of(x.relu()), 1000)


# timm's name -> entry of the table, preset of ours, input side, epsilon of its norms, the walk.
Case = tuple[str, str, int, float, Callable[[Walk, Tensor], Tensor]]
CASES: dict[str, Case] = {
    "resnext101_32x4d": (
        "resnext101_32x4d", "resnext101_32x4d", 224, 1e-5, lambda w, x: resnet(w, x, UNITS[101], True, 32, 4)
    ),
    "mobilenetv1_100": ("mobilenetv1_100", "mobilenet_v1_1.0_relu6", 224, 1e-5, lambda w, x: mobilenetv1(w, x, 1.0)),
    "mobilenetv1_125": ("mobilenetv1_125", "mobilenet_v1_1.0_relu6", 224, 1e-5, lambda w, x: mobilenetv1(w, x, 1.25)),
    "legacy_xception": ("legacy_xception", "xception", 299, 1e-5, xception),
    "inception_v4": ("inception_v4", "inception_v4", 299, 1e-3, inception_v4),
    "inception_resnet_v2": ("inception_resnet_v2", "inception_resnet_v2", 299, 1e-3, inception_resnet_v2),
    "nasnetalarge": ("nasnetalarge", "nasnet_a_6_4032", 331, 1e-3, nasnetalarge),
}  # fmt: skip
for width in (0.35, 0.5, 0.75, 1.0, 1.4):
    CASES[f"mobilenetv2_{round(100 * width):03}"] = (
        "mobilenetv2", f"mobilenet_v2_{width}", 224, 1e-5, lambda w, x, width=width: mobilenetv2(w, x, width)
    )  # fmt: skip
for depth, plan in PLANS.items():
    for suffix in ("", "_bn"):
        preset = "vgg16_bn_1.0" if (depth, suffix) == (16, "_bn") else f"vgg{depth}"
        CASES[f"vgg{depth}{suffix}"] = (
            f"vgg{depth}{suffix}", preset, 224, 1e-5,
            lambda w, x, plan=plan, suffix=suffix: vgg(w, x, plan, suffix != ""),
        )  # fmt: skip
