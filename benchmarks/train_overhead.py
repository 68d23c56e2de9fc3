"""How much slower sprat's training is than a bare PyTorch loop on the same network, data in memory.

    python benchmarks/train_overhead.py [--rounds 7] [--steps 24]

Both train MobileNet v1 0.25 at 32x32 with batch 128, shift and mirror, Nesterov SGD and cross-entropy, in turns in one
process; the bare loop keeps no average, no accuracy, no schedule. Prints one JSON object: medians and their ratio.
"""

import argparse
import json
import os
import statistics
import time
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from sprat.bench import cpu_name, load_average
from sprat.data import Split
from sprat.image import ImageSpec
from sprat.preprocess import Preprocess
from sprat.recipe import Recipe
from sprat.train import new_state, train
from sprat.zoo import create

IMAGE, BATCH = ImageSpec(3, 32, 32), 128
PREPROCESS = Preprocess(3, 32, 32, (125.0, 123.0, 114.0), (63.0, 62.0, 67.0))


def make_net() -> nn.Module:
    torch.manual_seed(0)
    return create("mobilenet_v1_0.25", num_classes=10, image=IMAGE).to(memory_format=torch.channels_last)


def bare(images: torch.Tensor, labels: torch.Tensor, net: nn.Module, steps: int) -> float:
    """Seconds for `steps` steps of the loop everyone writes."""
    padded = functional.pad(images.permute(0, 3, 1, 2).float(), (4, 4, 4, 4), mode="reflect").to(torch.uint8)
    mean = torch.tensor(PREPROCESS.mean).view(1, 3, 1, 1)
    std = torch.tensor(PREPROCESS.std).view(1, 3, 1, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    net.train()
    pixels = torch.arange(32)
    start = time.perf_counter()
    order = torch.randperm(len(images))
    for step in range(steps):
        chosen = order[step * BATCH : (step + 1) * BATCH]
        columns = torch.where(torch.rand(BATCH, 1) < 0.5, 31 - pixels, pixels) + torch.randint(0, 9, (BATCH, 1))
        rows = pixels + torch.randint(0, 9, (BATCH, 1))
        x = padded[chosen[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).float()
        loss = functional.cross_entropy(net(x.sub_(mean).div_(std)), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return time.perf_counter() - start


def ours(images: torch.Tensor, labels: torch.Tensor, net: nn.Module, steps: int) -> float:
    """Seconds for one epoch of as many steps by sprat.train, without its validation."""
    split = Split(images.numpy(), labels.numpy(), ())
    tiny = Split(images[:1].numpy(), labels[:1].numpy(), ())
    data = SimpleNamespace(train=split, val=tiny, classes=tuple("0123456789"))
    recipe = Recipe(epochs=1, batch_size=BATCH, lr=0.1)
    (epoch,) = train(new_state(net, recipe), recipe, data, PREPROCESS, device=torch.device("cpu"))
    assert epoch.num_images == steps * BATCH
    return epoch.num_images / epoch.images_per_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=24)
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    images = torch.from_numpy(generator.integers(0, 256, (options.steps * BATCH, 32, 32, 3), dtype=np.uint8))
    labels = torch.from_numpy(generator.integers(0, 10, options.steps * BATCH))
    bare(images, labels, make_net(), 4)  # warm-up
    times: dict[str, list[float]] = {"bare": [], "sprat": []}
    for index in range(options.rounds):
        turns = [("bare", bare), ("sprat", ours)]
        for name, run in turns if index % 2 == 0 else reversed(turns):
            times[name].append(run(images, labels, make_net(), options.steps) / options.steps)
    ratios = [b / a for a, b in zip(times["bare"], times["sprat"], strict=True)]
    print(
        json.dumps(
            {
                "bare_ms_per_step": round(1000 * statistics.median(times["bare"]), 2),
                "sprat_ms_per_step": round(1000 * statistics.median(times["sprat"]), 2),
                "ratio_of_medians": round(statistics.median(times["sprat"]) / statistics.median(times["bare"]), 4),
                "median_of_ratios": round(statistics.median(ratios), 4),
                "rounds": options.rounds,
                "steps": options.steps,
                "threads": torch.get_num_threads(),
                "cpu": cpu_name(),
                "load_average": load_average(),
                "torch": torch.__version__,
                "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
