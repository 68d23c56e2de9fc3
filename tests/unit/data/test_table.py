"""sprat.data.table: lists of path,label and perhaps split."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sprat.data import open_collection
from sprat.data.source import find_source
from sprat.errors import BadInput

Folder = Callable[..., Path]


def _rows(count: int = 8) -> list[tuple[str, str]]:
    return [(f"pool/{index:03d}.png", "cat" if index % 2 else "dog") for index in range(count)]


@pytest.fixture
def pool(folder: Folder) -> Path:
    return folder({"pool": 24})


def _write(path: Path, rows: list[tuple[str, ...]], separator: str = ",") -> Path:
    path.write_text("".join(separator.join(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("separator", [",", "\t", ";", " ", ", "])
@pytest.mark.parametrize("header", [[], [("path", "label")]])
def test_with_and_without_header(separator: str, header: list[tuple[str, str]], pool: Path) -> None:
    found = open_collection(_write(pool / "list.csv", [*header, *_rows(24)], separator))
    assert found.classes == ("cat", "dog")
    assert found.skipped == ()
    assert {(key, found.classes[label]) for key, label, _ in found.split_rows()} == set(_rows(24))


def test_columns_are_found_by_name_and_others_ignored(pool: Path) -> None:
    rows = [("id", "Class", "Filename"), *((str(n), label, path) for n, (path, label) in enumerate(_rows(24)))]
    assert open_collection(_write(pool / "x.csv", rows)).classes == ("cat", "dog")


@pytest.mark.parametrize("header", [[], [("file", "class", "split")]])
@pytest.mark.parametrize("separator", [",", " "])
def test_split_column(header: list[tuple[str, ...]], separator: str, pool: Path) -> None:
    words = ["train"] * 16 + ["valid"] * 4 + ["test"] * 4
    rows = [(*row, word) for row, word in zip(_rows(24), words, strict=True)]
    found = open_collection(_write(pool / "list.txt", [*header, *rows], separator))
    assert found.given_split
    assert [len(found.keys(split)) for split in ("train", "val", "test")] == [16, 4, 4]
    assert found.keys("val") == tuple(f"pool/{n:03d}.png" for n in range(16, 20))


def test_paths_are_relative_to_the_file_not_to_the_working_folder(
    pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(pool / "list.csv", _rows(24))
    monkeypatch.chdir(tmp_path)
    assert open_collection("photos/list.csv").skipped == ()


def test_whole_number_labels_are_sorted_by_value(pool: Path) -> None:
    rows = [(path, str(8 + index % 3)) for index, (path, _) in enumerate(_rows(24))]
    assert open_collection(_write(pool / "list.csv", rows)).classes == ("8", "9", "10")


def test_missing_files_and_rows_without_label_are_listed(pool: Path) -> None:
    rows = [*_rows(24), ("pool/gone.png", "cat"), ("pool/000.png", "")]
    found = open_collection(_write(pool / "list.csv", rows))
    assert [(entry.key, entry.reason) for entry in found.skipped] == [
        ("pool/000.png", "line 26 has no label"),
        ("pool/gone.png", "no such file"),
    ]


def test_quotes_byte_order_mark_and_blank_lines(pool: Path) -> None:
    (pool / "pool" / "a, b.png").write_bytes((pool / "pool/000.png").read_bytes())
    text = (
        "\ufeffpath,label\r\n\r\n"
        + "".join(f'"{path}",{label}\r\n' for path, label in _rows(24))
        + '"pool/a, b.png",dog\r\n'
    )
    (pool / "list.csv").write_text(text, newline="")
    found = open_collection(pool / "list.csv")
    assert found.skipped == ()
    assert "pool/a, b.png" in {key for key, _, _ in found.split_rows()}


def test_paths_with_spaces_in_a_list(pool: Path) -> None:
    (pool / "pool" / "my cat.png").write_bytes((pool / "pool/001.png").read_bytes())
    found = open_collection(_write(pool / "list.txt", [*_rows(24), ("pool/my cat.png", "cat")], " "))
    assert found.skipped == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,kind\na.png,cat\n", "names no label"),
        ("a.png,cat,dev9\n", "split 'dev9' is not known"),
        ("a.png,cat,train,4\n", "4 columns"),
        ("a.png\n", "1 columns"),
        ("\n\n", "no rows"),
        ("path,label\nx.png,cat\n", "no such file"),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(BadInput, match=message):
        open_collection(tmp_path / "list.csv")


def test_a_class_only_in_test_is_an_error(pool: Path) -> None:
    rows = [(*row, "train") for row in _rows(20)] + [("pool/021.png", "bird", "test")]
    with pytest.raises(BadInput, match="'bird' occurs in test"):
        open_collection(_write(pool / "list.csv", rows))


def test_latin_1_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes("a.png,café\n".encode("latin-1"))
    with pytest.raises(BadInput, match="save it as UTF-8"):
        open_collection(tmp_path / "list.csv")


_CELL = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=12).filter(
    lambda text: text.strip() == text and "\x85" not in text
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(_CELL, _CELL), min_size=1, max_size=6))
def test_what_a_csv_writer_wrote_is_read_back(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    stream = io.StringIO()
    csv.writer(stream).writerows([("path", "label"), *rows])
    path = tmp_path / "list.csv"
    path.write_text(stream.getvalue(), newline="")
    items = find_source(str(path)).read(str(path)).items
    import unicodedata

    expected = [tuple(unicodedata.normalize("NFC", cell) for cell in row) for row in rows]
    assert [(item.key, item.label) for item in items] == expected
