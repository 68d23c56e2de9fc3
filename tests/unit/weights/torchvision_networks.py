"""torchvision's classifiers as walks over its module names, from the structure of torchvision/models/*.py.

The tensors are made as they are met, so a walk gives the names, the shapes and, independently of the zoo, the logits.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass
class Walk:
    """Layers by name, their tensors made when they are first met; on the device "meta" they have shapes alone."""

    device: str = "cpu"
    bn_eps: float = 1e-5
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def tensor(self, name: str, shape: tuple[int, ...], low: float = -1.0, high: float = 1.0) -> Tensor:
        made = torch.empty(shape, device=self.device)
        if self.device == "cpu":
            made.uniform_(low, high, generator=torch.Generator().manual_seed(len(self.tensors)))
        assert name not in self.tensors
        self.tensors[name] = made
        return made

    def conv(
        self, name: str, x: Tensor, out: int, kernel: int | tuple[int, int], stride: int = 1,
        padding: int | tuple[int, int] = 0, groups: int = 1, bias: bool = False,
    ) -> Tensor:  # fmt: skip
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        bound = (6 / (x.shape[1] // groups * height * width)) ** 0.5
        shape = (out, x.shape[1] // groups, height, width)
        weight = self.tensor(f"{name}.weight", shape, -bound, bound)
        offset = self.tensor(f"{name}.bias", (out,), -0.2, 0.2) if bias else None
        return F.conv2d(x, weight, offset, stride, padding, groups=groups)

    def norm(self, name: str, x: Tensor) -> Tensor:
        shape = (x.shape[1],)
        weight, bias = self.tensor(f"{name}.weight", shape, 0.6, 1.2), self.tensor(f"{name}.bias", shape, -0.3, 0.3)
        mean = self.tensor(f"{name}.running_mean", shape, -0.3, 0.3)
        var = self.tensor(f"{name}.running_var", shape, 0.5, 1.5)
        self.tensors[f"{name}.num_batches_tracked"] = torch.tensor(7, device=self.device)
        return F.batch_norm(x, mean, var, weight, bias, eps=self.bn_eps)

    def linear(self, name: str, x: Tensor, out: int) -> Tensor:
        bound = x.shape[1] ** -0.5
        weight = self.tensor(f"{name}.weight", (out, x.shape[1]), -bound, bound)
        return F.linear(x, weight, self.tensor(f"{name}.bias", (out,)))


def mean_of(x: Tensor) -> Tensor:
    return x.mean((2, 3))


def resnet(w: Walk, x: Tensor, blocks: tuple[int, ...], bottleneck: bool, groups: int = 1, base: int = 64) -> Tensor:
    x = F.max_pool2d(w.norm("bn1", w.conv("conv1", x, 64, 7, 2, 3)).relu(), 3, 2, 1)
    for stage, count in enumerate(blocks):
        planes = 64 * 2**stage
        out, inside = (4 * planes, planes * base // 64 * groups) if bottleneck else (planes, planes)
        for unit in range(count):
            name, stride = f"layer{stage + 1}.{unit}", 2 if stage and not unit else 1
            if bottleneck:
                y = w.norm(f"{name}.bn1", w.conv(f"{name}.conv1", x, inside, 1)).relu()
                y = w.norm(f"{name}.bn2", w.conv(f"{name}.conv2", y, inside, 3, stride, 1, groups)).relu()
                y = w.norm(f"{name}.bn3", w.conv(f"{name}.conv3", y, out, 1))
            else:
                y = w.norm(f"{name}.bn1", w.conv(f"{name}.conv1", x, out, 3, stride, 1)).relu()
                y = w.norm(f"{name}.bn2", w.conv(f"{name}.conv2", y, out, 3, 1, 1))
            if stride == 2 or x.shape[1] != out:
                x = w.norm(f"{name}.downsample.1", w.conv(f"{name}.downsample.0", x, out, 1, stride))
            x = (x + y).relu()
    return w.linear("fc", mean_of(x), 1000)


def densenet(w: Walk, x: Tensor, growth: int, blocks: tuple[int, ...], dot: str) -> Tensor:
    x = w.norm("features.norm0", w.conv("features.conv0", x, 2 * growth, 7, 2, 3)).relu()
    x = F.max_pool2d(x, 3, 2, 1)
    for block, count in enumerate(blocks, start=1):
        for layer in range(1, count + 1):
            name = f"features.denseblock{block}.denselayer{layer}"
            y = w.conv(f"{name}.conv{dot}1", w.norm(f"{name}.norm{dot}1", x).relu(), 4 * growth, 1)
            y = w.conv(f"{name}.conv{dot}2", w.norm(f"{name}.norm{dot}2", y).relu(), growth, 3, 1, 1)
            x = torch.cat([x, y], 1)
        if block < len(blocks):
            name = f"features.transition{block}"
            x = w.conv(f"{name}.conv", w.norm(f"{name}.norm", x).relu(), x.shape[1] // 2, 1)
            x = F.avg_pool2d(x, 2, 2)
    return w.linear("classifier", mean_of(w.norm("features.norm5", x).relu()), 1000)


def squeezenet(w: Walk, x: Tensor, stem: tuple[int, int], pools: tuple[int, ...], fires: dict[int, int]) -> Tensor:
    x = w.conv("features.0", x, *stem, stride=2, bias=True).relu()
    for index in range(2, 13):
        if index in pools:
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
            continue
        name, squeeze = f"features.{index}", fires[index]
        y = w.conv(f"{name}.squeeze", x, squeeze, 1, bias=True).relu()
        one = w.conv(f"{name}.expand1x1", y, 4 * squeeze, 1, bias=True).relu()
        x = torch.cat([one, w.conv(f"{name}.expand3x3", y, 4 * squeeze, 3, padding=1, bias=True).relu()], 1)
    return mean_of(w.conv("classifier.1", x, 1000, 1, bias=True).relu())


def vgg(w: Walk, x: Tensor, plan: str, norm: bool) -> Tensor:
    index, channels = 0, {"a": 64, "b": 128, "c": 256, "d": 512}
    for letter in plan:
        if letter == "M":
            x, index = F.max_pool2d(x, 2, 2), index + 1
            continue
        x = w.conv(f"features.{index}", x, channels[letter], 3, padding=1, bias=True)
        x = (w.norm(f"features.{index + 1}", x) if norm else x).relu()
        index += 3 if norm else 2
    x = w.linear("classifier.0", x.flatten(1), 4096).relu()
    x = w.linear("classifier.3", x, 4096).relu()
    return w.linear("classifier.6", x, 1000)


def mobilenet_v2(w: Walk, x: Tensor, width: float) -> Tensor:
    def eights(channels: float) -> int:
        near = max(8, int(channels + 4) // 8 * 8)
        return near + 8 if near < 0.9 * channels else near

    def relu6(name: str, x: Tensor, out: int, kernel: int, stride: int = 1, groups: int = 1) -> Tensor:
        y = w.conv(f"{name}.0", x, out, kernel, stride, kernel // 2, groups)
        return w.norm(f"{name}.1", y).clamp(0, 6)

    x, index = relu6("features.0", x, eights(32 * width), 3, 2), 1
    for t, c, n, s in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
                       (6, 320, 1, 1)):  # fmt: skip
        for repeat in range(n):
            name, before, step = f"features.{index}.conv", x, 0
            if t != 1:
                x, step = relu6(f"{name}.0", x, x.shape[1] * t, 1), 1
            x = relu6(f"{name}.{step}", x, x.shape[1], 3, s if repeat == 0 else 1, x.shape[1])
            x = w.norm(f"{name}.{step + 2}", w.conv(f"{name}.{step + 1}", x, eights(c * width), 1))
            x = x + before if x.shape == before.shape else x
            index += 1
    x = relu6("features.18", x, eights(1280 * max(1.0, width)), 1)
    return w.linear("classifier.1", mean_of(x), 1000)


def basic(
    w: Walk, name: str, x: Tensor, out: int, kernel: int | tuple[int, int], stride: int = 1, same: bool = True
) -> Tensor:
    """BasicConv2d of the inception networks."""
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (sides[0] // 2, sides[1] // 2) if same else 0
    return w.norm(f"{name}.bn", w.conv(f"{name}.conv", x, out, kernel, stride, padding)).relu()


def googlenet(w: Walk, x: Tensor) -> Tensor:
    x = F.max_pool2d(basic(w, "conv1", x, 64, 7, 2), 3, 2, ceil_mode=True)
    x = basic(w, "conv3", basic(w, "conv2", x, 64, 1), 192, 3)
    plan = {
        "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64), "4a": (192, 96, 208, 16, 48, 64),
        "4b": (160, 112, 224, 24, 64, 64), "4c": (128, 128, 256, 24, 64, 64), "4d": (112, 144, 288, 32, 64, 64),
        "4e": (256, 160, 320, 32, 128, 128), "5a": (256, 160, 320, 32, 128, 128), "5b": (384, 192, 384, 48, 128, 128),
    }  # fmt: skip
    for key, (one, red3, three, red5, five, pool) in plan.items():
        if key in ("3a", "4a", "5a"):
            side = 2 if key == "5a" else 3
            x = F.max_pool2d(x, side, 2, ceil_mode=True)
        name = f"inception{key}"
        a = basic(w, f"{name}.branch1", x, one, 1)
        b = basic(w, f"{name}.branch2.1", basic(w, f"{name}.branch2.0", x, red3, 1), three, 3)
        c = basic(w, f"{name}.branch3.1", basic(w, f"{name}.branch3.0", x, red5, 1), five, 3)
        d = basic(w, f"{name}.branch4.1", F.max_pool2d(x, 3, 1, 1), pool, 1)
        x = torch.cat([a, b, c, d], 1)
    for name in ("aux1", "aux2"):
        w.tensor(f"{name}.conv.conv.weight", (128, 512, 1, 1))
        w.tensor(f"{name}.fc1.weight", (1024, 2048))
    return w.linear("fc", mean_of(x), 1000)


def inception_v3(w: Walk, x: Tensor, pads_count: bool = False) -> Tensor:
    def chain(name: str, x: Tensor, *steps: tuple[int, int | tuple[int, int]], last: int = 1) -> Tensor:
        """branch_1, branch_2, ...; the last one with stride `last`, unpadded where that is 2."""
        for number, (out, kernel) in enumerate(steps, start=1):
            final = number == len(steps)
            stride = last if final else 1
            x = basic(w, f"{name}_{number}", x, out, kernel, stride, same=stride == 1)
        return x

    def pooled(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=pads_count)

    row, column = (1, 7), (7, 1)
    x = basic(w, "Conv2d_1a_3x3", x, 32, 3, 2, same=False)
    x = basic(w, "Conv2d_2b_3x3", basic(w, "Conv2d_2a_3x3", x, 32, 3, same=False), 64, 3)
    x = basic(w, "Conv2d_3b_1x1", F.max_pool2d(x, 3, 2), 80, 1)
    x = F.max_pool2d(basic(w, "Conv2d_4a_3x3", x, 192, 3, same=False), 3, 2)
    for key, features in (("5b", 32), ("5c", 64), ("5d", 64)):
        name = f"Mixed_{key}.branch"
        parts = [basic(w, f"{name}1x1", x, 64, 1), chain(f"{name}5x5", x, (48, 1), (64, 5))]
        parts.append(chain(f"{name}3x3dbl", x, (64, 1), (96, 3), (96, 3)))
        x = torch.cat([*parts, basic(w, f"{name}_pool", pooled(x), features, 1)], 1)
    parts = [basic(w, "Mixed_6a.branch3x3", x, 384, 3, 2, same=False)]
    parts.append(chain("Mixed_6a.branch3x3dbl", x, (64, 1), (96, 3), (96, 3), last=2))
    x = torch.cat([*parts, F.max_pool2d(x, 3, 2)], 1)
    for key, c in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        name = f"Mixed_{key}.branch"
        parts = [basic(w, f"{name}1x1", x, 192, 1), chain(f"{name}7x7", x, (c, 1), (c, row), (192, column))]
        parts.append(chain(f"{name}7x7dbl", x, (c, 1), (c, column), (c, row), (c, column), (192, row)))
        x = torch.cat([*parts, basic(w, f"{name}_pool", pooled(x), 192, 1)], 1)
    w.tensor("AuxLogits.conv0.conv.weight", (128, 768, 1, 1))
    w.tensor("AuxLogits.fc.bias", (1000,))
    parts = [chain("Mixed_7a.branch3x3", x, (192, 1), (320, 3), last=2)]
    parts.append(chain("Mixed_7a.branch7x7x3", x, (192, 1), (192, row), (192, column), (192, 3), last=2))
    x = torch.cat([*parts, F.max_pool2d(x, 3, 2)], 1)
    for key in ("7b", "7c"):
        name = f"Mixed_{key}.branch"
        parts = [basic(w, f"{name}1x1", x, 320, 1)]
        y = chain(f"{name}3x3", x, (384, 1))
        parts += [basic(w, f"{name}3x3_2a", y, 384, (1, 3)), basic(w, f"{name}3x3_2b", y, 384, (3, 1))]
        y = chain(f"{name}3x3dbl", x, (448, 1), (384, 3))
        parts += [basic(w, f"{name}3x3dbl_3a", y, 384, (1, 3)), basic(w, f"{name}3x3dbl_3b", y, 384, (3, 1))]
        x = torch.cat([*parts, basic(w, f"{name}_pool", pooled(x), 192, 1)], 1)
    return w.linear("fc", mean_of(x), 1000)


SQUEEZE_1_0 = ((96, 7), (2, 6, 11), {3: 16, 4: 16, 5: 32, 7: 32, 8: 48, 9: 48, 10: 64, 12: 64})
SQUEEZE_1_1 = ((64, 3), (2, 5, 8), {3: 16, 4: 16, 6: 32, 7: 32, 9: 48, 10: 48, 11: 64, 12: 64})
PLANS = {11: "aMbMccMddMddM", 13: "aaMbbMccMddMddM", 16: "aaMbbMcccMdddMdddM", 19: "aaMbbMccccMddddMddddM"}
UNITS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
DENSE = {121: (32, (6, 12, 24, 16)), 161: (48, (6, 12, 36, 24)), 169: (32, (6, 12, 32, 32)), 201: (32, (6, 12, 48, 32))}

# torchvision's name -> entry of the table, preset of ours, input side, epsilon of its norms, parameters as torchvision
# documents them (None where side classifiers, not wholly listed above, count too), the walk.
Case = tuple[str, str, int, float, int | None, Callable[[Walk, Tensor], Tensor]]
PARAMETERS = {
    "resnet18": 11689512, "resnet34": 21797672, "resnet50": 25557032, "resnet101": 44549160, "resnet152": 60192808,
    "densenet121": 7978856, "densenet161": 28681000, "densenet169": 14149480, "densenet201": 20013928,
    "vgg11": 132863336, "vgg13": 133047848, "vgg16": 138357544, "vgg19": 143667240,
    "vgg11_bn": 132868840, "vgg13_bn": 133053736, "vgg16_bn": 138365992, "vgg19_bn": 143678248,
}  # fmt: skip
CASES: dict[str, Case] = {
    "resnext50_32x4d": (
        "resnext", "resnext50_32x4d", 224, 1e-5, 25028904, lambda w, x: resnet(w, x, UNITS[50], True, 32, 4)
    ),
    "resnext101_64x4d": (
        "resnext", "resnext101_64x4d", 224, 1e-5, 83455272, lambda w, x: resnet(w, x, UNITS[101], True, 64, 4)
    ),
    "resnext101_32x8d": (
        "resnext101_32x8d", "resnext101_32x4d", 224, 1e-5, 88791336, lambda w, x: resnet(w, x, UNITS[101], True, 32, 8)
    ),
    "squeezenet1_0": ("squeezenet", "squeezenet_1.0", 224, 1e-5, 1248424, lambda w, x: squeezenet(w, x, *SQUEEZE_1_0)),
    "squeezenet1_1": ("squeezenet", "squeezenet_1.1", 224, 1e-5, 1235496, lambda w, x: squeezenet(w, x, *SQUEEZE_1_1)),
    "googlenet": ("googlenet", "inception_v1", 224, 1e-3, None, googlenet),
    "inception_v3": ("inception_v3", "inception_v3", 299, 1e-3, None, inception_v3),
    "mobilenet_v2": ("mobilenet_v2", "mobilenet_v2_1.0", 224, 1e-5, 3504872, lambda w, x: mobilenet_v2(w, x, 1.0)),
    "mobilenet_v2 x1.4": ("mobilenet_v2", "mobilenet_v2_1.4", 224, 1e-5, None, lambda w, x: mobilenet_v2(w, x, 1.4)),
}  # fmt: skip
for depth, units in UNITS.items():
    CASES[f"resnet{depth}"] = (
        "resnet", f"resnet{depth}", 224, 1e-5, PARAMETERS[f"resnet{depth}"],
        lambda w, x, units=units, depth=depth: resnet(w, x, units, depth >= 50),
    )  # fmt: skip
for depth, (growth, blocks) in DENSE.items():
    for label, dot in (("", ""), (" of 2017", ".")):
        CASES[f"densenet{depth}{label}"] = (
            "densenet", f"densenet{depth}", 224, 1e-5, PARAMETERS[f"densenet{depth}"],
            lambda w, x, growth=growth, blocks=blocks, dot=dot: densenet(w, x, growth, blocks, dot),
        )  # fmt: skip
for depth, plan in PLANS.items():
    for suffix in ("", "_bn"):
        preset = "vgg16_bn_1.0" if (depth, suffix) == (16, "_bn") else f"vgg{depth}"
        CASES[f"vgg{depth}{suffix}"] = (
            f"vgg{depth}{suffix}", preset, 224, 1e-5, PARAMETERS[f"vgg{depth}{suffix}"],
            lambda w, x, plan=plan, suffix=suffix: vgg(w, x, plan, suffix == "_bn"),
        )  # fmt: skip
