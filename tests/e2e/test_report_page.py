"""The report in a real browser."""

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sprat import report

BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SIZES = {"wide": (1280, 800), "phone": (390, 844), "narrow": (360, 740)}

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: the page is not opened")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        BROWSER is None, reason="no chromium, chromium-browser or google-chrome: the page is not opened"
    ),
]


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = importlib.util.spec_from_file_location("report_fixture", Path(__file__).parents[1] / "report_fixture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return report.write(module.make_run(tmp_path_factory.mktemp("report") / "run"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=BROWSER, args=list(ARGUMENTS))
        yield chromium
        chromium.close()


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def opened(browser: Any, file: Path, size: str, scheme: str = "light", **context: Any) -> tuple[Any, list[str]]:
    """The page, and what went wrong while it loaded: console messages, errors, requests that are not for itself."""
    width, height = SIZES[size]
    page = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **context).new_page()
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
    page.on("requestfailed", lambda request: troubles.append(f"failed: {request.url[:80]}"))
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith(("file:", "data:")) else troubles.append(f"asked: {request.url}")
        ),
    )
    page.goto(file.as_uri())
    return page, troubles


@pytest.mark.parametrize("size", list(SIZES))
def test_loads_clean_and_fits_the_screen(browser: Any, page_file: Path, tmp_path: Path, size: str, scheme: str) -> None:
    page, troubles = opened(browser, page_file, size, scheme)
    page.screenshot(path=tmp_path / f"report-{size}-{scheme}.png", full_page=True)
    assert (tmp_path / f"report-{size}-{scheme}.png").stat().st_size > 50_000
    page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]
    for box in page.locator(".figures .big").all() + page.locator("h1").all():
        place = box.bounding_box()
        assert place["y"] + place["height"] <= SIZES[size][1], "the verdict is above the fold"
        assert place["x"] + place["width"] <= SIZES[size][0]
    assert page.locator("h1").inner_text().startswith("Fits the budget")
    assert troubles == []
    page.context.close()


@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_no_text_of_a_chart_is_cut_off(browser: Any, page_file: Path, size: str) -> None:
    page, _ = opened(browser, page_file, size)
    cut = page.evaluate(
        """[...document.querySelectorAll("svg.chart")].flatMap((chart) => {
          const frame = chart.getBoundingClientRect();
          return [...chart.querySelectorAll("text")].filter((text) => {
            const box = text.getBoundingClientRect();
            return box.left < frame.left - 2 || box.right > frame.right + 2
              || box.top < frame.top - 3 || box.bottom > frame.bottom + 3;
          }).map((text) => text.textContent);
        })"""
    )
    assert cut == []
    page.context.close()


def test_colours_follow_the_scheme(browser: Any, page_file: Path) -> None:
    seen = {}
    for scheme in ("light", "dark"):
        page, _ = opened(browser, page_file, "wide", scheme)
        seen[scheme] = [
            page.evaluate("getComputedStyle(document.body).backgroundColor"),
            page.evaluate("getComputedStyle(document.querySelector('.line-val')).stroke"),
            page.evaluate("getComputedStyle(document.querySelector('.chart .tick')).fill"),
        ]
        page.context.close()
    assert all(light != dark for light, dark in zip(seen["light"], seen["dark"], strict=True))


def test_complete_without_javascript(browser: Any, page_file: Path) -> None:
    page, _ = opened(browser, page_file, "wide", java_script_enabled=False)
    assert page.locator("section").count() == 14
    assert page.locator("svg.chart").count() == 7
    assert page.locator(".mark > title").count() > 100
    assert page.locator("#layers .sort tbody tr").count() == 28
    page.context.close()


def test_layer_table_sorts(browser: Any, page_file: Path) -> None:
    page, troubles = opened(browser, page_file, "wide")

    def macs() -> list[int]:
        cells = page.locator("#layers .sort tbody tr td:nth-child(6)")
        return [int(cell.get_attribute("data-v")) for cell in cells.all()]

    before = macs()
    page.locator("#layers th button", has_text="Macs").click()
    assert macs() == sorted(before, reverse=True)
    page.locator("#layers th button", has_text="Macs").click()
    assert macs() == sorted(before)
    assert troubles == []
    page.context.close()


def test_pointing_at_a_candidate_reads_it_out(browser: Any, page_file: Path) -> None:
    page, troubles = opened(browser, page_file, "wide")
    chosen = page.locator("svg[aria-describedby=pareto-macs-desc] .chosen")
    chosen.scroll_into_view_if_needed()
    chosen.hover()
    assert "mobilenet_v1_0.5" in page.locator(".tip").inner_text()
    page.mouse.move(2, 2)
    assert page.locator(".tip").is_hidden()
    assert troubles == []
    page.context.close()
