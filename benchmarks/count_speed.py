"""How long counting takes: one network, and the whole pool as `sprat pick` counts it on its first call.

python benchmarks/count_speed.py [--pool]
"""

import argparse
import json
import os
import statistics
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from sprat.bench import cpu_name, load_average
from sprat.budget import Budget
from sprat.conditions import versions
from sprat.cost import count
from sprat.image import ImageSpec
from sprat.search.shortlist import RESOLUTIONS, shortlist
from sprat.zoo import create

IMAGE = ImageSpec(3, 224, 224)


def seconds_of_count(name: str, repeats: int = 15) -> float:
    times = []
    for _ in range(repeats):
        with torch.device("meta"):
            net = create(name)
        start = time.perf_counter()
        count(net, IMAGE)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", action="store_true", help="also the whole pool, about a minute")
    given = parser.parse_args()
    found: dict[str, object] = {"mobilenet_v1_1.0_s": round(seconds_of_count("mobilenet_v1_1.0"), 4)}
    found["nasnet_a_4_1056_s"] = round(seconds_of_count("nasnet_a_4_1056", 5), 4)
    if given.pool:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["XDG_CACHE_HOME"] = folder
            images = [ImageSpec(3, side, side) for side in RESOLUTIONS]
            for what in ("pool_first_s", "pool_again_s"):
                start = time.perf_counter()
                listed = shortlist(images, 1000, Budget(max_bytes=500_000))
                found[what] = round(time.perf_counter() - start, 2)
            found["candidates"] = len(listed.choices)
    print(json.dumps({**found, "cpu": cpu_name(), "threads": 1, "load_average": load_average(), **versions()}))


if __name__ == "__main__":
    main()
