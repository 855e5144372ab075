"""The report in a real browser (Debian's Chromium): no errors, nothing loaded, keyboard, narrow and dark."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from improved_gan.reports.comparison import named_runs
from improved_gan.reports.evaluate_run import gather
from improved_gan.reports.page import ShownRun, render

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address(small_runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    runs = named_runs(list(small_runs.values()))
    shown = [
        ShownRun(run, gather(run, data_folder=None, device="cpu", say=lambda _: None, warn=pytest.fail, trust=True))
        for run in runs
    ]
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(shown, title="Three <b>runs</b>", now=datetime.now(UTC)))
    return path.as_uri()


@pytest.fixture
def page(browser, address: str, request: pytest.FixtureRequest):
    words = getattr(request, "param", {"viewport": {"width": 1280, "height": 900}})
    opened = browser.new_page(**words)
    problems: list[str] = []
    opened.on("console", lambda message: problems.append(message.text))
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("request", lambda one: None if one.url.startswith(("file:", "data:")) else problems.append(one.url))
    opened.goto(address)
    opened.wait_for_selector(".chart svg")
    yield opened
    assert problems == []


WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.mark.parametrize(
    "page",
    [{"viewport": WIDE, "color_scheme": "light"}, {"viewport": NARROW, "color_scheme": "dark", "has_touch": True}],
    indirect=True,
)
def test_the_page_fits_its_window_and_all_curves_are_drawn(page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    charts = page.locator(".chart").count()
    assert charts >= 9
    assert page.locator(".chart:has(path.line)").count() == charts
    assert page.locator("h1").inner_text() == "Three <b>runs</b>"


@pytest.mark.parametrize("page", [{"viewport": {"width": 900, "height": 900}}], indirect=True)
def test_the_errors_of_the_overview_lie_within_a_window_of_900_pixels(page) -> None:
    assert page.evaluate("(box => box.scrollWidth <= box.clientWidth)(document.querySelector('#overview .scroll'))")


def test_the_keyboard_moves_the_samples_and_reads_the_curves(page) -> None:
    slider, picture = page.locator("#timeline-slider"), page.locator("figure.timeline img").first
    last = picture.get_attribute("src")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#timeline-epoch").inner_text() == "3"
    assert slider.get_attribute("aria-valuetext") == "epoch 3"
    assert picture.get_attribute("src") != last
    page.keyboard.press("Home")
    assert page.locator("figure.timeline .at").first.inner_text() == "epoch 1"
    page.keyboard.press("End")
    assert picture.get_attribute("src") == last

    curve = page.locator(".chart svg[role=slider]").first
    curve.focus()
    page.keyboard.press("Home")
    assert curve.get_attribute("aria-valuenow") == "1"
    assert curve.get_attribute("aria-valuetext").startswith("epoch 1; ")
    page.keyboard.press("ArrowRight")
    assert page.locator(".chart").first.locator(".tip").inner_text().startswith("epoch 2")


def test_hovering_shows_the_values_of_the_log(page, small_runs: dict[str, Path]) -> None:
    page.check("input[name=view][value=runs]")
    chart = page.locator(".chart").first
    chart.scroll_into_view_if_needed()
    box = chart.locator("svg[role=slider]").bounding_box()
    page.mouse.move(box["x"] + box["width"] - 10, box["y"] + 60)
    error = 100 * named_runs([small_runs["first"]])[0].log.last["test/error"]
    assert f"first, averaged weights: {error:.4g}%" in chart.locator(".tip").inner_text()
    page.mouse.move(5, 5)
    assert chart.locator(".tip").is_hidden()


def test_axes_views_runs_and_tables_can_be_chosen(page) -> None:
    chart = page.locator(".chart").first
    lines = chart.locator("path.line")
    # two seeds as one group, each with averaged and with current weights; no classes in the third
    assert (lines.count(), chart.locator("path.band").count()) == (2, 2)
    page.check("input[name=view][value=runs]")
    assert (lines.count(), chart.locator("path.band").count()) == (4, 0)
    page.locator("#legend input").first.uncheck()
    assert lines.count() == 2
    button = chart.locator("button")
    before, pressed = lines.first.get_attribute("d"), button.get_attribute("aria-pressed")
    button.click()
    assert button.get_attribute("aria-pressed") != pressed
    assert lines.first.get_attribute("d") != before
    page.check("input[name=along][value=minutes]")
    assert "minutes of training" in chart.locator("svg[role=slider]").text_content()
    chart.locator("summary").click()
    page.wait_for_function("() => document.querySelectorAll('.chart')[0].querySelectorAll('tbody tr').length === 4")
    page.check("#only-different")
    assert page.locator("#settings-table tbody tr:not(.differs)").first.is_hidden()


@pytest.mark.parametrize(
    "page", [{"viewport": WIDE, "java_script_enabled": True, "color_scheme": "dark"}], indirect=True
)
def test_on_paper_it_is_dark_on_light_without_controls(page) -> None:
    page.emulate_media(media="print")
    assert page.locator("#curve-controls").is_hidden()
    ink = page.evaluate("getComputedStyle(document.body).color")
    assert ink == "rgb(27, 30, 35)"
