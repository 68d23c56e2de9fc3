import numpy as np
import plain_decoder
import pytest
from cases import odd_arrays, on_grid, shared_values

from sprat import codec
from sprat.errors import BadArtifact, BadInput

CASES = odd_arrays()


@pytest.mark.parametrize("name", CASES)
def test_every_bit_comes_back(name: str) -> None:
    array = CASES[name]
    decoded = codec.decode(codec.encode(array))
    little = array.astype(array.dtype.newbyteorder("<"))
    assert (decoded.dtype, decoded.shape) == (little.dtype, array.shape)
    assert decoded.tobytes() == little.tobytes()
    assert decoded.flags.writeable
    assert decoded.flags.c_contiguous


@pytest.mark.parametrize("name", CASES)
def test_the_format_page_and_the_codec_agree(name: str) -> None:
    array = CASES[name]
    kind, shape, values = plain_decoder.decode(codec.encode(array))
    assert codec.TYPES[kind] == array.dtype.newbyteorder("<")
    assert shape == array.shape
    assert b"".join(values) == array.astype(array.dtype.newbyteorder("<")).tobytes()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("running variance", "constant"),
        ("batches tracked", "constant"),
        ("float32", "planes"),
        ("pointwise", "levels"),
        ("depthwise", "levels"),
        ("grid vector", "grid"),
        ("grid16 vector", "grid16"),
    ],
)
def test_the_shortest_code_is_taken(name: str, code: str) -> None:
    assert codec.peek(codec.encode(CASES[name])).code == code


def test_each_code_occurs_among_the_cases() -> None:
    assert {codec.peek(codec.encode(array)).code for array in CASES.values()} == set(codec.CODES)


def test_constants_take_a_few_bytes() -> None:
    assert len(codec.encode(np.ones(64, np.float32))) == 4
    assert len(codec.encode(np.zeros((512,), np.float32))) == 3
    assert len(codec.encode(np.array(12345))) == 3


def test_a_float_network_shrinks_and_noise_does_not_grow() -> None:
    weights = np.random.default_rng(0).normal(0, 0.05, (64, 64, 3, 3)).astype(np.float32)
    assert len(codec.encode(weights)) < 0.87 * weights.nbytes
    noise = np.random.default_rng(0).integers(0, 2**32, 1000, np.uint32).view(np.int32)
    assert len(codec.encode(noise)) <= noise.nbytes + 16


def test_shared_values_come_under_their_entropy() -> None:
    weights = shared_values((256, 128, 1, 1))
    assert len(codec.encode(weights)) < 0.98 * _entropy_bytes(weights)


def test_a_vector_on_a_grid_comes_near_its_entropy() -> None:
    gains = on_grid(256, 1 / 128, 25)
    bits = np.log2(25 * np.sqrt(2 * np.pi * np.e))  # of a normal distribution of 25 steps
    assert len(codec.encode(gains)) < 256 * (bits + 0.5) / 8 + 12


def test_sizes() -> None:
    for array in CASES.values():
        assert codec.encoded_size(array) == len(codec.encode(array))
    for shape in ((64, 64, 1, 1), (256, 128, 1, 1), (64, 32, 3, 3)):
        weights = shared_values(shape)
        assert codec.estimated_size(weights) == pytest.approx(codec.encoded_size(weights), rel=0.10)


def test_the_same_array_gives_the_same_bytes() -> None:
    weights = CASES["convolution"]
    assert codec.encode(weights) == codec.encode(weights.copy())


def test_what_cannot_be_stored_is_named() -> None:
    with pytest.raises(BadInput, match="complex64"):
        codec.encode(np.zeros(3, np.complex64))
    with pytest.raises(BadInput, match="9 dimensions"):
        codec.encode(np.zeros((1,) * 9, np.float32))


def test_a_claim_over_the_limits_is_refused_before_it_is_met() -> None:
    zeros = codec.encode(np.zeros((1000, 1000), np.float32))
    with pytest.raises(BadArtifact, match="at most 999,999"):
        codec.decode(zeros, codec.Limits(max_elements=999_999))
    assert codec.decode(zeros, codec.Limits(max_elements=1_000_000)).size == 1_000_000
    head = bytes([4 + 5 * 1])  # planes of float32 in four dimensions
    huge = head + codec.varint(2**20) + codec.varint(2**20) + codec.varint(1) + codec.varint(1) + bytes(100)
    with pytest.raises(BadArtifact, match="elements are allowed"):
        codec.decode(huge)
    with pytest.raises(BadArtifact, match="elements in"):
        codec.decode(head + codec.varint(2**10) * 2 + codec.varint(1) * 2 + bytes(100))


def test_a_sparse_tensor_keeps_the_rule_of_elements_per_byte() -> None:
    weights = np.zeros((512, 512), np.float32)
    weights[17, 300] = 0.5
    payload = codec.encode(weights)
    assert 1024 <= len(payload) < 1040
    assert np.array_equal(codec.decode(payload), weights)


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_a_cut_payload_is_an_error_or_other_values(cut: int) -> None:
    payload = codec.encode(CASES["pointwise"])
    try:
        decoded = codec.decode(payload[:cut])
    except BadArtifact:
        return
    assert decoded.shape == CASES["pointwise"].shape


def _entropy_bytes(array: np.ndarray) -> float:
    counts = np.unique(array, return_counts=True)[1]
    return -float((counts * np.log2(counts / array.size)).sum()) / 8
