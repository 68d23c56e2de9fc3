"""The readers of PyTorch's files: written here by torch and safetensors, and a real one."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sprat.errors import BadInput
from sprat.weights.foreign import READERS, Foreign, first_bytes, read_foreign
from sprat.weights.importing import import_weights

Save = Callable[[Any, Path], None]


def as_zip(value: Any, path: Path) -> None:
    torch.save(value, path)


def as_legacy(value: Any, path: Path) -> None:
    torch.save(value, path, _use_new_zipfile_serialization=False)


def small_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Linear(4, 2))


def same(foreign: Foreign, state: dict[str, torch.Tensor]) -> None:
    assert list(foreign.tensors) == list(state)
    for name, value in state.items():
        found = foreign.tensors[name]
        assert found.dtype == (np.float32 if value.is_floating_point() else value.numpy().dtype)
        np.testing.assert_array_equal(found, value.float().numpy())


@pytest.mark.parametrize("save", [as_zip, as_legacy])
@pytest.mark.parametrize("wrapper", ["", "state_dict", "model", "model_state_dict"])
def test_state_dicts_in_their_wrappers(tmp_path: Path, save: Save, wrapper: str) -> None:
    net = small_net()
    state = net.state_dict()
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9).state_dict()
    steps = torch.optim.lr_scheduler.MultiStepLR(torch.optim.SGD(net.parameters(), 0.1), [3, 5]).state_dict()
    wrapped = {"epoch": 7, "best": 0.5, "optimizer": optimizer, "steps": {"milestones": steps["milestones"]}}
    save({**wrapped, wrapper: state} if wrapper else state, tmp_path / "x")
    foreign = read_foreign(tmp_path / "x")
    assert foreign.format == "torch"
    same(foreign, state)


@pytest.mark.parametrize("save", [as_zip, as_legacy])
@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod."])
def test_a_prefix_of_all_names_is_left_out(tmp_path: Path, save: Save, prefix: str) -> None:
    state = small_net().state_dict()
    save({f"{prefix}{name}": value for name, value in state.items()}, tmp_path / "x")
    foreign = read_foreign(tmp_path / "x")
    assert list(foreign.tensors) == list(state)


@pytest.mark.parametrize("save", [as_zip, as_legacy])
def test_types_views_and_parameters(tmp_path: Path, save: Save) -> None:
    base = torch.arange(24.0).reshape(4, 6)
    state = {
        "half": base.half(), "bfloat16": base.bfloat16(), "double": base.double(), "whole": torch.arange(3),
        "turned": base.t(), "part": base[1:3, ::2], "scalar": torch.tensor(2.5), "empty": torch.empty(0, 3),
        "tied": base, "parameter": nn.Parameter(base.clone()), "flags": torch.tensor([True, False]),
    }  # fmt: skip
    save(OrderedDict(state), tmp_path / "x")
    same(read_foreign(tmp_path / "x"), {name: value.detach() for name, value in state.items()})


def test_safetensors(tmp_path: Path) -> None:
    state = {name: value.bfloat16() if value.ndim == 4 else value for name, value in small_net().state_dict().items()}
    save_file(state, tmp_path / "x", metadata={"format": "pt"})
    foreign = read_foreign(tmp_path / "x")
    assert foreign.format == "safetensors"
    same(foreign, {name: state[name] for name in foreign.tensors})
    assert set(foreign.tensors) == set(state)


def test_each_file_has_one_reader(tmp_path: Path) -> None:
    state = small_net().state_dict()
    as_zip(state, tmp_path / "zip.pth")
    as_legacy(state, tmp_path / "legacy.pth")
    save_file(state, tmp_path / "st.safetensors")
    for path, name in (("zip.pth", "torch"), ("legacy.pth", "torch"), ("st.safetensors", "safetensors")):
        head = first_bytes(tmp_path / path)
        assert [key for key in READERS if READERS.get(key).recognises(tmp_path / path, head)] == [name]


def test_the_real_resnet_saved_on_a_gpu(shared: Path) -> None:
    path = shared / "weights" / "resnet20-cifar10.th"
    foreign = read_foreign(path)
    assert foreign.format == "torch"
    assert foreign.tensors["layer3.2.conv2.weight"].shape == (64, 64, 3, 3)
    learned = [name for name in foreign.tensors if "running" not in name]
    assert sum(foreign.tensors[name].size for name in learned) == 269_722  # of ResNet-20, arXiv:1512.03385
    imported = import_weights(path)
    assert (imported.model, imported.network.source) == ("resnet_cifar_20", "akamaster")
    np.testing.assert_array_equal(imported.state["head.2.bias"], foreign.tensors["linear.bias"])
    assert imported.manifest.classes[:3] == ("airplane", "automobile", "bird")


@pytest.mark.parametrize("value", [{"epoch": 3}, torch.zeros(3), [torch.zeros(3)], {"a": {"b": torch.zeros(1)}}, 5])
def test_no_state_dict(tmp_path: Path, value: Any) -> None:
    as_zip(value, tmp_path / "x")
    with pytest.raises(BadInput, match="holds no state dict"):
        read_foreign(tmp_path / "x")
