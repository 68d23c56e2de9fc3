"""The Keras reader on damaged and hostile files: nothing but BadInput, and no memory that the file cannot fill."""

import contextlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from keras_writer import LAYERS, Layer, assert_same, some, write_h5, write_keras, write_list, write_weights_h5

from sprat.errors import BadInput
from sprat.weights.formats.keras import _recognises, read
from sprat.weights.parse.keras_names import layers_of


def refused(path: Path, why: str) -> None:
    with pytest.raises(BadInput, match=why) as caught:
        read(path)
    assert path.name in str(caught.value)


def test_hdf5_without_layers_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = np.zeros(3)
    refused(tmp_path / "other.h5", "holds no weights of Keras layers")
    refused(write_h5(tmp_path / "empty.h5", [Layer("flatten", "Flatten")]), "holds no weights")


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    for write in (write_h5, write_weights_h5, write_keras):
        whole = write(tmp_path / "whole", LAYERS).read_bytes()
        path = tmp_path / "cut.h5"
        for length in [*range(0, 600, 37), *range(600, len(whole) - 1, len(whole) // 60)]:
            path.write_bytes(whole[:length])
            with pytest.raises(BadInput):
                read(path)


@pytest.mark.parametrize("write", [write_h5, write_weights_h5, write_keras])
def test_changed_bytes_do_no_harm(tmp_path: Path, write: Callable[[Path, list[Layer]], Path]) -> None:
    whole, random = write(tmp_path / "whole", LAYERS).read_bytes(), np.random.default_rng(0)
    path = tmp_path / "net.h5"
    for _ in range(150):
        data = bytearray(whole)
        for place in random.integers(0, len(data), random.integers(1, 9)):
            data[place] = random.choice([0, 1, 127, 128, 255])
        path.write_bytes(data)
        _recognises(path, bytes(data[:64]))
        with contextlib.suppress(BadInput):
            read(path)


def changed(path: Path, change: Callable[[h5py.File], None]) -> Path:
    write_h5(path, LAYERS)
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def _replace(file: h5py.File, name: str, put: Callable[[h5py.Group, str], None]) -> None:
    group = file["model_weights/conv2d_7/conv2d_7"]
    del group[name]
    put(group, name)


def _virtual(group: h5py.Group, name: str) -> None:
    layout = h5py.VirtualLayout((3, 3, 3, 4), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (3, 3, 3, 4))
    group.create_virtual_dataset(name, layout)


def _external(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (3, 3, 3, 4), "f4", external=[("other.bin", 0, 432)])


def _soft(group: h5py.Group, name: str) -> None:
    group[name] = h5py.SoftLink("/model_weights/second_bn/second_bn/gamma:0")


def _outside(group: h5py.Group, name: str) -> None:
    group[name] = h5py.ExternalLink("other.h5", "/x")


def _never_written(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (30000, 30000), "f4")


def _zeros(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (40000, 40000), "f4", chunks=(1000, 1000), compression="gzip")


def _large_chunk(group: h5py.Group, name: str) -> None:
    data = group.create_dataset(name, (4,), "f4", chunks=(2**28,), maxshape=(None,))
    assert data.chunks == (2**28,)


def _words(group: h5py.Group, name: str) -> None:
    group[name] = np.asarray([b"kernel"])


def _complex(group: h5py.Group, name: str) -> None:
    group[name] = np.zeros((3, 3), np.complex64)


def _group(group: h5py.Group, name: str) -> None:
    group.create_group(name)


@pytest.mark.parametrize(
    ("put", "why"),
    [
        (_virtual, "other files"),
        (_external, "other files"),
        (_soft, "SoftLink"),
        (_outside, "ExternalLink"),
        (_never_written, "the file holds 0"),
        (_zeros, "the file holds"),
        (_large_chunk, "the file holds"),
        (_words, "float32 is read"),
        (_complex, "float32 is read"),
        (_group, "which is not in it"),
        (lambda group, name: None, "which is not in it"),
    ],
)
def test_weights_that_are_not_there_are_refused(
    tmp_path: Path, put: Callable[[h5py.Group, str], None], why: str
) -> None:
    refused(changed(tmp_path / "net.h5", lambda file: _replace(file, "kernel:0", put)), why)


def _attribute(name: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        where = file if name == "model_config" else file["model_weights"]
        if isinstance(value, list):
            del where.attrs[name]
            write_list(where, name, value)
        else:
            where.attrs[name] = value

    return change


def _weight_names(*names: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        write_list(file["model_weights/conv2d_7"], "weight_names", names)

    return change


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_attribute("layer_names", np.arange(4)), "not a string"),
        (_attribute("layer_names", 3.0), "not a string"),
        (_attribute("layer_names", ["conv2d_7", "absent"]), "lists the layer 'absent'"),
        (_attribute("layer_names", ["conv2d_7", "conv2d_7"]), "comes twice"),
        (_attribute("layer_names", ["../optimizer_weights"]), "not usable"),
        (_attribute("layer_names", ["a/" * 40]), "not usable"),
        (_attribute("layer_names", np.asarray([b"\xff\xfe"])), "not UTF-8"),
        (_attribute("model_config", "{"), "no JSON"),
        (_attribute("model_config", "[" * 200_000), "no JSON"),
        (_weight_names("conv2d_7/kernel:0", "conv2d_7/absent:0"), "lists the weight"),
        (_weight_names("conv2d_7/kernel:0", "conv2d_7"), "which is not in it"),
        (_weight_names("conv2d_7/kernel:0", "conv2d_7/kernel:0"), "comes twice"),
        (_weight_names("conv2d_7/kernel:0", "conv2d_7/kernel:0/deeper"), "which is not in it"),
    ],
)
def test_lists_that_say_something_else_are_refused(
    tmp_path: Path, change: Callable[[h5py.File], None], why: str
) -> None:
    refused(changed(tmp_path / "net.h5", change), why)


@pytest.mark.parametrize("config", ["null", "[]", '{"config": 3}', '{"config": {"layers": {"a": 1}}}', "[1e999]"])
def test_a_config_of_another_form_says_nothing(tmp_path: Path, config: str) -> None:
    assert_same(read(changed(tmp_path / "net.h5", _attribute("model_config", config))))
    odd = '{"config": {"layers": [3, {"class_name": 4, "config": {"name": [], "strides": NaN, "padding": {}}}]}}'
    found = read(changed(tmp_path / "odd.h5", _attribute("model_config", odd)))
    assert found.notes["layers"][1] == ["[]", "4", {}]


def test_models_in_models_without_end_are_refused() -> None:
    config = {"class_name": "Functional", "config": {"layers": []}}
    for _ in range(20):
        config = {"class_name": "Functional", "config": {"layers": [config]}}
    with pytest.raises(BadInput, match="models in models"):
        list(layers_of(config))


def test_groups_in_a_circle_are_refused(tmp_path: Path) -> None:
    path = write_weights_h5(tmp_path / "net.h5", LAYERS)
    with h5py.File(path, "r+") as file:
        file["layers/conv2d/again"] = file["layers"]
    refused(path, "in a circle")
    path = write_weights_h5(tmp_path / "deep.h5", LAYERS)
    with h5py.File(path, "r+") as file:
        file.create_group("layers" + "/a" * 60)
    refused(path, "too deep")


def test_variables_that_are_not_numbered_are_refused(tmp_path: Path) -> None:
    path = write_weights_h5(tmp_path / "net.h5", LAYERS)
    with h5py.File(path, "r+") as file:
        file["layers/conv2d/vars"].move("0", "7")
    refused(path, "not numbered")


@pytest.mark.parametrize("whole", [True, False])
def test_strings_of_varying_length_that_are_not_there_are_refused(tmp_path: Path, whole: bool) -> None:
    """The library takes 4 GiB for a string that says so, and never returns from a heap of objects of 0 bytes."""
    path = tmp_path / "net.h5"
    write_h5(path, LAYERS) if whole else write_weights_h5(path, LAYERS[1:2], named=True)
    data = path.read_bytes()
    heap = data.index(b"GCOL")
    element = data.index(heap.to_bytes(8, "little")) - 4  # length, heap, number
    for place, value in (
        (element, b"\xff\xff\xff\xff"),
        (element + 4, b"\x01"),
        (element + 4, bytes([255] * 8)),
        (element + 12, b"\x09"),
        (heap + 8, b"\xff\xff\xff\xff\x7f"),
        (heap + 24, bytes(8)),
        (heap + 24, bytes([255] * 8)),
    ):
        path.write_bytes(data[:place] + value + data[place + len(value) :])
        refused(path, "the attribute")


def test_files_of_a_newer_form_are_read_but_for_strings_of_varying_length(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "net.h5", "w", libver="latest") as file:
        write_list(file, "layer_names", ["a"])
        write_list(file.create_group("a"), "weight_names", ["a/kernel"])
        file["a/a/kernel"] = some(2, 3)
    assert set(read(tmp_path / "net.h5").tensors) == {"a/kernel"}
    with h5py.File(tmp_path / "net.h5", "r+") as file:
        file.attrs["keras_version"] = "3.4"
    refused(tmp_path / "net.h5", "newer form")


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"config__json": b"{"}, "no JSON"),
        ({"config__json": b"\xff"}, "no JSON"),
        ({"metadata__json": b"["}, "no JSON"),
        ({"model__weights__h5": b"PK"}, "cannot be read as HDF5"),
        ({"model__weights__h5": b""}, "cannot be read as HDF5"),
    ],
)
def test_archives_with_damaged_members_are_refused(tmp_path: Path, members: dict[str, bytes], why: str) -> None:
    refused(write_keras(tmp_path / "net.keras", LAYERS, **members), why)


def test_archives_that_unpack_to_too_much_are_refused(tmp_path: Path) -> None:
    bomb = write_keras(tmp_path / "net.keras", LAYERS, compression=zipfile.ZIP_BZIP2, config__json=b" " * 10**7)
    refused(bomb, "packed into")
    data = bytearray(write_keras(bomb, LAYERS).read_bytes())
    entry = data.rindex(b"PK\x01\x02")  # of the weights, the last in the directory
    data[entry + 24 : entry + 28] = (2**31).to_bytes(4, "little")  # size it says to unpack to
    bomb.write_bytes(data)
    refused(bomb, "packed into")


def test_archives_without_weights_or_with_two_are_refused(tmp_path: Path) -> None:
    path = write_keras(tmp_path / "net.keras", LAYERS)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.json", b"{}")
    refused(path, "once each")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", b"{}")
        archive.writestr("metadata.json", b"{}")
        archive.writestr("model.weights.npz", b"pickled")
    refused(path, "once each")


def test_nothing_of_an_archive_is_written_to_disk(tmp_path: Path) -> None:
    path = write_keras(tmp_path / "net.keras", LAYERS, **{"../../evil": b"x"})
    assert_same(read(path))
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.keras"]
