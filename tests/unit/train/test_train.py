"""Training: learns, stops and goes on bit for bit, notices when it does not learn."""

from dataclasses import replace
from itertools import islice

import pytest
import torch

from sprat.errors import BadInput
from sprat.recipe import Augment, Recipe
from sprat.train import Stuck, new_state, train
from sprat.train.state import note_of

CPU = torch.device("cpu")
RECIPE = Recipe(
    epochs=3,
    batch_size=64,
    lr=0.1,
    ema=0.9,
    augment=Augment(flip=False, rotate=5.0, zoom=0.1, color=0.1, cutout=0.2, mix=0.5),
)


def run(state, recipe, data, preprocess, **options):
    return list(train(state, recipe, data, preprocess, device=CPU, **options))


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_it_learns(digits, preprocess, make_net):
    recipe = Recipe(epochs=8, batch_size=32, lr=0.1, ema=0.95, augment=Augment(flip=False, shift=0.0))
    epochs = run(new_state(make_net(), recipe), recipe, digits, preprocess)
    assert len(epochs) == 8
    assert epochs[-1].val.accuracy > 0.9
    assert epochs[-1].loss < epochs[0].loss
    assert epochs[-1].state.progress == 1


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_restored_training_ends_bit_equal(digits, preprocess, make_net, optimizer):
    recipe = replace(RECIPE, optimizer=optimizer, lr=0.1 if optimizer == "sgd" else 3e-3, clip=1.0)
    whole = new_state(make_net(), recipe)
    run(whole, recipe, digits, preprocess)

    first = new_state(make_net(), recipe)
    for _ in islice(train(first, recipe, digits, preprocess, device=CPU), 1):
        saved = first.to_bytes({"phase": "train"})
    assert note_of(saved) == {"phase": "train"}
    second = new_state(make_net(seed=5), recipe)
    second.restore(saved)
    run(second, recipe, digits, preprocess)

    assert same(whole.net, second.net)
    assert same(whole.average, second.average)
    assert whole.step == second.step


def test_a_checkpoint_of_another_network_is_refused(digits, preprocess, make_net):
    state = new_state(torch.nn.Linear(2, 2), RECIPE)
    with pytest.raises(BadInput, match="does not belong"):
        new_state(make_net(), RECIPE).restore(state.to_bytes({}))
    with pytest.raises(BadInput, match="damaged"):
        note_of(b"\x05\x00\x00\x00\x00\x00\x00\x00nonsense")


def test_a_time_limit_ends_the_schedule(digits, preprocess, make_net):
    recipe = replace(RECIPE, epochs=10_000)
    state = new_state(make_net(), recipe)
    epochs = run(state, recipe, digits, preprocess, time_limit_s=2.0)
    assert state.progress == 1
    assert epochs[-1].lr < recipe.lr / 3  # the cosine has come down
    assert len(epochs) < 1000


def test_diverging_is_noticed(digits, preprocess, make_net):
    recipe = replace(RECIPE, lr=1e12, warmup=0.0)
    with pytest.raises(Stuck) as stuck:
        run(new_state(make_net(), recipe), recipe, digits, preprocess)
    assert stuck.value.kind == "nan"


def test_staying_at_chance_is_noticed(digits, preprocess, make_net):
    recipe = replace(RECIPE, lr=1e-9, epochs=6, augment=Augment(flip=False))
    with pytest.raises(Stuck) as stuck:
        run(new_state(make_net(), recipe), recipe, digits, preprocess)
    assert stuck.value.kind == "flat"


def test_a_teacher_is_imitated(digits, preprocess, make_net):
    recipe = Recipe(epochs=4, batch_size=32, lr=0.1, ema=0.9, augment=Augment(flip=False))
    teacher = new_state(make_net(), recipe)
    run(teacher, recipe, digits, preprocess)
    student = new_state(make_net(seed=1), recipe)
    epochs = run(student, recipe, digits, preprocess, teacher=teacher.average.eval())
    assert epochs[-1].val.accuracy > 0.8


def test_frozen_norm_keeps_statistics(digits, preprocess, make_net):
    recipe = replace(RECIPE, epochs=1, lr=0.01)
    net = make_net()
    before = {name: value.clone() for name, value in net.state_dict().items() if "running" in name}
    run(new_state(net, recipe), recipe, digits, preprocess, frozen_norm=True)
    assert before
    assert all(torch.equal(net.state_dict()[name], value) for name, value in before.items())
