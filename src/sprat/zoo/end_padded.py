"""The padding of TensorFlow's SAME in any network of ours, which networks trained there need.

Source: tensorflow.org, "tf.nn", notes on padding. SAME gives ceil(n / stride) outputs from just enough padding, half of
it before the image and, where that is odd, one more after it. With stride 1 and odd kernels that is our symmetric
padding; with stride 2 on an even side a 3x3 kernel gets nothing before and one after, so every window lies one pixel
further on. The counts are the same, the answers are not.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def end_padded(net: nn.Module, padding: str) -> nn.Module:
    """The network with its strided, padded layers replaced, in place; parameters and their names stay as they are.

    `padding` is "same" for convolutions and pools, "same_pools" for pools alone.

    A layer that pads nothing is VALID in TensorFlow's words and stays, but for a pool that rounds its size up; so does
    one of stride 1: SAME is symmetric then.
    """
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            replacement: nn.Module | None = None
            if isinstance(child, nn.Conv2d) and padding == "same" and _moves(child.stride, child.padding):
                replacement = SameConv2d.like(child)
            elif isinstance(child, nn.MaxPool2d) and _moves(child.stride, int(child.ceil_mode) or child.padding):
                replacement = SameMaxPool2d(child.kernel_size, child.stride)
            elif isinstance(child, nn.AvgPool2d) and _moves(child.stride, child.padding):
                replacement = SameAvgPool2d(child.kernel_size, child.stride)
            if replacement is not None:
                setattr(parent, name, replacement.train(child.training))
    return net


class SameConv2d(nn.Conv2d):
    """A convolution padded as SAME: (N, in, H, W) to (N, out, ceil(H / stride), ceil(W / stride))."""

    @classmethod
    def like(cls, conv: nn.Conv2d) -> "SameConv2d":
        """A convolution with the parameters of `conv`, shared with it."""
        with torch.device("meta"):
            same = cls(
                conv.in_channels,
                conv.out_channels,
                _both(conv.kernel_size),
                _both(conv.stride),
                dilation=_both(conv.dilation),
                groups=conv.groups,
                bias=conv.bias is not None,
            )
        same.weight, same.bias = conv.weight, conv.bias
        return same

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of x, padded at its end."""
        reach = [d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel_size, strict=True)]
        x = same_pad(x, reach, _both(self.stride), 0.0)
        return functional.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class SameMaxPool2d(nn.MaxPool2d):
    """The largest of each window, padded as SAME; padding never wins."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, ceil(H / stride), ceil(W / stride))."""
        kernel, stride = _both(self.kernel_size), _both(self.stride)
        return functional.max_pool2d(same_pad(x, kernel, stride, float("-inf")), kernel, stride)


class SameAvgPool2d(nn.AvgPool2d):
    """The mean of each window, padded as SAME; padding is not counted."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, ceil(H / stride), ceil(W / stride))."""
        kernel, stride = _both(self.kernel_size), _both(self.stride)
        inside = same_pad(torch.ones_like(x[:1, :1]), kernel, stride, 0.0)
        share = functional.avg_pool2d(inside, kernel, stride)
        return functional.avg_pool2d(same_pad(x, kernel, stride, 0.0), kernel, stride) / share


def same_pad(x: Tensor, kernel: Sequence[int], stride: Sequence[int], value: float) -> Tensor:
    """x with the padding of SAME: as little as gives ceil(side / stride) windows, the odd pixel at the end.

    Args:
        x: (N, C, H, W).
        kernel: (height, width) that a window reaches over.
        stride: (down, right).
        value: of the padding.
    """
    sides = []
    for side, reach, step in zip(x.shape[2:], kernel, stride, strict=True):
        total = max(0, (-(-side // step) - 1) * step + reach - side)
        sides.append((total // 2, total - total // 2))
    (top, bottom), (left, right) = sides
    return functional.pad(x, (left, right, top, bottom), value=value)


def _moves(stride: Any, padding: Any) -> bool:
    """Whether a layer of that stride and padding may pad otherwise under SAME."""
    return max(_both(stride)) > 1 and max(_both(padding)) > 0


def _both(value: Any) -> tuple[int, int]:
    """(height, width) of a side, or of two."""
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))
