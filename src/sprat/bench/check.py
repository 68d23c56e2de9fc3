"""Check: predicted beside measured latency of networks that no calibration has seen."""

import csv
import io
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from sprat.bench.measure import measure_net
from sprat.cost.trace import trace
from sprat.errors import BadInput
from sprat.image import ImageSpec
from sprat.latency import Errors, LatencyModel, errors, kernels
from sprat.zoo import build, family_of

SIDES = (32, 48, 64, 80, 96, 112, 128, 160, 192, 224)
CLASSES = (10, 100, 1000)
MAX_OPERATORS = 800  # exporting more takes minutes


@dataclass(frozen=True, slots=True)
class Network:
    """What to measure.

    Args:
        name: as the pool has it.
        config: value that the zoo builds.
        image: the input.
        num_classes: of the classifier.
    """

    name: str
    config: Any
    image: ImageSpec
    num_classes: int


@dataclass(frozen=True, slots=True)
class Checked:
    """Predicted and measured milliseconds of one network; `error` is predicted / measured - 1."""

    name: str
    image: str
    num_classes: int
    macs: int
    predicted_ms: float
    measured_ms: float
    error: float
    load_average: float | None


def check(model: LatencyModel, networks: Sequence[Network]) -> Iterator[Checked]:
    """Each network built with random weights, predicted from its trace, exported and measured in a fresh process."""
    for network in networks:
        with torch.device("meta"):
            net = build(network.config, network.image, network.num_classes)
        run = trace(net, network.image)
        predicted = model.predict(kernels(run, model.block))
        seen = measure_net(net, network.image, memory=False)["latency"]
        yield Checked(
            network.name,
            str(network.image),
            network.num_classes,
            sum(op.macs for op in run.ops),
            round(predicted, 4),
            round(seen["median_ms"], 4),
            round(predicted / seen["median_ms"] - 1, 4),
            seen["load_average"],
        )


def held_out(
    pool: Mapping[str, Any], num: int, *, max_macs: float = 1.5e9, max_params: int = 40_000_000
) -> list[Network]:
    """`num` networks of the pool, drawn by a fixed seed: families in turn, sides 32 to 224, 10 to 1,000 classes.

    Args:
        pool: candidate names and configs.
        num: networks wanted; fewer where the pool has no more.
        max_macs: multiply-adds of the largest.
        max_params: likewise.
    """
    rng = random.Random(0)
    families: dict[str, list[tuple[str, int]]] = {}
    for name, config in pool.items():
        families.setdefault(family_of(config).name, []).extend((name, side) for side in SIDES)
    for places in families.values():
        rng.shuffle(places)
    chosen: list[Network] = []
    while len(chosen) < num and any(families.values()):
        for places in families.values():
            while places and len(chosen) < num:
                name, side = places.pop()
                network = Network(name, pool[name], ImageSpec(3, side, side), rng.choice(CLASSES))
                if _is_small(network, max_macs, max_params):
                    chosen.append(network)
                    break
    return chosen


def _is_small(network: Network, max_macs: float, max_params: int) -> bool:
    try:
        with torch.device("meta"):
            net = build(network.config, network.image, network.num_classes)
        run = trace(net, network.image)
    except BadInput:  # the image is too small for it
        return False
    if len(run.ops) > MAX_OPERATORS:
        return False
    return sum(op.macs for op in run.ops) <= max_macs and sum(p.numel() for p in net.parameters()) <= max_params


def summary(checked: Sequence[Checked]) -> Errors:
    """The errors of all networks checked."""
    return errors([one.predicted_ms for one in checked], [one.measured_ms for one in checked])


def table(checked: Sequence[Checked]) -> bytes:
    """The rows of results/latency.csv."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(Checked.__slots__), lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(one) for one in checked)
    return text.getvalue().encode()
