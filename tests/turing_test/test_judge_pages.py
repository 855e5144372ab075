import html
import io
import time

import pytest
from PIL import Image
from sqlalchemy import select
from starlette.requests import Request

from improved_gan.turing_test import judge_pages
from improved_gan.turing_test.database import writing
from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.judge_pages import check_participant, participant_of
from improved_gan.turing_test.limits import RateLimiter
from improved_gan.turing_test.studies import set_closed
from improved_gan.turing_test.tables import Judge


def test_nothing_tells_the_answer_before_the_vote(world) -> None:
    """Pictures of every kind: the same headers, the same length, one format, no metadata; the state names no kind."""
    here = world(trials=20, feedback="never")
    state, seen = here.begin(), []
    while state["code"] is None:
        assert set(state) == {
            "session",
            "position",
            "total",
            "practice",
            "code",
            "pictures",
            "next",
            "exposure_ms",
            "begins",
            "pause",
        }
        reply = here.client.get(f"{here.base}/picture/{state['pictures'][0]}.png")
        seen.append((reply.status_code, sorted(reply.headers.items()), len(reply.content)))
        assert Image.open(io.BytesIO(reply.content)).info == {}
        state = here.answer(state["position"], "real").json()
    assert all(one == seen[0] for one in seen)
    assert judge_pages.DELIVERY_SECONDS > 0


def test_delivery_takes_the_same_time_from_memory_and_from_the_database(world) -> None:
    here = world()
    url = f"{here.base}/picture/{here.begin()['pictures'][0]}.png"
    for _ in range(3):
        start = time.monotonic()
        here.client.get(url)
        assert time.monotonic() - start >= judge_pages.DELIVERY_SECONDS


def test_feedback_follows_the_vote_and_only_in_its_arm(world) -> None:
    here = world(feedback="always")
    here.begin()
    assert set(here.answer(0, "real").json()["feedback"]) == {"correct", "truth"}
    silent = world(feedback="never")
    silent.begin()
    assert "feedback" not in silent.answer(0, "real").json()


def test_pictures_of_others_old_ones_and_guesses_are_404(world) -> None:
    here = world()
    first = here.begin()
    here.answer(0, "real")
    urls = [f"{here.base}/picture/{token}.png" for token in (*first["pictures"], "A" * 24)]
    for url in (
        *urls,
        f"{here.base}/picture/../../../etc/passwd.png",
        f"{here.base}/picture/..%2f..%2fetc%2fpasswd.png",
    ):
        assert here.client.get(url).status_code == 404
    now = f"{here.base}/picture/{here.state()['pictures'][0]}.png"
    assert here.client.get(now).status_code == 200
    here.client.cookies.clear()
    assert here.client.get(now).status_code == 404


def test_bad_answers_are_400_and_the_future_too(world) -> None:
    here = world()
    here.begin()
    headers = {"X-CSRF-Token": here.csrf_token}
    for content in (b"", b"[", b"[]", b"null", b"[" * 10_000, b'{"number": 0}'):
        assert here.client.post(here.base + "/answer", content=content, headers=headers).status_code == 400
    assert here.answer(3, "real").status_code == 400
    assert here.state()["position"] == 0


def test_a_closed_study_is_410_everywhere_but_at_the_end(world) -> None:
    here = world(trials=1, practice=0, checks=0)
    here.begin()
    with writing(here.engine) as connection:
        set_closed(connection, here.study.id, closed=True)
    assert here.answer(0, "real").status_code == 410
    for path in ("/judge", "/state", "?participant=x"):
        assert here.client.get(here.base + path).status_code == 410, path
    reply = here.client.post(here.base + "/begin", data={"csrf": here.csrf_token})
    assert reply.status_code == 410
    with writing(here.engine) as connection:
        set_closed(connection, here.study.id, closed=False)
    code = here.answer(0, "real").json()["code"]
    with writing(here.engine) as connection:
        set_closed(connection, here.study.id, closed=True)
    assert code in here.client.get(here.base + "/thanks").text


def test_coming_back_leads_to_where_the_judge_stopped(world) -> None:
    here = world()
    here.begin("P1")
    here.answer(0, "real")
    assert here.client.get(here.base).headers["location"].endswith("/judge")
    here.client.cookies.clear()
    assert here.begin("P1")["position"] == 1
    here.client.cookies.clear()
    assert here.client.get(here.base + "/judge").headers["location"] == here.base
    assert here.client.get(here.base + "/state").status_code == 404


@pytest.mark.parametrize("name", ["PROLIFIC_PID", "prolific_pid", "workerId", "participant"])
def test_participant_numbers_of_recruiters(world, name: str) -> None:
    here = world()
    assert 'value="5f3c_A-1"' in here.client.get(here.base, params={name: "5f3c_A-1"}).text
    assert "<script>x" not in here.client.get(here.base, params={name: '"><script>x'}).text
    preview = here.client.get(here.base, params={"assignmentId": "ASSIGNMENT_ID_NOT_AVAILABLE"}).text
    assert "This is a preview" in preview


