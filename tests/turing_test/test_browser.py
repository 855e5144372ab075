"""Whole studies in a real browser (Debian's Chromium): keyboard and click, reload, back, a network that goes away."""

import re
import socket
import threading
import time
from itertools import pairwise

import pytest
import uvicorn

from improved_gan.turing_test.app import create_app
from improved_gan.turing_test.database import open_database
from improved_gan.turing_test.records import read_study_votes
from improved_gan.turing_test.settings import StudySettings
from improved_gan.turing_test.studies import create_study

pytestmark = pytest.mark.slow
READY = "[data-choice]:enabled"


class Served:
    def __init__(self, folders, path, **words) -> None:
        self.engine = open_database(str(path))
        settings = StudySettings(
            **{"trials": 6, "practice": 1, "checks": 1, "break_every": 4, "feedback": "never", **words}
        )
        self.study, self.token, _ = create_study(self.engine, folders, settings)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        config = uvicorn.Config(create_app(self.engine), port=port, log_level="warning", ws="none")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.02)
        self.url = f"http://127.0.0.1:{port}/s/{self.study.slug}"

    def votes(self):
        with self.engine.connect() as connection:
            return read_study_votes(connection, self.study)

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join()


@pytest.fixture
def served(folders, tmp_path):
    made: list[Served] = []

    def make(**words) -> Served:
        made.append(Served(folders, tmp_path / "browser.db", **words))
        return made[-1]

    yield make
    for one in made:
        one.close()


def start(browser, study, **settings):
    page = browser.new_page(**settings)
    page.problems, page.heard = [], []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("request", lambda request: page.problems.append(request.url) if study.url[:20] not in request.url else None)
    page.on("response", lambda reply: page.heard.append(reply))
    page.goto(study.url)
    page.check("input[type=checkbox]")
    page.click("button.primary")
    page.wait_for_selector(READY)
    return page


# Not by a route: a request that waits in one is now and then never delivered.
LOSE_THE_REPLIES = """() => {
  const deliver = window.fetch;
  window.fetch = async (address, options) => {
    const reply = await deliver(address, options);
    if (address.endsWith("/answer")) throw new TypeError("the reply was lost");
    return reply;
  };
}"""


def step(page, act) -> None:
    """One answer, and whatever card comes after it."""
    count = page.text_content("#count")
    act()
    changed = "k => !document.getElementById('count') || document.getElementById('count').textContent !== k"
    page.wait_for_function(changed, arg=count, timeout=15_000)
    page.wait_for_function(
        f"() => location.pathname.endsWith('/thanks') || document.querySelector('{READY}')"
        " || !document.getElementById('card').hidden", timeout=15_000,
    )  # fmt: skip
    if page.locator("#card:not([hidden])").count():
        page.keyboard.press("Enter")  # the card's button has the focus
        page.wait_for_selector(READY)


@pytest.mark.parametrize(
    ("design", "keys", "size"),
    [
        ("yes_no", ("ArrowLeft", "g"), "desktop"),
        ("two_alternative", ("ArrowLeft", "r"), "desktop"),
        ("two_alternative", (), "phone"),
    ],
)
def test_a_whole_study_by_keyboard_and_by_click(browser, served, design: str, keys, size: str) -> None:
    study = served(design=design)
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    page = start(browser, study, **(phone if size == "phone" else {"viewport": {"width": 1280, "height": 800}}))
    for number in range(8):
        if size == "phone":
            step(page, lambda n=number: page.locator("[data-choice]").nth(n % 2).tap())
        else:
            step(page, lambda n=number: page.keyboard.press(keys[n % 2]))
        if number == 0:
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.wait_for_url("**/thanks")
    assert len(page.text_content(".code")) == 12
    votes = study.votes()
    assert votes.response.tolist() == [False, True] * 4
    assert page.problems == []


