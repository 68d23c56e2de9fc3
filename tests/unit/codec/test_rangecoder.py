import numpy as np
import plain_decoder
import pytest

from sprat.codec.rangecoder import TOTAL, Decoder, Encoder, frequencies
from sprat.errors import BadArtifact


@pytest.mark.parametrize("symbols", [2, 3, 17, 256])
def test_frequencies_are_integers_that_sum_to_the_total(symbols: int) -> None:
    random = np.random.default_rng(symbols)
    counts = random.integers(1, 10**6, (50, symbols))
    counts[:10] = 1
    counts[10:20, 0] = 2**34
    table = frequencies(counts)
    assert np.array_equal(table, np.floor(table))
    assert (table >= 0).all()
    assert (table.sum(axis=1) + symbols == TOTAL).all()


@pytest.mark.parametrize("symbols", [2, 5, 33, 256])
def test_constriction_works_on_exactly_our_integers(symbols: int) -> None:
    """Coded by constriction under many random tables, decoded by a range coder in plain integers."""
    random = np.random.default_rng(symbols)
    counts = np.exp(random.uniform(0, 14, (40, symbols))).astype(np.int64)
    contexts = random.integers(0, 40, 3000)
    message = random.integers(0, symbols, 3000)
    encoder = Encoder()
    encoder.code(frequencies(counts), contexts, message)
    encoder.code_alike(frequencies(counts)[7], 500, message[:500])
    content = encoder.finish()

    plain = plain_decoder.Symbols(content)
    rows = counts.tolist()
    assert [plain.get(rows[context]) for context in contexts] == message.tolist()
    assert [plain.get(rows[7]) for _ in range(500)] == message[:500].tolist()

    decoder = Decoder(content)
    assert np.array_equal(decoder.code(frequencies(counts), contexts, None), message)
    assert np.array_equal(decoder.code_alike(frequencies(counts)[7], 500, None), message[:500])


def test_the_end_costs_about_a_byte() -> None:
    for number in range(1, 200):
        message = np.random.default_rng(number).integers(0, 2, number)
        encoder = Encoder()
        table = frequencies(np.array([[1, 1]]))
        encoder.code_alike(table[0], number, message)
        content = encoder.finish()
        assert len(content) <= number / 8 + 1.01
        assert np.array_equal(Decoder(content).code_alike(table[0], number, None), message)


def test_a_carry_into_words_already_out_is_handled() -> None:
    """Streams that end just above and just below a run of ones or zeros, where the coder holds words back."""
    counts = np.array([[1, 2**24], [2**24, 1], [1, 1]])
    table = frequencies(counts)
    random = np.random.default_rng(1)
    for trial in range(3000):
        number = int(random.integers(1, 40))
        contexts = random.integers(0, 3, number)
        likely = np.array([1, 0, 0])[contexts]
        message = np.where(random.random(number) < 0.1, 1 - likely, likely) if trial % 2 else likely
        encoder = Encoder()
        encoder.code(table, contexts, message)
        content = encoder.finish()
        assert np.array_equal(Decoder(content).code(table, contexts, None), message)


def test_nothing_coded_is_no_bytes() -> None:
    assert Encoder().finish() == b""


def test_garbage_is_symbols_or_a_bad_artifact() -> None:
    random = np.random.default_rng(2)
    table = frequencies(np.array([[1, 5, 1000]]))
    errors = 0
    for content in [b"\xff" * 12, *(random.bytes(int(random.integers(0, 12))) for _ in range(300))]:
        try:
            symbols = Decoder(content).code_alike(table[0], 400, None)
        except BadArtifact:
            errors += 1
            continue
        assert set(symbols.tolist()) <= {0, 1, 2}
    assert errors >= 1
