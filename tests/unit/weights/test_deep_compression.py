"""The .net reader: files written here from the layout, the real release, and damaged ones."""

import random
from pathlib import Path

import numpy as np
import pytest

from sprat.errors import BadInput
from sprat.weights.foreign import READERS, first_bytes, read_foreign
from sprat.weights.formats.deep_compression import LAYERS, read
from sprat.weights.importing import import_weights
from sprat.zoo import config_from_dict

Layer = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # codebook, bias, codes, gaps as they are


def written(layers: list[Layer]) -> bytes:
    """A file of these layers: counts, then codebook, bias, codes and packed gaps of each."""
    parts = [np.array([len(codes) for _, _, codes, _ in layers], "<u4").tobytes()]
    for codebook, bias, codes, gaps in layers:
        packed = np.zeros((len(gaps) + 1) // 2 * 2, np.uint8)
        packed[: len(gaps)] = gaps
        parts += [codebook.astype("<f4").tobytes(), bias.astype("<f4").tobytes(), codes.astype(np.uint8).tobytes()]
        parts.append((packed[0::2] | packed[1::2] << 4).tobytes())
    return b"".join(parts)


def sparse(seed: int = 0, entries: int = 9) -> list[Layer]:
    """A few weights in each layer."""
    rng = np.random.default_rng(seed)
    layers = []
    for layer in LAYERS:
        codebook = rng.standard_normal(256).astype(np.float32)
        codebook[0] = 0
        bias = rng.standard_normal(layer.shape[0]).astype(np.float32)
        layers.append((codebook, bias, rng.integers(0, 256, entries), rng.integers(0, 16, entries)))
    return layers


def plain_decoder(layers: list[Layer]) -> dict[str, np.ndarray]:
    """The tensors of the layers, entry by entry."""
    tensors = {}
    for layer, (codebook, bias, codes, gaps) in zip(LAYERS, layers, strict=True):
        weights = [0.0] * layer.size
        place = -1
        for code, gap in zip(codes.tolist(), gaps.tolist(), strict=True):
            place += gap + 1
            weights[place] = float(codebook[code])
        tensors[f"{layer.name}/weights"] = np.array(weights, np.float32).reshape(layer.shape)
        tensors[f"{layer.name}/bias"] = bias
    return tensors


def test_a_written_file_comes_back(tmp_path: Path) -> None:
    layers = sparse()
    (tmp_path / "x.bytes").write_bytes(written(layers))
    foreign = read_foreign(tmp_path / "x.bytes")
    assert foreign.format == "deep_compression"
    expected = plain_decoder(layers)
    assert list(foreign.tensors) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(foreign.tensors[name], value)
    nonzero = sum(int(np.count_nonzero(codes)) for _, _, codes, _ in layers)
    assert foreign.notes == {"nonzero": nonzero, "fillers": 26 * 9 - nonzero, "stored": 26 * 9}


def test_no_other_reader_takes_it(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(written(sparse()))
    head = first_bytes(tmp_path / "x")
    assert [name for name in READERS if READERS.get(name).recognises(tmp_path / "x", head)] == ["deep_compression"]


def test_the_real_release(shared: Path) -> None:
    foreign = read_foreign(shared / "weights" / "compressed_SqueezeNet.net")
    assert foreign.notes == {"nonzero": 415_921, "fillers": 6_162, "stored": 422_083}
    assert sum(value.size for value in foreign.tensors.values()) == 1_248_424
    weights = foreign.tensors["conv10/weights"]
    assert weights.shape == (1000, 512, 1, 1)
    assert np.count_nonzero(weights) / weights.size == pytest.approx(0.2, abs=0.001)  # table 1: 20 % are kept


def test_the_real_release_becomes_our_network(shared: Path) -> None:
    imported = import_weights(shared / "weights" / "compressed_SqueezeNet.net")
    assert imported.model == "squeezenet_1.0"
    assert config_from_dict(imported.manifest.architecture).conv10_padding == 1
    conv1 = read_foreign(shared / "weights" / "compressed_SqueezeNet.net").tensors["conv1/weights"]
    np.testing.assert_array_equal(imported.state["stem.0.weight"], conv1[:, ::-1])  # blue first to red first
    assert imported.manifest.preprocessing["mean"] == [123.0, 117.0, 104.0]
    assert imported.manifest.preprocessing["resize"] == 256


@pytest.mark.parametrize("cut", [1, 100, 5000])
def test_a_truncated_file(tmp_path: Path, cut: int) -> None:
    (tmp_path / "x").write_bytes(written(sparse())[:-cut])
    with pytest.raises(BadInput, match="in none of the known formats"):
        read_foreign(tmp_path / "x")
    with pytest.raises(BadInput, match=r"speaks of a file of [\d,]+ bytes, it has [\d,]+ bytes"):
        read(tmp_path / "x")


def test_trailing_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(written(sparse()) + b"\0")
    with pytest.raises(BadInput, match="no complete compressed SqueezeNet"):
        read(tmp_path / "x")


def test_counts_over_the_weights_ask_for_no_memory(tmp_path: Path) -> None:
    data = bytearray(written(sparse()))
    data[0:4] = b"\xff\xff\xff\xff"
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(BadInput, match="speaks of no SqueezeNet"):
        read(tmp_path / "x")


def test_a_position_beyond_the_layer(tmp_path: Path) -> None:
    layers = sparse()
    codebook, bias, _, _ = layers[1]  # fire2/squeeze1x1: 1,536 weights
    layers[1] = (codebook, bias, np.ones(97, np.uint8), np.full(97, 15, np.uint8))
    (tmp_path / "x").write_bytes(written(layers))
    with pytest.raises(BadInput, match=r"fire2/squeeze1x1: an entry lies at position 1,551 of 1,536"):
        read_foreign(tmp_path / "x")


def test_a_last_entry_at_the_last_position(tmp_path: Path) -> None:
    layers = sparse()
    codebook, bias, _, _ = layers[1]
    layers[1] = (codebook, bias, np.ones(96, np.uint8), np.full(96, 15, np.uint8))
    (tmp_path / "x").write_bytes(written(layers))
    assert read_foreign(tmp_path / "x").tensors["fire2/squeeze1x1/weights"].reshape(-1)[-1] == codebook[1]


def test_a_codebook_without_zero(tmp_path: Path) -> None:
    layers = sparse()
    layers[3][0][0] = 0.5
    (tmp_path / "x").write_bytes(written(layers))
    with pytest.raises(BadInput, match=r"layer fire2/expand3x3: the first value of its codebook is 0.5"):
        read_foreign(tmp_path / "x")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        read(tmp_path / "x")


def test_fuzz(tmp_path: Path) -> None:
    """Any change of bytes gives BadInput or tensors of the layers' shapes."""
    rng, original = random.Random(4), written(sparse())
    outcomes = set()
    for _ in range(500):
        data = bytearray(original)
        for _ in range(rng.randint(1, 4)):
            data[rng.choice((rng.randrange(104), rng.randrange(len(data))))] = rng.randrange(256)
        if rng.random() < 0.2:
            del data[rng.randrange(len(data)) :]
        (tmp_path / "x").write_bytes(data)
        try:
            foreign = read(tmp_path / "x")
        except BadInput:
            outcomes.add("refused")
        else:
            outcomes.add("read")
            assert [t.shape for t in list(foreign.tensors.values())[::2]] == [layer.shape for layer in LAYERS]
    assert outcomes == {"refused", "read"}
