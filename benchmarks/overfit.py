"""Every family, narrow, learns 256 CIFAR-10 images by heart: from the published initialisation to 99 % of them.

A family that cannot is dead or wrong. Needs ../shared/data/cifar10-train.parquet.

python benchmarks/overfit.py [--family NAME ...] [--write results/overfit.csv]
"""

import argparse
import csv
import json
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch import nn

from sprat.conditions import versions
from sprat.data import open_collection
from sprat.image import ImageSpec
from sprat.zoo import build, config_from_dict, config_to_dict, get_preset

DATA = Path(__file__).resolve().parents[2] / "shared/data/cifar10-train.parquet"
IMAGE, NUM, BATCH = ImageSpec(3, 32, 32), 256, 64
SPARE = {"dropout": 0.0}  # what would hold learning by heart back

# Family: a preset, the fields that make it small, the optimiser and its learning rate.
SMALL: dict[str, tuple[str, dict[str, Any], str, float]] = {
    "alexnet": ("alexnet", {"width": 0.0625, "batch_norm": True, "lrn": False, **SPARE}, "adam", 1e-3),
    "densenet": ("densenet_bc_100_12", {"blocks": [4, 4, 4], "growth": 8, **SPARE}, "sgd", 0.1),
    "enas_macro": ("enas_macro_96_separable", {"filters": 4, **SPARE}, "sgd", 0.1),
    "enas_micro": ("enas_micro_36", {"cells": 3, "filters": 4, "drop_path": 0.0, **SPARE}, "sgd", 0.1),
    "inception_resnet_v2": ("inception_resnet_v2", {"width": 0.125, **SPARE}, "adam", 3e-3),
    "inception_v1": ("inception_v1", {"width": 0.25, **SPARE}, "adam", 3e-3),
    "inception_v2": ("inception_v2", {"width": 0.125, **SPARE}, "adam", 3e-3),
    "inception_v3": ("inception_v3", {"width": 0.125, **SPARE}, "adam", 3e-3),
    "inception_v4": ("inception_v4", {"width": 0.125, **SPARE}, "adam", 3e-3),
    "mobilenet_v1": ("mobilenet_v1_0.25", {**SPARE}, "sgd", 0.05),
    "nasnet": ("nasnet_a_2_768", {"cells": 1, "filters": 96, "drop_path": 0.0, **SPARE}, "sgd", 0.05),
    "resnet": ("resnet18", {"width": 0.125}, "sgd", 0.1),
    "resnet_cifar": ("resnet_cifar_20", {"width": 0.5}, "sgd", 0.1),
    "resnext": ("resnext29_32x4d_0.125", {}, "sgd", 0.1),
    "shufflenet_rival": ("shufflenet_rival_resnet", {}, "sgd", 0.1),
    "shufflenet_v1": ("shufflenet_v1_0.25_g3", {**SPARE}, "sgd", 0.05),
    "squeezenet": ("squeezenet_1.1_bn_0.25", {**SPARE}, "sgd", 0.05),
    "vgg": ("vgg11", {"width": 0.125, "batch_norm": True, **SPARE}, "adam", 1e-3),
    "xception": ("xception", {"width": 0.0625, **SPARE}, "adam", 3e-3),
}


def images() -> tuple[torch.Tensor, torch.Tensor]:
    collection = open_collection(str(DATA), seed=0)
    labels = np.asarray(collection.labels("train"))
    chosen = np.random.default_rng(0).permutation(len(labels))[:NUM]  # the file is sorted by class
    assert len(set(labels[chosen].tolist())) == 10
    raw = collection.raw("train")
    x = torch.as_tensor(np.stack([raw[int(index)] for index in chosen])).permute(0, 3, 1, 2).float()
    return (x - 120) / 64, torch.as_tensor(labels[chosen]).long()


def learn(family: str, x: torch.Tensor, y: torch.Tensor, most: int, seconds: float) -> dict[str, Any]:
    preset, changes, kind, lr = SMALL[family]
    config = config_from_dict({**config_to_dict(get_preset(preset)), **changes})
    torch.manual_seed(0)
    net = build(config, IMAGE, 10)
    if kind == "adam":
        optimizer: torch.optim.Optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    else:
        optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9, nesterov=True)
    start, accuracy, epoch = time.perf_counter(), 0.0, 0
    while accuracy < 0.99 and epoch < most and time.perf_counter() - start < seconds:
        net.train()
        for part in torch.randperm(NUM).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[part]), y[part]).backward()
            optimizer.step()
        epoch += 1
        net.eval()
        with torch.no_grad():
            accuracy = (net(x).argmax(1) == y).float().mean().item()
    return {
        "family": family,
        "preset": preset,
        "changes": json.dumps(changes),
        "params": sum(parameter.numel() for parameter in net.parameters()),
        "optimizer": kind,
        "lr": lr,
        "epochs": epoch,
        "seconds": round(time.perf_counter() - start, 1),
        "accuracy": round(accuracy, 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", nargs="*", default=list(SMALL))
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    x, y = images()
    rows = []
    for family in given.family:
        rows.append(learn(family, x, y, given.epochs, given.seconds))
        print(json.dumps(rows[-1]), flush=True)
    print(json.dumps({"device": "cpu", "threads": 1, "seed": 0, **versions()}))
    if given.write:
        with given.write.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
