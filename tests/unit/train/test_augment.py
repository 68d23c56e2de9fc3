"""Augmentation: each change does what its name says, and repeats with its seed."""

import pytest
import torch

from sprat.recipe import Augment
from sprat.train.augment import augment, mix

NOTHING = Augment(flip=False, shift=0.0)


@pytest.fixture
def images():
    return torch.randint(0, 256, (16, 12, 10, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def seeded(seed=3):
    return torch.Generator().manual_seed(seed)


def test_nothing_changes_nothing(images):
    out = augment(images, NOTHING, seeded())
    assert out.shape == (16, 3, 12, 10)
    assert torch.equal(out, images.permute(0, 3, 1, 2).float())


@pytest.mark.parametrize(
    "recipe", [Augment(), Augment(rotate=10.0, zoom=0.2), Augment(color=0.4), Augment(cutout=0.4)], ids=str
)
def test_seeded_and_in_range(images, recipe):
    first, second, other = (augment(images, recipe, seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert first.min() >= 0
    assert first.max() <= 255


def test_flip_mirrors_about_half(images):
    out = augment(images, Augment(flip=True, shift=0.0), seeded())
    plain = images.permute(0, 3, 1, 2).float()
    kept = [torch.equal(a, b) for a, b in zip(out, plain, strict=True)]
    mirrored = [torch.equal(a, b.flip(2)) for a, b in zip(out, plain, strict=True)]
    assert all(k != m for k, m in zip(kept, mirrored, strict=True))
    assert 2 < sum(mirrored) < 14


def test_shift_moves_whole_pixels_with_mirrored_borders():
    ramp = torch.arange(8, dtype=torch.uint8).view(1, 1, 8, 1).expand(1, 8, 8, 1).contiguous()
    out = augment(ramp, Augment(flip=False, shift=0.25), seeded(1))[0, 0]
    steps = {abs(int(d)) for row in out for d in row.diff()}
    assert steps == {1}


def test_affine_without_strength_in_rotation_is_a_mirror_or_nothing(images):
    out = augment(images, Augment(flip=True, shift=0.0, zoom=1e-9), seeded())
    plain = images.permute(0, 3, 1, 2).float()
    for changed, original in zip(out, plain, strict=True):
        nearest = min((changed - original).abs().max(), (changed - original.flip(2)).abs().max())
        assert nearest < 0.01


def test_cutout_erases_about_its_area():
    white = torch.full((64, 20, 20, 1), 0, dtype=torch.uint8)
    white[:, ::2] = 255
    out = augment(white, Augment(flip=False, shift=0.0, cutout=0.5), seeded())
    erased = (out == 127.5).float().mean((1, 2, 3))
    assert 0.05 < erased.mean() < 0.25
    assert erased.max() <= 0.26


def test_mixing_keeps_targets_summing_to_one():
    x = torch.rand(32, 3, 8, 8)
    targets = torch.eye(4)[torch.arange(32) % 4]
    generator = seeded()
    for _ in range(20):
        mixed, soft = mix(x, targets, 1.0, generator)
        assert torch.allclose(soft.sum(1), torch.ones(32))
        assert mixed.shape == x.shape
    same, _ = mix(x, targets, 0.0, generator)
    assert same is x


def test_cutmix_targets_follow_the_pasted_area():
    x = torch.arange(32.0).view(32, 1, 1, 1).expand(32, 1, 10, 10).contiguous()
    targets = torch.eye(32)
    for seed in range(12):
        mixed, soft = mix(x, targets, 1.0, seeded(seed))
        for row, picture, target in zip(range(32), mixed, soft, strict=True):
            own = (picture == row).float().mean()
            if len(picture.unique()) == 2:
                assert target[row] == pytest.approx(float(own), abs=1e-5)
