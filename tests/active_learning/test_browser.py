"""Labeling in a real browser (Debian's Chromium), from a file, without a network."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from improved_gan.active_learning.annotate import AnnotationImage, annotation_page, image_data_uri
from improved_gan.active_learning.query import Prediction
from improved_gan.data.labels_file import read_labels as read_labels_of

pytestmark = pytest.mark.slow
NAMES = ["plain.png", "a,b.png", 'quo"te.png', "new\nline.png", "<img src=x onerror=alert(1)>.png", "naïve 図.png",
         "a'b&amp;.png", "spa ce.png", "=1+1.png", "</script><script>alert(2)</script>.png"]  # fmt: skip
CLASSES = ["cat", "<b>dog</b>", "7"]
DESKTOP = {"viewport": {"width": 1280, "height": 860}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def read_labels(path: Path) -> dict[str, str]:
    """As `train-folder --labels` reads them."""
    return read_labels_of(path, [*NAMES, "old.png", "a", "b", "c"], path.parent)


def make_page(path: Path, names: list[str], *, classes: list[str] = CLASSES, labels: dict[str, str] | None = None):
    shown = []
    for number, name in enumerate(names):
        buffer = io.BytesIO()
        pixels = np.random.default_rng(number).integers(0, 256, (16, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(buffer, format="PNG")
        p = np.roll([0.5, 0.3, *[0.2 / (len(classes) - 2)] * (len(classes) - 2)], number).tolist()
        prediction = Prediction(name, tuple(p), 0.5, 1.0, f"{number:064x}")
        shown.append(AnnotationImage(name, prediction, image_data_uri(buffer.getvalue(), name)))
    path.write_text(annotation_page(shown, classes, labels=labels or {}, next_command="improved-gan train-folder"))
    return path


def open_page(browser, path: Path, **settings: object):
    page = browser.new_page(**settings)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda message: page.problems.append(message.text))
    page.on("dialog", lambda dialog: (page.problems.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: None if request.url.startswith(("file:", "data:", "blob:"))
            else page.problems.append(request.url))  # fmt: skip
    page.goto(path.as_uri())
    return page


def download(page, button: str = "#download") -> Path:
    with page.expect_download() as waiting:
        page.click(button)
    return Path(waiting.value.path())


def test_keyboard_mouse_undo_reload_and_download(browser, tmp_path: Path) -> None:
    path = make_page(tmp_path / "page.html", NAMES, labels={"old.png": "cat", "plain.png": "cow"})
    page = open_page(browser, path, **DESKTOP)
    assert page.text_content("#name") == "plain.png"
    page.keyboard.press("7")  # a class that is a digit has its own key
    page.keyboard.press("Enter")  # a,b.png: the first guess, which is the second class
    page.keyboard.press("1")  # cat
    page.keyboard.press("u")
    assert page.text_content("#name") == 'quo"te.png'
    page.locator(".class", has_text="<b>dog</b>").click()
    page.keyboard.press("s")
    page.keyboard.press("x")
    page.keyboard.press("n")
    page.keyboard.type("<u>new</u>, class")
    page.keyboard.press("Enter")
    assert page.text_content("#count") == "6 of 10 done"
    page.reload()
    assert page.text_content("#count") == "6 of 10 done"
    assert page.text_content("#name") == "a'b&amp;.png"
    page.locator(".class", has_text="<u>new</u>, class").click()
    page.keyboard.press("Control+z")
    page.keyboard.press("Enter")
    for _ in range(2):
        page.keyboard.press("1")
    page.locator("#strip button").nth(1).click()  # a second thought, by the picture below
    page.keyboard.press("1")
    assert page.text_content("#name") == NAMES[9]
    page.keyboard.press("2")
    page.wait_for_selector("#done:not([hidden])")
    expected = {"old.png": "cat", "plain.png": "7", "a,b.png": "cat", 'quo"te.png': "<b>dog</b>",
                "naïve 図.png": "<u>new</u>, class", "a'b&amp;.png": "cat", "spa ce.png": "cat", "=1+1.png": "cat",
                NAMES[9]: "<b>dog</b>"}  # fmt: skip
    assert read_labels(download(page)) == expected
    assert read_labels(download(page, "#download-again")) == expected
    with download(page, "#set-aside").open(newline="") as file:
        assert list(csv.reader(file)) == [["file"], [NAMES[4]]]
    page.click("#look-again")
    assert page.text_content("#name") == "new\nline.png"
    page.keyboard.press("1")
    assert read_labels(download(page)) == {**expected, "new\nline.png": "cat"}
    assert page.problems == []


def test_a_phone_and_a_keyboard_without_mouse(browser, tmp_path: Path) -> None:
    path = make_page(tmp_path / "page.html", NAMES)
    page = open_page(browser, path, **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    heights = page.eval_on_selector_all(".class, .others button", "all => all.map(one => one.offsetHeight)")
    assert min(heights) >= 44
    page.locator(".class").nth(0).tap()
    page.locator("#skip").tap()
    assert page.text_content("#count") == "2 of 10 done"
    page.locator("#undo").tap()
    assert page.text_content("#count") == "1 of 10 done"
    assert page.problems == []
    page = open_page(browser, path, **DESKTOP)
    page.locator(".class").nth(1).focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    for count in ("1", "2"):
        page.keyboard.press("Space")  # the button again each time: the focus stays where the hand was
        assert page.text_content("#count") == f"{count} of 10 done"
    assert page.eval_on_selector_all("#strip .tag:not([hidden])", "all => all.map(one => one.textContent)") == [
        "<b>dog</b>", "<b>dog</b>"]  # fmt: skip
    unnamed = "all => all.filter(one => !(one.textContent.trim() || one.getAttribute('aria-label'))).length"
    assert page.eval_on_selector_all("button", unnamed) == 0


def test_many_classes_are_found_by_typing(browser, tmp_path: Path) -> None:
    path = make_page(tmp_path / "page.html", ["a", "b"], classes=[f"class {k}" for k in range(1000)])
    page = open_page(browser, path, **DESKTOP)
    assert page.locator(".class").count() == 60
    assert page.locator(".class .word").nth(0).text_content() == "class 0"  # the most probable class first
    page.keyboard.press("/")
    page.keyboard.type("s 777")
    page.keyboard.press("Enter")
    assert read_labels(download(page)) == {"a": "class 777"}
    assert page.problems == []


def test_two_tabs_and_a_browser_that_keeps_nothing(browser, tmp_path: Path) -> None:
    path = make_page(tmp_path / "page.html", ["a", "b", "c"])
    first, second = open_page(browser, path, **DESKTOP), open_page(browser, path, **DESKTOP)
    first.keyboard.press("1")
    second.wait_for_function("() => document.getElementById('count').textContent === '1 of 3 done'")
    context = browser.new_context(**DESKTOP)
    context.add_init_script("Storage.prototype.setItem = () => { throw new Error('full'); }")
    page = open_page(context, path)
    page.keyboard.press("1")
    assert "does not keep progress" in page.text_content("#notice")
    assert read_labels(download(page)) == {"a": "cat"}
    context.close()


def test_copied_labels_are_those_of_the_file(browser, tmp_path: Path) -> None:
    path = make_page(tmp_path / "page.html", ["a,b"])
    context = browser.new_context(**DESKTOP)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = open_page(context, path)
    page.keyboard.press("1")
    page.click("#copy")
    page.wait_for_function("() => document.getElementById('copy').textContent === 'Copied'")
    assert page.evaluate("navigator.clipboard.readText()") == 'file,label\n"a,b",cat\n'
    context.close()


def test_one_gesture_is_one_decision(browser, tmp_path: Path) -> None:
    """A double click, a double click on Skip, a key that is held down: one image each."""
    page = open_page(browser, make_page(tmp_path / "page.html", NAMES), **DESKTOP)
    page.locator(".class", has_text="cat").dblclick()
    assert page.text_content("#count") == "1 of 10 done"
    page.locator("#skip").dblclick()
    assert page.text_content("#count") == "2 of 10 done"
    for _ in range(4):
        page.keyboard.down("x")  # from the second time on the browser says that it is a repeat
    page.keyboard.up("x")
    assert page.text_content("#count") == "3 of 10 done"
    page.locator(".class").first.focus()
    for _ in range(4):
        page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    assert page.text_content("#count") == "4 of 10 done"
    assert page.problems == []
