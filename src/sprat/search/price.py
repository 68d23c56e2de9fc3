"""Price: what the network of a config costs, built without weights."""

from collections import Counter
from functools import lru_cache
from typing import Any

from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors

from sprat.cost import Cost, count
from sprat.cost.count import cost_of
from sprat.cost.trace import trace
from sprat.image import ImageSpec
from sprat.latency.shadow import kernels
from sprat.search.catalogue import Entry
from sprat.search.size_model import footprint
from sprat.zoo import build, config_to_dict


@lru_cache(maxsize=4096)
def price(config: Any, image: ImageSpec, num_classes: int) -> Cost:
    """What the network of a config costs; built on the meta device, so nothing is allocated. Remembered.

    Raises:
        BadInput: the config cannot take this image or number of classes.
    """
    with _Blank():
        net = build(config, image, num_classes)
    return count(net, image)


def price_entry(name: str, config: Any, image: ImageSpec, num_classes: int, block: int) -> Entry:
    """The same as an entry of the catalogue, with the kernels that ONNX Runtime would run.

    Args:
        name: of the candidate.
        config: value that the zoo builds.
        image: the input.
        num_classes: of the classifier.
        block: channels in a block of the runtime's layout, see sprat.latency.

    Raises:
        BadInput: the config cannot take this image or number of classes.
    """
    with _Blank():
        net = build(config, image, num_classes)
    run = trace(net, image)
    cost = cost_of(run)
    parts = footprint(cost.layers)
    return Entry(
        name=name,
        architecture=config_to_dict(config),
        params=cost.params,
        macs=cost.macs,
        elementwise=cost.elementwise,
        peak_bytes=cost.peak_bytes,
        weights=parts.weights,
        fixed_bytes=parts.fixed_bytes,
        kernels=tuple(Counter(kernels(run, block)).items()),
    )


class _Blank(TorchFunctionMode):
    """Puts new tensors on the meta device and leaves out filling them, which means nothing there and takes long."""

    FILLS = frozenset({"normal_", "uniform_", "constant_", "kaiming_uniform_", "trunc_normal_", "fill_", "zero_"})
    MAKES = frozenset(_device_constructors())

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in self.FILLS:
            return args[0] if args else kwargs["tensor"]
        if func in self.MAKES and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": "meta"}
        return func(*args, **kwargs)
