"""The recipe of fit: sensible at every size, and JSON both ways."""

import json

import pytest

from sprat.image import ImageSpec
from sprat.recipes import Schedule, remedy, schedule_for
from sprat.zoo import create


def make(num_train=1000, image=ImageSpec(3, 32, 32), **options):
    given = {
        "net": create("mobilenet_v1_0.125", num_classes=10),
        "epochs": None,
        "seconds": None,
        "memory_batch": 1024,
        "seed": 0,
        **options,
    }
    return schedule_for(num_train, image, **given)


@pytest.mark.parametrize("num_train", [8, 50, 1_000, 45_000, 1_000_000])
def test_batches_leave_enough_steps(num_train):
    train = make(num_train).recipes["train"]
    assert 8 <= train.batch_size <= 128
    assert train.batch_size == 8 or num_train / train.batch_size >= 20
    assert 25 <= train.epochs <= 100
    assert train.lr == pytest.approx(0.4 * train.batch_size / 128)


def test_memory_bounds_the_batch():
    assert make(45_000, memory_batch=40).recipes["train"].batch_size == 32


def test_grey_images_are_not_mirrored():
    assert not make(image=ImageSpec(1, 28, 28)).recipes["train"].augment.flip
    assert make().recipes["train"].augment.flip


def test_every_phase_has_a_seed_of_its_own():
    seeds = [recipe.seed for seed in (0, 1) for recipe in make(seed=seed).recipes.values()]
    assert len(set(seeds)) == 8


def test_minutes_are_divided_and_json_survives():
    schedule = make(seconds=100.0)
    assert schedule.seconds is not None
    assert sum(schedule.seconds.values()) == pytest.approx(100)
    assert Schedule.from_dict(json.loads(json.dumps(schedule.to_dict()))) == schedule
    assert make().seconds is None


def test_the_network_has_a_say():
    assert make(net=create("shufflenet_v1_0.25_g3", num_classes=3)).recipes["train"].lr < make().recipes["train"].lr
    assert make(net=create("squeezenet_1.1", num_classes=3)).recipes["train"].optimizer == "adamw"


def test_remedies_take_smaller_bounded_steps():
    recipe = make().recipes["train"]
    for kind in ("nan", "flat"):
        assert remedy(recipe, kind).lr < recipe.lr
        assert remedy(recipe, kind).clip > 0
