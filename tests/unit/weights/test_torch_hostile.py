"""The readers of PyTorch's files on files that run code, lie about sizes or are damaged, some written by the byte."""

import io
import json
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sprat.errors import BadInput
from sprat.weights.foreign import READERS, read_foreign
from sprat.weights.formats.torch_state import read, read_safetensors
from sprat.weights.parse.torch_pickle import look_through

Save = Callable[[Any, Path], None]


def as_zip(value: Any, path: Path) -> None:
    torch.save(value, path)


def as_legacy(value: Any, path: Path) -> None:
    torch.save(value, path, _use_new_zipfile_serialization=False)


class Evil:
    """What a hostile pickle does when it is trusted."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("was_run"),))


@pytest.mark.parametrize("save", [as_zip, as_legacy])
def test_code_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save: Save) -> None:
    monkeypatch.chdir(tmp_path)
    save({"w": torch.zeros(2), "evil": Evil()}, tmp_path / "x")
    with pytest.raises(BadInput, match=r"calls for .*; pickles can run code.*safetensors\.torch\.save_file"):
        read_foreign(tmp_path / "x")
    assert not (tmp_path / "was_run").exists()


@pytest.mark.parametrize("save", [as_zip, as_legacy])
def test_a_whole_module_is_refused(tmp_path: Path, save: Save) -> None:
    save(nn.ReLU(), tmp_path / "x")
    with pytest.raises(BadInput, match=r"its pickle calls for torch.nn.modules.activation.ReLU; pickles can run code"):
        read_foreign(tmp_path / "x")


def test_a_plain_pickle(tmp_path: Path) -> None:
    for protocol in (2, 4, 5):
        (tmp_path / "x").write_bytes(pickle.dumps({"w": [1.0, 2.0]}, protocol=protocol))
        with pytest.raises(BadInput):
            read_foreign(tmp_path / "x")


def test_the_tar_of_torch_0_1(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"sys_info".ljust(600, b"\0"))
    with pytest.raises(BadInput, match="has not written since 2017"):
        read_foreign(tmp_path / "x")


# A pickle by hand: the instructions that torch.save writes for one tensor.
def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def whole(value: int) -> bytes:
    data = value.to_bytes((value.bit_length() // 8) + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def tensor(count: int, shape: tuple[int, ...], stride: tuple[int, ...], key: str = "0", offset: int = 0) -> bytes:
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu") + whole(count) + b"tQ"
    sides = b"(" + b"".join(map(whole, shape)) + b"t" + b"(" + b"".join(map(whole, stride)) + b"t"
    hooks = b"\x89ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + whole(offset) + sides + hooks + b"tR"


def one_tensor(**of_tensor: Any) -> bytes:
    return b"\x80\x02}" + text("w") + tensor(**of_tensor) + b"s."


def archive(path: Path, data: bytes, storages: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as made:
        made.writestr("a/data.pkl", data)
        made.writestr("a/version", b"3\n")
        for key, value in storages.items():
            made.writestr(f"a/data/{key}", value)
    return path


def legacy(path: Path, data: bytes, storages: dict[str, bytes], keys: list[str] | None = None) -> Path:
    head = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    tail = [pickle.dumps(list(storages) if keys is None else keys, 2)]
    tail += [struct.pack("<q", len(value) // 4) + value for value in storages.values()]
    path.write_bytes(b"".join([*head, data, *tail]))
    return path


Write = Callable[[Path, bytes, dict[str, bytes]], Path]


@pytest.mark.parametrize("write", [archive, legacy])
def test_a_pickle_by_hand_is_what_torch_writes(tmp_path: Path, write: Write) -> None:
    values = np.arange(6, dtype="<f4")
    data = one_tensor(count=6, shape=(2, 3), stride=(3, 1))
    if write is legacy:
        data = data.replace(b"tQ", b"NtQ", 1)  # the view that a storage of an old file may be
    foreign = read_foreign(write(tmp_path / "x", data, {"0": values.tobytes()}))
    np.testing.assert_array_equal(foreign.tensors["w"], values.reshape(2, 3))


NESTED = b")" + b"".join(b"\x85q" + bytes([n]) + b"h" + bytes([n]) + b"\x86" for n in range(1, 60))
HOSTILE: dict[str, tuple[bytes, str]] = {
    "a storage of a terabyte": (one_tensor(count=2**38, shape=(2,), stride=(1,)), "declare"),
    "a storage of less than nothing": (one_tensor(count=-1, shape=(2,), stride=(1,)), "no proper name or size"),
    "a tensor beyond its storage": (one_tensor(count=6, shape=(7,), stride=(1,)), "more numbers than its storage"),
    "an offset beyond it": (one_tensor(count=6, shape=(2,), stride=(1,), offset=5), "more numbers than its storage"),
    "a stride beyond it": (one_tensor(count=6, shape=(2,), stride=(6,)), "more numbers than its storage"),
    "a number seen a billion times": (one_tensor(count=6, shape=(2**30,), stride=(0,)), "more numbers than"),
    "a negative stride": (one_tensor(count=6, shape=(6,), stride=(-1,), offset=5), "no proper shape"),
    "an absurd shape": (one_tensor(count=6, shape=(2**62, 2**62), stride=(0, 0)), "more numbers than"),
    "a key that holds itself 2^59 times": (b"\x80\x02}" + NESTED + b"K\x01s.", "a tuple in its pickle has over 10,000"),
    "a bytearray of a terabyte": (b"\x80\x02c__builtin__\nbytearray\n" + whole(2**40) + b"\x85R.", "calls for"),
    "an object's insides": (b"\x80\x02ctorch\nSize\n)R}b.", "sets the inside of an object"),
    "another instruction": (b"\x80\x04\x8f.", "has the instruction EMPTY_SET"),
    "an empty stack": (b"\x80\x02s.", "pickle"),
    "nothing": (b"\x80\x02", "pickle is damaged"),
    "a call of a storage class": (b"\x80\x02ctorch\nFloatStorage\n" + whole(2**40) + b"\x85R.", "no function"),
    "two sizes of one storage": (
        b"\x80\x02}(" + text("a") + tensor(6, (2,), (1,)) + text("b") + tensor(60, (50,), (1,)) + b"u.",
        "has two sizes",
    ),
}


@pytest.mark.parametrize("write", [archive, legacy])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles_are_refused_before_they_are_loaded(tmp_path: Path, write: Write, name: str) -> None:
    data, message = HOSTILE[name]
    write(tmp_path / "x", data, {"0": bytes(24)})
    with pytest.raises(BadInput, match=message):
        read(tmp_path / "x")


def test_a_storage_that_is_not_in_the_archive(tmp_path: Path) -> None:
    archive(tmp_path / "x", one_tensor(count=6, shape=(6,), stride=(1,), key="1"), {"0": bytes(24)})
    with pytest.raises(BadInput, match="storage 1 declares 24 bytes, the archive holds -1"):
        read(tmp_path / "x")


@pytest.mark.parametrize("keys", [[], ["0", "0"], ["1"]])
def test_storages_that_are_not_listed(tmp_path: Path, keys: list[str]) -> None:
    data = one_tensor(count=6, shape=(6,), stride=(1,)).replace(b"tQ", b"NtQ", 1)
    with pytest.raises(BadInput, match=r"not those in use|its storages declare"):
        read(legacy(tmp_path / "x", data, {"0": bytes(24)}, keys))


def test_a_zip_bomb(tmp_path: Path) -> None:
    data = one_tensor(count=10**7, shape=(10**7,), stride=(1,))
    archive(tmp_path / "x", data, {"0": bytes(4 * 10**7)}, zipfile.ZIP_DEFLATED)
    assert (tmp_path / "x").stat().st_size < 10**5
    with pytest.raises(BadInput, match=r"no archive as torch\.save writes it \(compressed\)"):
        read_foreign(tmp_path / "x")


def test_archives_of_another_layout(tmp_path: Path) -> None:
    state = {"w": torch.zeros(3)}
    as_zip(state, tmp_path / "x")
    good = (tmp_path / "x").read_bytes()
    comment = good[:-2] + b"\x05\x00hello"
    for damaged in (comment, good + b"tail", b"PK\x03\x04" + good[4:-30], good[:-22], good[: len(good) // 2]):
        (tmp_path / "x").write_bytes(damaged)
        with pytest.raises(BadInput):
            read(tmp_path / "x")


def test_many_views_of_one_storage(tmp_path: Path) -> None:
    base = torch.zeros(1000)
    as_zip({f"w{index}": base for index in range(5)}, tmp_path / "x")
    with pytest.raises(BadInput, match="5 tensors of 20,000 bytes in 4,000; too many"):
        read(tmp_path / "x")


def test_types_that_are_no_plain_numbers(tmp_path: Path) -> None:
    as_zip({"w": torch.zeros(3, dtype=torch.complex64)}, tmp_path / "x")
    with pytest.raises(BadInput, match=r"calls for torch\.ComplexFloatStorage"):
        read(tmp_path / "x")


def test_a_long_pickle_is_bounded() -> None:
    with pytest.raises(BadInput, match="over 3,000,000 steps"):
        look_through(io.BytesIO(b"\x80\x02" + b"N" * 3_000_001 + b"."), "x")


@pytest.mark.parametrize(
    "header",
    [
        b"{}",
        b'{"w": 5}',
        b'{"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 80]}}',
        b'{"w": {"dtype": "F32", "shape": [2, 4611686018427387904], "data_offsets": [0, 8]}}',
        b'{"w": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}',
        b'{"w": {"dtype": "F99", "shape": [2], "data_offsets": [0, 8]}}',
        b'{"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "v": ' + b"[" * 10_000 + b"}",
        b"{ \xff\xfe }",
    ],
)
def test_damaged_safetensors(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8 if len(header) > 2 else 0))
    with pytest.raises(BadInput, match=r"damaged safetensors|holds no tensors"):
        read_safetensors(tmp_path / "x")


def test_a_safetensors_header_longer_than_the_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(struct.pack("<Q", 2**60) + json.dumps({"w": 1}).encode())
    with pytest.raises(BadInput, match="none of the known formats"):
        read_foreign(tmp_path / "x")
    with pytest.raises(BadInput, match="damaged safetensors"):
        read_safetensors(tmp_path / "x")


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_fuzz(tmp_path: Path, kind: str) -> None:
    """Any change of bytes gives BadInput or tensors no larger than the file."""
    rng, path = random.Random(6), tmp_path / "x"
    state = {"w": torch.arange(6.0).reshape(2, 3), "b": torch.arange(4.0).half(), "n": torch.tensor(3)}
    {"zip": as_zip, "legacy": as_legacy, "safetensors": save_file}[kind](state, path)
    original, reader = path.read_bytes(), read_safetensors if kind == "safetensors" else read
    telling = (
        original.index(b"PK\x03\x04", 4) if kind == "zip" else min(300, len(original))
    )  # where the pickle or header is
    outcomes = set()
    for _ in range(1500):
        data = bytearray(original)
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(telling if rng.random() < 0.7 else len(data))
            data[min(place, len(data) - 1)] = rng.choice((0, 1, 255, rng.randrange(256)))
        if rng.random() < 0.1:
            del data[rng.randrange(len(data)) :]
        path.write_bytes(data)
        READERS.get("torch").recognises(path, bytes(data[:64]))
        try:
            foreign = reader(path)
        except BadInput:
            outcomes.add("refused")
        else:
            outcomes.add("read")
            assert sum(value.nbytes for value in foreign.tensors.values()) <= 2 * len(data)
    assert outcomes == {"refused", "read"}
