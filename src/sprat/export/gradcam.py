"""Grad-CAM: which part of an image speaks for a class."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sprat.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor, nn


def grad_cam(net: "nn.Module", x: "Tensor", class_index: int) -> NDArray[np.float32]:
    """A heat map (H, W), 0 to 1, of where the last feature map speaks for a class; all 0 where nothing does.

    Source: Grad-CAM (arXiv:1610.02391), section 3: channels of the last map weighted by the mean gradient of the logit,
    summed, negative parts dropped; then enlarged to the image by bilinear interpolation.

    Args:
        net: with `features(x)`, a list of maps, and `head`; used in inference mode and left in the mode it had.
        x: one preprocessed image (1, C, H, W).
        class_index: of the logit to explain.

    Raises:
        BadInput: x is not one image, or there is no such class.
    """
    import torch
    from torch.nn import functional

    if x.ndim != 4 or len(x) != 1:
        raise BadInput(f"grad_cam explains one image (1, C, H, W); got {tuple(x.shape)}")
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        with torch.no_grad():
            last = net.features(x)[-1]  # type: ignore[operator]
        with torch.enable_grad():
            last = last.detach().requires_grad_()
            logits = net.head(last.clone())  # type: ignore[operator]
            if not 0 <= class_index < logits.shape[1]:
                raise BadInput(f"grad_cam for class {class_index}: the network has classes 0 to {logits.shape[1] - 1}")
            (gradient,) = torch.autograd.grad(logits[0, class_index], last)
    finally:
        for module, training in modes:
            module.training = training
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    heat = torch.relu((weights * last.detach()).sum(1, keepdim=True))
    heat = functional.interpolate(heat, size=x.shape[2:], mode="bilinear", align_corners=False)[0, 0]
    peak = heat.max()
    result: NDArray[np.float32] = (heat / peak if peak > 0 else heat).cpu().numpy()
    return result
