"""Each page in Chromium: axe-core finds no violation of WCAG 2.2 AA, nothing overflows at 320 pixels or 200% zoom."""

from pathlib import Path

import pytest

from improved_gan.turing_test.questions import Question
from tests.turing_test.test_browser import READY, served, start, step  # noqa: F401 (fixture)

pytestmark = pytest.mark.slow
DESIGNS = ["yes_no", "two_alternative", "timed", "rating", "odd_one_out", "preference"]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
BEFORE = (
    Question("age", "choice", "How old are you?", options=("18 to 39", "40 or more")),
    Question("skill", "scale", "How often do you look at photographs?", labels=("never", "daily")),
    Question("work", "text", "What is your work?", optional=True),
    Question("plate", "plate", "A number in colors"),
)


def violations(page) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python")
    script = Path(axe.__file__).parent / "axe.min.js"
    page.evaluate(script.read_text(encoding="utf-8"))
    found = page.evaluate("(tags) => axe.run({ runOnly: { type: 'tag', values: tags } })", RULES)
    return [f"{one['id']}: {node['html'][:150]}" for one in found["violations"] for node in one["nodes"]]


def check(page, path: str = "") -> None:
    """No violation, at a desktop's width and at 320 pixels, and no sideways scrolling there (200% zoom of 640)."""
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 800})
        for _ in range(100):  # images change the layout when they arrive; the page's policy forbids wait_for_function
            if fits := page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
                break
            page.wait_for_timeout(50)
        assert fits, (path, width)
        assert violations(page) == [], (path, width)


@pytest.mark.parametrize("design", DESIGNS)
def test_judges_pages(browser, served, design: str) -> None:  # noqa: F811
    """The pages before and after the trials are the same for all designs but for their texts: checked in one."""
    study = served(
        design=design, practice=1, trials=2, checks=0, comment=True, exposure_ms=300 if design == "timed" else None
    )
    page = browser.new_page(reduced_motion="reduce")
    page.goto(study.url)
    if design == "yes_no":
        check(page, "consent")
    page.check("input[type=checkbox]")
    page.click("button.primary")
    page.wait_for_selector(READY)
    check(page, "judge")
    names = page.evaluate(
        "[...document.querySelectorAll('[data-choice]')].map((one) => one.ariaLabel || one.innerText.trim())"
    )
    assert len(set(names)) == len(names)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.choice") == page.locator("[data-choice]").first.get_attribute(
        "data-choice"
    )
    page.locator("[data-choice]").first.click()
    page.wait_for_selector("#card:not([hidden])")
    assert page.evaluate("document.activeElement.id") == "card-button"
    check(page, "card")
    if design == "yes_no":
        page.keyboard.press("Enter")
        for _ in range(2):
            page.wait_for_selector(READY)
            step(page, lambda: page.locator("[data-choice]").first.click())
        page.wait_for_url("**/thanks")
        check(page, "thanks")


@pytest.mark.parametrize("design", ["yes_no", "preference"])
def test_pages_with_questions_and_of_the_researcher(browser, served, design: str) -> None:  # noqa: F811
    study = served(design=design, before=BEFORE, language="de")
    page = browser.new_page()
    page.goto(study.url)
    if design == "yes_no":
        check(page, "questions")
        page.goto(study.url + "?participant=a&participant=b")
        check(page, "message")
    page.goto(study.url + "/results")
    if design == "yes_no":
        check(page, "login")
    page.fill("#token", study.token)
    page.click("button.primary")
    page.wait_for_selector("main[data-live]")
    check(page, "results")
