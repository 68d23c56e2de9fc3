"""Measure: latency and memory of one network on this machine, and the latency that was predicted for it."""

import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sprat.bench.latency import latency
from sprat.bench.memory import peak_memory
from sprat.cost.trace import trace
from sprat.errors import BadArtifact, BadInput
from sprat.export import to_onnx
from sprat.image import ImageSpec
from sprat.latency import LatencyModel, kernels
from sprat.needed import import_late
from sprat.preprocess import Preprocess

RUNS = 2  # fresh processes a network; the lower median counts, as other programs only ever add time


def measure_net(net: nn.Module, image: ImageSpec, *, memory: bool = True) -> dict[str, Any]:
    """What the export of a network takes: "image", "predicted_ms" (None without a calibration), "latency", "memory".

    Args:
        net: on the meta device, where it gets random weights, or with weights, which are kept.
        image: the input.
        memory: whether to measure that too.

    Raises:
        BadInput: the network cannot take such an image, or PyTorch cannot export it.
    """
    run = trace(net, image)
    num_classes = run.ops[-1].out_shapes[0][-1]
    model = LatencyModel.load()
    predicted = None if model is None else round(model.predict(kernels(run, model.block)), 4)
    if any(tensor.is_meta for tensor in (*net.parameters(), *net.buffers())):
        net = _filled(net)
    grey = (127.5,) * image.channels, (64.0,) * image.channels
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        to_onnx(net, Preprocess(*image.shape, *grey), [str(index) for index in range(num_classes)], path)
        return {"image": list(image.shape), "predicted_ms": predicted, **_measured(path, image, memory)}


def measure_file(path: Path, image: ImageSpec | None = None) -> dict[str, Any]:
    """What an .onnx file takes, as `measure_net` has it; nothing is predicted, as the file is measured as it is.

    Args:
        path: a file made by `to_onnx`.
        image: the input; None for the size that the network in the file has.

    Raises:
        BadArtifact: the file cannot be run.
    """
    image = image or _own_size(path)
    return {"image": list(image.shape), "predicted_ms": None, **_measured(path, image, True)}


def _measured(path: Path, image: ImageSpec, memory: bool) -> dict[str, Any]:
    size = (image.height, image.width)
    runs = [latency(path, size) for _ in range(RUNS)]
    seen = min(runs, key=lambda run: float(run["median_ms"]))
    return {"latency": seen, "memory": peak_memory(path, size) if memory else None}


def _own_size(path: Path) -> ImageSpec:
    """The (C, H, W) that the network in the file takes, behind the preprocessing."""
    onnx = import_late("onnx")
    try:
        values = onnx.load(str(path)).graph.value_info
    except FileNotFoundError as error:
        raise BadInput(f"there is no file {path}") from error
    except Exception as error:  # protobuf's own types
        raise BadArtifact(f"{path} is not an ONNX file: {error}") from error
    for value in values:
        if value.name == "pixels":
            return ImageSpec(*(side.dim_value for side in value.type.tensor_type.shape.dim[1:]))
    raise BadArtifact(f"{path} was not made by sprat, so its input size is not known; give it with --image")


def _filled(net: nn.Module) -> nn.Module:
    """A network of the meta device on the CPU, with weights under which activations keep their size.

    Activations that fade out, as under some initial values, are denormal numbers, with which a CPU is slow.

    Args:
        net: changed: its tensors are allocated and filled.
    """
    net = net.to_empty(device="cpu").eval()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        for parameter in net.parameters():
            if parameter.dim() < 2:
                parameter.fill_(0.5)
            else:
                bound = (6 / max(1, parameter[0].numel())) ** 0.5
                parameter.uniform_(-bound, bound)
        for name, buffer in net.named_buffers():
            buffer.fill_(1) if name.endswith("running_var") else buffer.zero_()
    return net