def participants(here) -> list[str | None]:
    with here.engine.connect() as connection:
        return list(connection.execute(select(Judge.participant).order_by(Judge.number)).scalars())


@pytest.mark.parametrize("number", ["p.001", "a@b.org", "M\u00fcller 7", "'; DROP TABLE judge; --", "\u56f3" * 100])
def test_any_printable_number_is_kept_and_comes_back_to_its_session(world, number: str) -> None:
    here = world()
    here.begin(number)
    here.answer(0, "real")
    here.client.cookies.clear()
    assert here.begin(number)["position"] == 1
    assert participants(here) == [number]
    page = here.client.get(here.base, params={"participant": number}).text
    assert html.unescape(page.split('name="participant" value="')[1].split('"')[0]) == number


@pytest.mark.parametrize("number", ["x" * 101, "a\nb", "a\x00b", "\ufffd", "{{%PROLIFIC_PID%}}", "${e://Field/id}"])
def test_a_number_that_cannot_be_kept_is_a_wrong_link_and_never_a_nameless_session(world, number: str) -> None:
    here = world()
    page = here.client.get(here.base, params={"participant": number})
    assert (page.status_code, "This link is wrong" in page.text) == (400, True)
    posted = here.client.post(here.base + "/begin", data={"csrf": here.csrf(), "participant": number})
    assert (posted.status_code, "This link is wrong" in posted.text) == (400, True)
    assert participants(here) == []


@pytest.mark.parametrize("query", ["participant=", "participant=%20", "participant=%FF", "participant=a&workerId=b"])
def test_an_address_whose_number_is_none_or_two_is_wrong(world, query: str) -> None:
    here = world()
    assert here.client.get(f"{here.base}?{query}").status_code == 400
    assert here.client.get(f"{here.base}?participant=a&workerId=a").status_code == 200


def test_an_address_with_other_words_says_that_it_has_no_number(world) -> None:
    here = world()
    words = "has no participant number"
    assert words in here.client.get(here.base + "?user=5").text
    assert words not in here.client.get(here.base).text
    assert words not in here.client.get(here.base + "?Participant-ID=5").text


def test_a_file_for_a_number_is_a_wrong_link(world) -> None:
    here = world()
    files = {"participant": ("name", b"content")}
    reply = here.client.post(here.base + "/begin", data={"csrf": here.csrf()}, files=files)
    assert reply.status_code == 400
    assert participants(here) == []


def test_a_judge_who_answers_like_a_machine_is_slowed_down(world) -> None:
    here = world(trials=200, practice=0, checks=0)
    here.app.state.site.judges = RateLimiter(rate=1.0, burst=20)  # a slow machine must reach it, too
    here.begin()
    codes = {here.answer(0, "real").status_code for _ in range(60)}
    assert codes == {200, 429}


def test_an_answer_of_another_session_is_refused_and_not_stored(world) -> None:
    """Two judges on one phone: what the browser kept of the first is never the second's answer."""
    here = world()
    first, second = here.begin("P1")["session"], here.begin("P2")["session"]
    assert first != second
    assert here.answer(0, "real", session=first).status_code == 409
    assert here.answer(0, "real", session=7).status_code == 400
    assert here.state()["position"] == 0
    assert here.answer(0, "real", session=second).json()["position"] == 1


def test_feedback_is_told_again_when_its_reply_was_lost(world) -> None:
    here = world(feedback="always")
    here.begin()
    told = here.answer(0, "real").json()["feedback"]
    assert here.answer(0, "generated").json()["feedback"] == told
    here.answer(1, "real")
    assert "feedback" not in here.answer(0, "real").json()


def of(query: str) -> str | None:
    return participant_of(Request({"type": "http", "query_string": query.encode(), "headers": []}))


def test_composed_and_decomposed_letters_are_one_person() -> None:
    assert of("participant=M%C3%BCller") == of("participant=Mu%CC%88ller") == of("participant=+M%C3%BCller+")


def test_no_number_two_numbers_and_the_same_number_twice() -> None:
    assert of("") is None
    assert of("utm_source=x") is None
    assert of("PROLIFIC_PID=5f&participant=5f") == "5f"
    with pytest.raises(TuringTestError, match="two different"):
        of("PROLIFIC_PID=5f&participant=6f")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("", "empty"),
        ("x" * 101, "101 characters, and at most 100"),
        ("a\x00", "printable"),
        ("{{%ID%}}", "not filled in"),
    ],
)
def test_what_cannot_be_kept_is_told(number: str, words: str) -> None:
    with pytest.raises(TuringTestError, match=words):
        check_participant(number)
