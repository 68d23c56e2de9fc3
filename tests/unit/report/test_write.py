import json
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sprat import report

HOSTILE = "<script>alert(1)</script>"
BOUND = 3_000_000
VOID = {"meta", "link", "img", "br", "input", "hr"}


class Page(HTMLParser):
    """Elements, attributes and visible text of a page; fails where tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> does not match"

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).replace("\u00a0", " ").split())

    def count(self, name: str) -> int:
        return sum(tag == name for tag, _ in self.elements)


def page_of(folder: Path) -> Page:
    path = report.write(folder)
    assert path == folder / "report.html"
    assert path.stat().st_size < BOUND
    assert [p.name for p in folder.iterdir() if p.suffix == ".tmp"] == []
    return Page(path.read_text("utf-8"))


def test_shows_the_figures(run_folder: Path) -> None:
    text = page_of(run_folder).text
    known = report.facts(run_folder)
    test, latency = known["test"], known["latency"]
    assert text.index("Fits the budget") < text.index("Learning")
    for shown in (
        "58,641",
        f"{100 * test['accuracy']:.2f} %",
        f"± {100 * test['standard_error']:.2f} points standard error, 200 images",
        f"before compression {100 * known['float_accuracy']:.2f} %",
        f"{latency['median_ms']:.3g} ms",
        f"90 % within {latency['p90_ms']:.3g} ms",
        "onnxruntime 1.32.0",
        known["files"]["sprat"]["sha256"],
        known["command"],
        "sprat predict model.sprat photo.jpg",
        "notes.txt text, not an image",
        "train/ship/00017.png test/ship/00181.png",
        "learning rate 0.4 divided by 8",
        f"{known['total']['params']:,} {known['total']['macs']:,} {known['total']['bytes']:,}",
    ):
        assert shown in text, shown
    for row in test["classes"]:
        assert f"{100 * row['f1']:.1f} %" in text


def test_sections_come_in_order(run_folder: Path) -> None:
    page = page_of(run_folder)
    order = [attributes["id"] for tag, attributes in page.elements if tag in ("header", "section")]
    assert order == [
        "verdict", "limits", "training", "candidates", "compression", "layers", "confusion", "classes", "mistakes",
        "latency", "memory", "data", "warnings", "use", "command",
    ]  # fmt: skip
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {(attributes["href"] or "")[1:] for tag, attributes in page.elements if tag == "a"}
    assert links == set(order) - {"verdict"}


def test_nothing_comes_from_outside(run_folder: Path) -> None:
    page = page_of(run_folder)
    source = (run_folder / "report.html").read_text("utf-8")
    assert not re.search(r"https?:|@import|url\(|src\s*=\s*[\"']?//|fetch\(|XMLHttpRequest", source)
    sources = [attributes["src"] or "" for _, attributes in page.elements if "src" in attributes]
    assert len(sources) == 24
    assert all(value.startswith("data:image/") for value in sources)
    references = [attributes["href"] or "" for _, attributes in page.elements if "href" in attributes]
    assert all(value.startswith(("#", "data:")) for value in references)
    policy = [a["content"] or "" for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy[0].startswith("default-src 'none'")


def test_everything_from_data_is_escaped(tmp_path: Path, make_run: Callable[..., Path]) -> None:
    folder = make_run(tmp_path / "run", (HOSTILE, *(f"class {index}" for index in range(1, 10))))
    for path in folder.glob("*.json"):
        content = path.read_text()
        for harmless in (
            "photos/",
            "notes.txt",
            "stages.1.depthwise",
            "mobilenet_v1",
            "Linux-6",
            "train/ship",
            "VmHWM",
        ):
            content = content.replace(harmless, HOSTILE)
        path.write_text(content)
    page = page_of(folder)
    assert page.count("script") == 1
    assert HOSTILE in page.text
    source = (folder / "report.html").read_text("utf-8")
    assert "alert(1)</script>" not in source
    for tag, attributes in page.elements:
        if tag not in ("svg", "title"):
            assert not any(name.startswith("on") for name in attributes)


def test_mistakes_are_pairs_of_pictures(run_folder: Path) -> None:
    page = page_of(run_folder)
    mistakes = json.loads((run_folder / "mistakes.json").read_text())
    assert page.count("img") == 2 * len(mistakes)
    first, classes = mistakes[0], report.facts(run_folder)["classes"]
    said = f"{classes[first['predicted']]} , {100 * first['confidence']:.1f} % sure; it is {classes[first['label']]}"
    assert said in page.text


def test_pictures_outside_the_folder_or_damaged_are_left_out(run_folder: Path) -> None:
    mistakes = json.loads((run_folder / "mistakes.json").read_text())[:3]
    Image.new("RGB", (8, 8)).save(run_folder.parent / "secret.png")
    mistakes[0]["image"], mistakes[1]["cam"] = "../secret.png", "mistakes/none.png"
    (run_folder / mistakes[2]["image"]).write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    (run_folder / "mistakes.json").write_text(json.dumps(mistakes))
    page = page_of(run_folder)
    assert page.count("img") == 3
    assert "no picture" in page.text
    assert "no map" in page.text


def test_large_photos_stay_within_the_bound(run_folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (600, 800, 3), np.uint8)
    mistakes = json.loads((run_folder / "mistakes.json").read_text()) * 4
    for name in {entry[key] for entry in mistakes for key in ("image", "cam")}:
        Image.fromarray(noise).save(run_folder / name)
    (run_folder / "mistakes.json").write_text(json.dumps(mistakes))
    page = page_of(run_folder)
    assert page.count("img") == 48
    assert "24 more are in mistakes.json" in page.text


@pytest.mark.slow
def test_a_thousand_classes_stay_within_the_bound(tmp_path: Path, make_run: Callable[..., Path]) -> None:
    folder = make_run(tmp_path / "run", tuple(f"a class with a long name {index}" for index in range(1000)))
    labels = np.random.default_rng(0).integers(0, 1000, (30_000, 2))
    labels[::2, 1] = labels[::2, 0]
    rows = "".join(f"test/{index}.png,{a},{b},0.5\n" for index, (a, b) in enumerate(labels))
    (folder / "predictions.csv").write_text("key,label,predicted,confidence\n" + rows)
    page_of(folder)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("metrics.jsonl", "No epoch is finished yet"),
        ("plan.json", "No plan has been made yet"),
        ("compress.json", "Compression has not run yet"),
        ("layers.json", "there is no layer table"),
        ("predictions.csv", "there is no confusion matrix"),
        ("mistakes.json", "No pictures of mistakes have been made"),
        ("latency.json", "The time has not been measured yet"),
        ("memory.json", "The memory of the running network has not been measured yet"),
        ("result.json", "Not finished"),
        ("model.sprat", "model.sprat is not written yet"),
        ("model.onnx", "sprat predict"),
        ("agreement.json", "sprat predict"),
        ("splits.csv", "4,500 colour images"),
    ],
)
def test_a_missing_file_leaves_a_plain_sentence(run_folder: Path, name: str, sentence: str) -> None:
    (run_folder / name).unlink()
    assert sentence in page_of(run_folder).text


def test_a_folder_just_begun_has_a_page(run_folder: Path) -> None:
    for path in run_folder.iterdir():
        if path.is_file() and path.name != "spec.json":
            path.unlink()
    assert "Not finished" in page_of(run_folder).text


def test_over_a_limit_is_said_first(run_folder: Path) -> None:
    (run_folder / "model.sprat").write_bytes(bytes(61_000))
    text = page_of(run_folder).text
    assert "Does not fit: file size is 61,000 bytes, the limit 60,000 bytes" in text
    assert "101.7 %, over" in text
    assert "result.json says size_bytes is 58641; model.sprat gives 61000" in text


def test_no_limits_at_all(run_folder: Path) -> None:
    spec = json.loads((run_folder / "spec.json").read_text())
    spec["request"]["budget"] = {}
    (run_folder / "spec.json").write_text(json.dumps(spec))
    assert "Done: no limit was set" in page_of(run_folder).text


def test_every_answer_right(run_folder: Path) -> None:
    rows = "".join(f"t{index},{index % 10},{index % 10},0.9\n" for index in range(50))
    (run_folder / "predictions.csv").write_text("key,label,predicted,confidence\n" + rows)
    (run_folder / "mistakes.json").write_text("[]")
    text = page_of(run_folder).text
    assert "There are none: every test image is right." in text
    assert "between 92.87 % and 100.00 % with 95 % confidence" in text


def test_python_lines_for_grey_images_make_one_channel(run_folder: Path) -> None:
    result = json.loads((run_folder / "result.json").read_text())
    (run_folder / "result.json").write_text(json.dumps({**result, "image": [1, 8, 8]}))
    assert '.convert("L"))[None, :, :, None]' in page_of(run_folder).text


def test_torch_is_not_imported(run_folder: Path) -> None:
    code = f"import sys; from sprat import report; report.write({str(run_folder)!r}); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
