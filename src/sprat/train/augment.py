"""Random changes to a batch of images, vectorised: one gather for flip and shift, one sampling grid for the rest."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from sprat.recipe import Augment


def augment(images: Tensor, recipe: Augment, generator: torch.Generator) -> Tensor:
    """Randomly changed copies of uint8 images (N, H, W, C), as float32 (N, C, H, W) in channels-last memory, 0..255.

    Each image draws its own changes from `generator` (on the CPU, so that runs repeat on any device).
    """
    moved = (
        _affine(images, recipe, generator) if recipe.rotate or recipe.zoom else _shift_flip(images, recipe, generator)
    )
    if recipe.color:
        moved = _color(moved, recipe.color, generator)
    if recipe.cutout:
        moved = _cutout(moved, recipe.cutout, generator)
    return moved


def _uniform(num: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.rand(num, generator=generator) * (high - low) + low


def _shift_flip(images: Tensor, recipe: Augment, generator: torch.Generator) -> Tensor:
    """Whole-pixel shifts with mirrored borders, and mirroring left-right: a pure gather on uint8."""
    num, height, width, _ = images.shape
    rows = torch.arange(height).expand(num, -1)
    columns = torch.arange(width).expand(num, -1)
    if recipe.flip:
        mirrored = torch.rand(num, 1, generator=generator) < 0.5
        columns = torch.where(mirrored, width - 1 - columns, columns)
    if recipe.shift:
        for_rows, for_columns = round(height * recipe.shift), round(width * recipe.shift)
        rows = rows + torch.randint(-for_rows, for_rows + 1, (num, 1), generator=generator)
        columns = columns + torch.randint(-for_columns, for_columns + 1, (num, 1), generator=generator)
    rows, columns = _reflect(rows, height), _reflect(columns, width)
    which = torch.arange(num)[:, None, None]
    moved = images[which, rows[:, :, None].to(images.device), columns[:, None, :].to(images.device)]  # (N, H, W, C)
    return moved.permute(0, 3, 1, 2).float()


def _reflect(index: Tensor, size: int) -> Tensor:
    """Indices folded back into 0..size-1 as mirrors at both borders would."""
    if size == 1:
        return torch.zeros_like(index)
    period = 2 * (size - 1)
    folded = index.remainder(period)
    return torch.where(folded >= size, period - folded, folded)


def _affine(images: Tensor, recipe: Augment, generator: torch.Generator) -> Tensor:
    """Rotation, change of scale, shift and mirroring by bilinear sampling with mirrored borders."""
    num, height, width, _ = images.shape
    angle = _uniform(num, -recipe.rotate, recipe.rotate, generator) * (math.pi / 180)
    scale = torch.exp(_uniform(num, -1.0, 1.0, generator) * math.log1p(recipe.zoom))
    mirror = torch.where(torch.rand(num, generator=generator) < 0.5, -1.0, 1.0) if recipe.flip else torch.ones(num)
    shift_x = _uniform(num, -2.0, 2.0, generator) * recipe.shift
    shift_y = _uniform(num, -2.0, 2.0, generator) * recipe.shift
    aspect = width / height
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.stack(
        [
            torch.stack([cosine * mirror, -sine / aspect, shift_x], 1),
            torch.stack([sine * aspect * mirror, cosine, shift_y], 1),
        ],
        1,
    )  # (N, 2, 3)
    grid = functional.affine_grid(theta, [num, 1, height, width], align_corners=False).to(images.device)
    pixels = images.permute(0, 3, 1, 2).float()
    return functional.grid_sample(pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _color(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Brightness, contrast and, for colour images, saturation; each by a factor in 1 +- strength."""
    num = len(images)

    def factor() -> Tensor:
        return _uniform(num, 1 - strength, 1 + strength, generator).view(num, 1, 1, 1).to(images.device)

    images = images * factor()
    mean = images.mean((1, 2, 3), keepdim=True)
    images = (images - mean) * factor() + mean
    if images.shape[1] == 3:
        grey = images.mean(1, keepdim=True)
        images = (images - grey) * factor() + grey
    return images.clamp(0, 255)


def _cutout(images: Tensor, fraction: float, generator: torch.Generator) -> Tensor:
    """A square of `fraction` of the shorter side set to each image's mean (arXiv:1708.04552)."""
    num, _, height, width = images.shape
    half = max(1, round(min(height, width) * fraction)) / 2
    y = (torch.rand(num, 1, 1, generator=generator) * height).to(images.device)
    x = (torch.rand(num, 1, 1, generator=generator) * width).to(images.device)
    rows = (torch.arange(height, device=images.device).view(1, -1, 1) + 0.5 - y).abs() < half
    columns = (torch.arange(width, device=images.device).view(1, 1, -1) + 0.5 - x).abs() < half
    inside = (rows & columns).unsqueeze(1)
    return torch.where(inside, images.mean((2, 3), keepdim=True), images)


def mix(images: Tensor, targets: Tensor, probability: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """With this probability a mixed batch: mixup (arXiv:1710.09412) or cutmix (arXiv:1905.04899), half of them each.

    Args:
        images: (N, C, H, W).
        targets: (N, num_classes), rows sum to 1.
        probability: of mixing this batch at all.
        generator: CPU generator.
    """
    draw, kind, share, centre_y, centre_x = torch.rand(5, generator=generator).tolist()
    order = torch.randperm(len(images), generator=generator).to(images.device)
    if draw >= probability:
        return images, targets
    if kind < 0.5:
        mixed = torch.lerp(images, images[order], share)
    else:
        height, width = images.shape[2:]
        half_y, half_x = height * math.sqrt(share) / 2, width * math.sqrt(share) / 2
        top, bottom = max(0, round(centre_y * height - half_y)), min(height, round(centre_y * height + half_y))
        left, right = max(0, round(centre_x * width - half_x)), min(width, round(centre_x * width + half_x))
        mixed = images.clone()
        mixed[:, :, top:bottom, left:right] = images[order][:, :, top:bottom, left:right]
        share = (bottom - top) * (right - left) / (height * width)
    return mixed, torch.lerp(targets, targets[order], share)