def test_the_answer_is_nowhere_before_the_vote(browser, served) -> None:
    """In page and network nothing differs between kinds but random tokens: no name, no kind, no number of a picture."""
    study = served(trials=10)
    page = start(browser, study)
    texts = [page.content(), page.evaluate("JSON.stringify({...localStorage}) + document.cookie")]
    for _ in range(4):
        step(page, lambda: page.keyboard.press("ArrowLeft"))
        texts.append(page.content())
    for reply in page.heard:
        if "/state" in reply.url or "/answer" in reply.url:
            texts.append(reply.text())
        if "/picture/" in reply.url:
            assert re.fullmatch(r".*/picture/[\w-]{24}\.png", reply.url)
    shapes = {re.sub(r"[\w-]{24}|\d+", "#", text) for text in texts if text.startswith('{"position"')}
    assert len(shapes) <= 5  # they differ by practice, pause and the end, never by the kind of picture
    for text in texts:
        for word in ("signal", "check", "condition", "real-", '"kind"', '"model"'):
            assert word not in text.replace('type="checkbox"', "")


def test_reload_back_and_a_lost_network(browser, served) -> None:
    study = served()
    page = start(browser, study)
    for _ in range(2):
        step(page, lambda: page.keyboard.press("ArrowLeft"))
    page.reload()
    page.wait_for_selector(READY)
    assert page.text_content("#count").startswith("3 of 8")
    page.go_back()
    page.goto(study.url)
    page.wait_for_selector(READY)
    assert page.text_content("#count").startswith("3 of 8")
    page.context.set_offline(True)
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#offline:not([hidden])")
    assert len(study.votes()) == 2
    page.context.set_offline(False)
    page.wait_for_function("() => document.getElementById('count').textContent.startsWith('4 of 8')", timeout=15_000)
    assert study.votes().response.tolist() == [False, False, True]


def test_an_answer_whose_reply_was_lost_is_stored_once_after_a_reload(browser, served) -> None:
    study = served()
    page = start(browser, study)
    page.evaluate(LOSE_THE_REPLIES)
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#offline:not([hidden])")
    page.reload()
    page.wait_for_selector("#card:not([hidden])")
    assert page.text_content("#count").startswith("2 of 8")
    assert len(study.votes()) == 1


def test_an_answer_that_waits_is_not_taken_for_the_next_judges(browser, served) -> None:
    """Two people, one phone: the first one's answer never left, then the second one begins."""
    study = served()
    page = start(browser, study)
    page.route("**/answer", lambda route: route.abort())
    page.locator("[data-choice]").last.click()
    page.wait_for_selector("#offline:not([hidden])")
    page.context.clear_cookies()
    page.goto(study.url)
    page.unroute_all(behavior="ignoreErrors")
    page.check("input[type=checkbox]")
    page.click("button.primary")
    page.wait_for_selector(READY)
    assert page.text_content("#count").startswith("1 of 8")
    step(page, lambda: page.keyboard.press("ArrowLeft"))
    assert study.votes().response.tolist() == [False]


def test_pixels_stay_squares_and_timed_pictures_are_masked(browser, served) -> None:
    study = served(design="timed", exposure_ms=300, practice=0)
    page = start(browser, study)
    box = page.locator("#pictures canvas").bounding_box()
    assert box["width"] % 8 == 0
    assert page.locator("#pictures img").evaluate("e => getComputedStyle(e).visibility") == "hidden"
    assert page.locator("#pictures img").evaluate("e => getComputedStyle(e).imageRendering") == "pixelated"
    step(page, lambda: page.keyboard.press("ArrowRight"))
    assert 250 <= study.votes().shown_ms[0] <= 600
    assert study.votes().exposure_ms[0] == 300


