"""decode(encode(x)) = x to the bit, whatever x is."""

from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sprat import artifact, codec

SHAPES = hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=7)


def bit_patterns(dtype: np.dtype[Any]) -> st.SearchStrategy[npt.NDArray[Any]]:
    """Arrays of any bit pattern, every NaN included; few patterns in an array, or many."""
    if dtype.kind == "b":
        return hnp.arrays(dtype, SHAPES)
    unsigned = np.dtype(f"<u{dtype.itemsize}")
    some = st.lists(hnp.from_dtype(unsigned), min_size=1, max_size=9)
    few = st.tuples(some, hnp.arrays(np.uint8, SHAPES)).map(
        lambda pair: np.array(pair[0], unsigned)[pair[1] % len(pair[0])].reshape(pair[1].shape)
    )
    return st.one_of(few, hnp.arrays(unsigned, SHAPES)).map(lambda bits: np.asarray(bits).view(dtype))


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1, max_size=9)
ARRAYS = st.sampled_from(codec.TYPES).flatmap(bit_patterns)


@given(ARRAYS)
@settings(max_examples=400, deadline=None)
def test_any_array(array: npt.NDArray[Any]) -> None:
    payload = codec.encode(array)
    decoded = codec.decode(payload)
    assert (decoded.dtype, decoded.shape) == (array.dtype, array.shape)
    assert decoded.tobytes() == array.tobytes()
    assert len(payload) <= array.nbytes + 8 + 4 * array.ndim + array.itemsize


@given(
    st.integers(1, 40), st.integers(1, 40), st.sampled_from([(), (1, 1), (3, 3), (2,)]), st.integers(1, 200), st.data()
)
@settings(max_examples=150, deadline=None)
def test_any_matrix_of_multiples(
    rows: int, columns: int, kernel: tuple[int, ...], spread: int, data: st.DataObject
) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    step = data.draw(st.floats(2**-20, 2**10, width=32))
    low = data.draw(st.integers(-spread, spread))
    multiples = random.integers(low, low + spread + 1, (rows, columns, *kernel))
    multiples *= random.random(multiples.shape) < data.draw(st.floats(0, 1))
    array = (multiples * np.float64(step)).astype(np.float32)
    assert codec.decode(codec.encode(array)).tobytes() == array.tobytes()


@given(st.dictionaries(NAMES, ARRAYS, max_size=5))
@settings(max_examples=100, deadline=None)
def test_any_state(state: dict[str, npt.NDArray[Any]]) -> None:
    manifest = artifact.Manifest(architecture={"family": "x"}, image=(1, 8, 8), classes=("a", "b"))
    read, decoded = artifact.unpack(artifact.pack(manifest, state))
    assert list(decoded) == list(state)
    assert artifact.state_sha256(decoded) == artifact.state_sha256(state) == read.state_sha256
