"""Graph: the variables that TF-Slim's layers create, name to shape, without TensorFlow.

Source: slim's conv2d, separable_conv2d, fully_connected and batch_norm. Shapes are TensorFlow's: (H, W, I, O) of a
convolution, (H, W, I, M) of a depthwise one, (I, O) of a fully-connected layer.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

Shape = tuple[int, ...]
TRAINED = ("weights", "depthwise_weights", "pointwise_weights", "biases", "gamma", "beta")
STATISTICS = ("moving_mean", "moving_variance")
BACKGROUND = 1001  # classes of the networks that slim trained; those converted from Caffe have 1,000


@dataclass
class Graph:
    """Variables in the order of their creation.

    Args:
        scope: of the network, before every name.
        scale: whether norms have a gamma.
    """

    scope: str
    scale: bool = False
    shapes: dict[str, Shape] = field(default_factory=dict)

    def put(self, name: str, *shape: int) -> None:
        """One variable; a name is created once."""
        full = f"{self.scope}/{name}" if self.scope else name
        assert full not in self.shapes, full
        self.shapes[full] = shape

    def norm(self, name: str, channels: int) -> None:
        """slim.batch_norm of that scope."""
        for part in ("gamma", "beta") if self.scale else ("beta",):
            self.put(f"{name}/{part}", channels)
        self.put(f"{name}/moving_mean", channels)
        self.put(f"{name}/moving_variance", channels)

    def conv(self, name: str, inputs: int, outputs: int, kernel: Shape = (1, 1), *, after: str = "norm") -> int:
        """slim.conv2d; `after` it a "norm", a "bias" or "nothing". Returns outputs."""
        self.put(f"{name}/weights", *kernel, inputs, outputs)
        return self._after(name, outputs, after)

    def depthwise(self, name: str, inputs: int, kernel: int, *, after: str = "norm") -> int:
        """slim.separable_conv2d without a pointwise part. Returns inputs."""
        self.put(f"{name}/depthwise_weights", kernel, kernel, inputs, 1)
        return self._after(name, inputs, after)

    def separable(
        self, name: str, inputs: int, outputs: int, kernel: int, *, multiplier: int = 1, after: str = "nothing"
    ) -> int:
        """slim.separable_conv2d: what follows it follows the pointwise part. Returns outputs."""
        self.put(f"{name}/depthwise_weights", kernel, kernel, inputs, multiplier)
        self.put(f"{name}/pointwise_weights", 1, 1, inputs * multiplier, outputs)
        return self._after(name, outputs, after)

    def dense(self, name: str, inputs: int, outputs: int) -> None:
        """slim.fully_connected."""
        self.put(f"{name}/weights", inputs, outputs)
        self.put(f"{name}/biases", outputs)

    def _after(self, name: str, channels: int, after: str) -> int:
        if after == "norm":
            self.norm(f"{name}/BatchNorm", channels)
        elif after == "bias":
            self.put(f"{name}/biases", channels)
        return channels

    def chain(self, scope: str, inputs: int, layers: str) -> int:
        """Convolutions one after the other; those after "|" side by side on what came before. Returns the channels.

        A layer is "0a_1x1=64": its scope (after "Conv2d_" where left out), then its channels. The kernel is that
        of the name, or follows as "@3x3" where it is another.
        """
        before, _, fork = layers.partition("|")
        for layer in before.split():
            inputs = self._layer(scope, inputs, layer)
        return sum(self._layer(scope, inputs, layer) for layer in fork.split()) or inputs

    def _layer(self, scope: str, inputs: int, layer: str) -> int:
        name, _, rest = layer.partition("=")
        channels, _, kernel = rest.partition("@")
        [(height, width)] = re.findall(r"(\d)x(\d)$", kernel or name)
        full = name if name.startswith("Conv") else f"Conv2d_{name}"
        return self.conv(f"{scope}{full}", inputs, int(channels), (int(height), int(width)))

    def mixed(self, scope: str, inputs: int, *branches: str) -> int:
        """Branches side by side, an empty one is a pool alone. Returns the channels of their concatenation."""
        return sum(self.chain(f"{scope}/Branch_{n}/", inputs, layers) for n, layers in enumerate(branches))


def shadowed(shapes: dict[str, Shape], suffix: str, of: Sequence[str]) -> dict[str, Shape]:
    """What a training run keeps beside variables whose names end in one of `of`: the same shapes, a longer name."""
    return {f"{name}/{suffix}": shape for name, shape in shapes.items() if name.split("/")[-1] in of}