@pytest.mark.parametrize(("design", "gap"), [("yes_no", 0.0), ("two_alternative", 0.12), ("yes_no", 0.3)])
def test_a_double_click_is_one_answer(browser, served, design: str, gap: float) -> None:
    study = served(design=design, trials=8, practice=0, checks=0, break_every=0)
    page = start(browser, study)
    for done in range(2):
        box = page.locator("[data-choice]").first.bounding_box()
        page.mouse.move(box["x"] + 10, box["y"] + 10)
        page.mouse.down(click_count=1)
        page.mouse.up(click_count=1)
        time.sleep(gap)
        page.mouse.down(click_count=2)
        page.mouse.up(click_count=2)
        page.wait_for_function(f"() => document.getElementById('count').textContent.startsWith('{done + 2} of 8')")
        page.wait_for_selector(READY)
        page.wait_for_timeout(300)
        assert len(study.votes()) == done + 1
    assert page.problems == []


def held(page, key: str) -> None:
    for _ in range(12):
        page.keyboard.down(key)  # from the second time on the browser says that it is a repeat
        page.wait_for_timeout(80)
    page.keyboard.up(key)


def twice(page, key: str) -> None:
    for _ in range(2):
        page.keyboard.press(key)
        page.wait_for_timeout(120)


def double_tap(page, _: str) -> None:
    for _ in range(2):
        page.locator("[data-choice]").first.tap(force=True, timeout=5_000, no_wait_after=True)
        page.wait_for_timeout(120)


def tap_and_click(page, _: str) -> None:
    """Touch and mouse of one tap: some browsers and remote desktops send both, at the same place."""
    button = page.locator("[data-choice]").first
    box = button.bounding_box()
    button.tap(force=True, timeout=5_000, no_wait_after=True)
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


@pytest.mark.parametrize(
    ("gesture", "key"),
    [(held, "ArrowLeft"), (held, "Enter"), (held, " "), (twice, "ArrowLeft"), (twice, "Enter"), (double_tap, ""),
     (tap_and_click, "")],
)  # fmt: skip
def test_a_held_or_bounced_key_a_double_tap_and_touch_with_mouse_are_one_answer(
    browser, served, gesture, key: str
) -> None:
    """The card for a break comes after the first answer: it is not read by the gesture that answered."""
    study = served(trials=8, practice=1, checks=0, break_every=0)
    page = start(browser, study, viewport={"width": 390, "height": 844}, has_touch=True)
    page.evaluate("() => { window.times = []; }")
    for kind in ("keydown", "pointerdown"):
        page.evaluate("(kind) => addEventListener(kind, (event) => window.times.push(event.timeStamp), true)", kind)
    page.locator("[data-choice]").first.focus()
    gesture(page, key)
    times = page.evaluate("() => window.times")
    if max(later - earlier for earlier, later in pairwise(times)) > 350:
        pytest.skip("this machine is too busy for a gesture as quick as a person's")
    page.wait_for_selector("#card:not([hidden])")
    page.wait_for_timeout(500)
    assert not page.locator("#card").is_hidden()
    assert len(study.votes()) == 1
    page.keyboard.press("Enter")
    page.wait_for_selector(READY)
    assert len(study.votes()) == 1


def test_a_press_that_began_before_the_picture_is_no_answer_to_it(browser, served) -> None:
    study = served(trials=8, practice=0, checks=0, break_every=0)
    page = start(browser, study)
    box = page.locator("[data-choice]").first.bounding_box()
    page.mouse.move(box["x"] + 10, box["y"] + 10)
    page.keyboard.press("ArrowLeft")
    page.mouse.down()
    page.wait_for_selector(READY)
    page.mouse.up()
    page.wait_for_timeout(300)
    assert len(study.votes()) == 1
    page.mouse.down()
    page.mouse.up()
    page.wait_for_function("() => document.getElementById('count').textContent.startsWith('3 of 8')")


def test_a_double_click_on_begin_is_one_judge(browser, served) -> None:
    study = served(trials=8, practice=0, checks=0)
    page = browser.new_page()
    page.goto(study.url)
    page.check("input[type=checkbox]")
    page.dblclick("button.primary")
    page.wait_for_selector(READY)
    with study.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM judge").scalar() == 1
