"""Training step and eager inference of each family beside an independent implementation of the same network.

Both run alternately in one process on one CPU thread; the table gives medians and ratios (below 1: ours is faster).
The peer is pytorchcv 0.0.67. It has no ENAS, no Inception V1 and no rivals of ShuffleNet to compare
with; its Inception V2 has other widths than slim's.

python benchmarks/zoo_speed.py [--family NAME ...] [--rounds 9] [--write results/zoo_speed.csv]
"""

import argparse
import csv
import importlib
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch import nn

from sprat.bench import cpu_name, load_average
from sprat.conditions import versions
from sprat.image import ImageSpec
from sprat.zoo import create, family_of, get_preset

# Our preset, the peer's module and function, the side of the image, images in a training step.
PAIRS = (
    ("alexnet_g1", "alexnet", "alexnet", 224, 4),
    ("vgg16", "vgg", "vgg16", 224, 1),
    ("squeezenet_1.0", "squeezenet", "squeezenet_v1_0", 224, 2),
    ("densenet121", "densenet", "densenet121", 224, 2),
    ("densenet_bc_100_12", "densenet_cifar", "densenet100_k12_bc_cifar10", 32, 16),
    ("resnet50", "resnet", "resnet50b", 224, 2),
    ("resnet_v2_50", "preresnet", "preresnet50b", 224, 2),
    ("resnet_cifar_20", "resnet_cifar", "resnet20_cifar10", 32, 64),
    ("resnext50_32x4d", "resnext", "resnext50_32x4d", 224, 2),
    ("inception_v3", "inceptionv3", "inceptionv3", 299, 1),
    ("inception_v4", "inceptionv4", "inceptionv4", 299, 1),
    ("inception_resnet_v2", "inceptionresnetv2", "inceptionresnetv2", 299, 1),
    ("xception", "xception", "xception", 299, 1),
    ("mobilenet_v1_1.0", "mobilenet", "mobilenet_w1", 224, 4),
    ("shufflenet_v1_1.0_g3", "shufflenet", "shufflenet_g3_w1", 224, 4),
    ("nasnet_a_4_1056", "nasnet", "nasnet_4a1056", 224, 1),
)


def timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - start)


def trainer(net: nn.Module, x: torch.Tensor) -> Callable[[], None]:
    net.train()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
    labels = torch.arange(len(x)) % 10

    def step() -> None:
        optimizer.zero_grad()
        logits = net(x)
        nn.functional.cross_entropy(logits[0] if isinstance(logits, tuple) else logits, labels).backward()
        optimizer.step()

    return step


def compare(ours: str, module: str, function: str, side: int, batch: int, rounds: int) -> dict[str, object]:
    image = ImageSpec(3, side, side)
    classes = 10 if side == 32 else 1000
    torch.manual_seed(0)
    nets = (
        create(ours, num_classes=classes, image=image),
        getattr(importlib.import_module(f"pytorchcv.models.{module}"), function)(),
    )
    row: dict[str, object] = {"family": family_of(get_preset(ours)).name, "ours": ours, "peer": function, "side": side}
    # A peer in training mode gets two images where one would leave batch norm a single value.
    steps = [trainer(net, torch.randn(max(2, batch), 3, side, side)) for net in nets]
    one = torch.randn(1, 3, side, side)

    def infer(net: nn.Module) -> Callable[[], torch.Tensor]:
        return lambda: net(one)

    for what, actions in (("train", steps), ("infer", [infer(net) for net in nets])):
        if what == "infer":
            for net in nets:
                net.eval()
        times: tuple[list[float], list[float]] = ([], [])
        with torch.set_grad_enabled(what == "train"):
            for index in range(rounds + 1):
                order = (0, 1) if index % 2 else (1, 0)
                for which in order:
                    spent = timed(actions[which])
                    if index:  # the first round warms up
                        times[which].append(spent)
        medians = [statistics.median(values) for values in times]
        ratios = [left / right for left, right in zip(*times, strict=True)]
        row |= {
            f"{what}_ms": round(medians[0], 2),
            f"{what}_peer_ms": round(medians[1], 2),
            f"{what}_ratio": round(statistics.median(ratios), 3),
        }
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", nargs="*", default=None)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for ours, module, function, side, batch in PAIRS:
        if given.family and family_of(get_preset(ours)).name not in given.family and ours not in given.family:
            continue
        rows.append(compare(ours, module, function, side, batch, given.rounds))
        print(json.dumps(rows[-1]), flush=True)
    print(json.dumps({"cpu": cpu_name(), "threads": 1, "load_average": load_average(), **versions()}))
    if given.write:
        with given.write.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
