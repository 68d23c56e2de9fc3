import numpy as np
import plain_decoder
import pytest

from sprat.codec.levels import Buckets, log16, matrix, steps


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (3, 40), (40, 3), (300, 2), (2, 300), (1, 77), (77, 1), (16, 129)])
def test_the_steps_visit_every_element_once(shape: tuple[int, int]) -> None:
    visits = np.zeros(shape, np.int64)
    number = 0
    for row, column in steps(*shape):
        assert row.size > 0
        visits[row, column] += 1
        number += 1
    assert (visits == 1).all()
    assert number <= 4.3 * np.sqrt(shape[0] * shape[1]) + 2


def test_a_square_matrix_advances_by_diagonals() -> None:
    for row, column in steps(6, 9):
        assert len(set(row.tolist())) == row.size
        assert len(set(column.tolist())) == column.size


@pytest.mark.parametrize(("levels", "zero"), [(2, 0), (2, 1), (15, 7), (256, 130), (4096, 2000), (300, 0), (300, 299)])
def test_symbol_and_fine_bits_give_the_level_back(levels: int, zero: int) -> None:
    buckets = Buckets(levels, zero)
    numbers = np.arange(levels) - zero
    symbols = buckets.symbol
    assert np.array_equal(buckets.sign[symbols] * (buckets.base[symbols] + buckets.fine), numbers)
    assert (buckets.fine < 1 << buckets.bits[symbols]).all()
    assert (np.diff(symbols) >= 0).all()
    assert buckets.num_symbols >= 2
    plain = [plain_decoder.bucket(int(number)) for number in numbers]
    assert [bucket - plain[0][0] for bucket, _ in plain] == symbols.tolist()
    assert [bits for _, bits in plain] == buckets.bits[symbols].tolist()


def test_log16_is_the_integer_one() -> None:
    values = [*range(1, 3000), 2**40 - 1, 2**40, 2**52 + 12345, 2**53 - 1]
    assert log16(np.array(values)).tolist() == [plain_decoder.log16(value) for value in values]


def test_matrix_of_a_shape() -> None:
    assert matrix((8, 3, 5, 5)) == (8, 75, 25)
    assert matrix((8, 3)) == (8, 3, 1)
    assert matrix((8,)) == (8, 1, 1)
    assert matrix(()) == (1, 1, 1)
