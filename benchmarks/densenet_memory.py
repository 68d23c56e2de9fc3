"""How much less memory a training step of DenseNet takes with memory_efficient.

    python benchmarks/densenet_memory.py [--batch-cifar 32] [--batch-imagenet 8] [--rounds 3]

Each measurement is a fresh process that trains densenet_bc_100_12 at 32x32 or densenet121 at 224x224 for two steps of
SGD with momentum. `peak_bytes` is how far the process's largest resident set grew over what it was before the network
was built: weights, gradients, momentum and all activations, also those that exist only while recomputing. `kept_bytes`
is what the forward pass alone keeps for the backward pass: the distinct storages of saved tensors, weights left out.
The allocator returns every large block at once (MALLOC_MMAP_THRESHOLD_), so that the resident set is what is in use.
Prints one JSON object; the ratios are memory-efficient over plain, of the medians of the rounds.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from sprat.bench import cpu_name, load_average
from sprat.image import ImageSpec
from sprat.zoo import build, get_preset

NETWORKS = {"densenet_bc_100_12": (ImageSpec(3, 32, 32), 10), "densenet121": (ImageSpec(3, 224, 224), 1000)}
STEPS = 2  # the second has gradients and momentum from the first


def max_rss_bytes() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def warm_up() -> None:
    """Loads the libraries behind convolution, pooling and batch norm, whose memory is not the network's."""
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.AvgPool2d(2))
    net(torch.randn(2, 3, 8, 8)).sum().backward()


def measure(name: str, memory_efficient: bool, batch: int) -> dict[str, float]:
    """Memory and time of training steps in this process."""
    image, classes = NETWORKS[name]
    torch.manual_seed(0)
    warm_up()
    x, labels = torch.randn(batch, *image.shape), torch.randint(0, classes, (batch,))
    before = max_rss_bytes()
    net = build(replace(get_preset(name), memory_efficient=memory_efficient), image, classes).train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    own = {tensor.untyped_storage().data_ptr() for tensor in net.state_dict().values()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    seconds = []
    for _ in range(STEPS):
        start = time.perf_counter()
        kept.clear()
        with saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = nn.functional.cross_entropy(net(x), labels)
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
        loss_value = loss.item()
        del loss
        optimizer.zero_grad(set_to_none=False)
    return {
        "peak_bytes": max_rss_bytes() - before,
        "kept_bytes": sum(kept.values()),
        "step_s": round(seconds[-1], 3),
        "loss": loss_value,
    }


def in_fresh_process(name: str, memory_efficient: bool, batch: int) -> dict[str, float]:
    kind = "memory_efficient" if memory_efficient else "plain"
    command = [sys.executable, __file__, "--measure", name, kind, str(batch)]
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def compare(name: str, batch: int, rounds: int) -> dict[str, Any]:
    """Both ways of one network, measured in turns."""
    seen: dict[bool, list[dict[str, float]]] = {False: [], True: []}
    for _ in range(rounds):
        for memory_efficient, results in seen.items():
            results.append(in_fresh_process(name, memory_efficient, batch))
    medians = {
        kind: {key: statistics.median(result[key] for result in seen[efficient]) for key in seen[efficient][0]}
        for kind, efficient in (("plain", False), ("memory_efficient", True))
    }
    ratios = {
        f"{key}_ratio": round(medians["memory_efficient"][key] / medians["plain"][key], 3)
        for key in ("peak_bytes", "kept_bytes", "step_s")
    }
    return {"network": name, "image": str(NETWORKS[name][0]), "batch": batch, **ratios, **medians}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-cifar", type=int, default=32)
    parser.add_argument("--batch-imagenet", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", nargs=3, metavar=("NETWORK", "KIND", "BATCH"), help="one measurement, here")
    options = parser.parse_args()
    if options.measure:
        name, kind, batch = options.measure
        print(json.dumps(measure(name, kind == "memory_efficient", int(batch))))
        return
    batches = {"densenet_bc_100_12": options.batch_cifar, "densenet121": options.batch_imagenet}
    print(
        json.dumps(
            {
                "networks": [compare(name, batch, options.rounds) for name, batch in batches.items()],
                "rounds": options.rounds,
                "steps": STEPS,
                "device": cpu_name(),
                "threads": torch.get_num_threads(),
                "load_average": load_average(),
                "torch": torch.__version__,
                "python": platform.python_version(),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
