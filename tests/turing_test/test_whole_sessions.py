"""Sessions with what stands before and after the trials, in another language, and below a path."""

import csv
import re
from dataclasses import replace

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from improved_gan.turing_test.app import create_app, is_root_path
from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.export_tables import export_table
from improved_gan.turing_test.questions import Question
from improved_gan.turing_test.settings import StudySettings
from improved_gan.turing_test.tables import Judge

BEFORE = (
    Question("age", "choice", "How old are you?", options=("under 18", "18 or more"), exclude=("under 18",)),
    Question("plate", "plate", "Colors"),
)


def begin_with(here, **fields: str):
    here.csrf_token = here.csrf()
    return here.client.post(here.base + "/begin", data={"csrf": here.csrf_token, **fields})


def judges(here) -> list:
    with here.engine.connect() as connection:
        return connection.execute(select(Judge.answers, Judge.comment)).all()


def test_questions_are_asked_stored_and_exclude(world) -> None:
    from improved_gan.turing_test.questions import plate_number

    here = world(before=BEFORE)
    page = here.client.get(here.base).text
    assert "How old are you?" in page
    assert here.client.get(here.base + "/plate/plate.png").headers["content-type"] == "image/png"
    assert here.client.get(here.base + "/plate/age.png").status_code == 404
    assert begin_with(here).status_code == 400
    number = str(plate_number(here.study.secret, here.client.cookies["visitor"], "plate"))
    again = begin_with(here, **{"before-age": "18 or more"})
    assert 'value="18 or more" required checked' in again.text  # what was filled in stays
    assert begin_with(here, **{"before-age": "18 or more", "before-plate": number}).status_code == 303
    assert judges(here) == [({"age": "18 or more", "plate": int(number)}, None)]
    here.client.cookies.clear()
    here.client.get(here.base)
    reply = begin_with(here, **{"before-age": "under 18", "before-plate": "0"})
    assert "looks for other participants" in reply.text
    assert "looks for other participants" in here.client.get(here.base).text
    assert len(judges(here)) == 1


@pytest.mark.parametrize(("choice", "code"), [("real", "FAILED"), ("generated", "PASSED")])
def test_failed_checks_have_a_code_of_their_own_and_a_comment_is_kept(world, choice: str, code: str) -> None:
    here = world(checks=2, completion_code="PASSED", failed_code="FAILED", comment=True,
                 return_url="https://example.org/?cc={code}")  # fmt: skip
    here.begin()
    assert (
        here.client.post(here.base + "/comment", data={"csrf": here.csrf_token, "comment": "early"}).status_code == 404
    )
    state = here.state()
    while state["code"] is None:
        state = here.answer(state["position"], choice).json()
    assert state["code"] == here.state()["code"] == code  # whoever failed is not told the other one, in no reply
    with here.engine.connect() as connection:
        (person,) = csv.DictReader(
            export_table(connection, here.study, "participants.csv", participants=True).split("\n")
        )
    assert person["completion_code"] == code
    page = here.client.get(here.base + "/thanks").text
    assert f">{code}</output>" in page
    assert f"https://example.org/?cc={code}" in page
    data = {"csrf": here.csrf_token, "comment": "nice \0 one" + 5000 * "x"}
    assert here.client.post(here.base + "/comment", data=data).status_code == 303
    assert "comment is stored" in here.client.get(here.base + "/thanks?comment").text
    assert judges(here)[0].comment.startswith("nice  one")
    assert len(judges(here)[0].comment) == 3000
    assert here.client.post(here.base + "/comment", data={"comment": "x"}).status_code == 403


@pytest.mark.parametrize("character", ["x", "\u0434", "\u753b", "\U0001f600"])
def test_long_texts_arrive_in_every_script(world, character: str) -> None:
    """A form sends a character of Cyrillic in 6 bytes and of Chinese in 9; a textarea counts an emoji twice."""
    longest = 6000 if character == "\U0001f600" else 12_000
    question = Question("work", "text", "Work?", longest=10_000)
    here = world(
        trials=1, practice=0, checks=0, comment=True, before=(question, replace(question, name="b", longest=2000))
    )
    here.client.get(here.base)
    reply = begin_with(here, **{"before-work": character * (longest - 2000), "before-b": character * 2000})
    assert reply.status_code == 303
    here.answer(0, "real")
    data = {"csrf": here.csrf_token, "comment": character * 3000}
    assert here.client.post(here.base + "/comment", data=data).status_code == 303
    assert judges(here)[0].comment == character * 3000
    with pytest.raises(TuringTestError, match="12001 characters together"):
        StudySettings(before=(question, replace(question, name="b", longest=2001)))


def test_pages_speak_the_language_of_the_study(world) -> None:
    here = world(language="de", trials=1, practice=0, checks=0, texts={"tie": "Gleich"})
    page = here.client.get(here.base).text
    assert '<html lang="de" dir="ltr">' in page
    assert "Sie sehen ein Bild." in page
    here.begin()
    assert "Echt oder erzeugt?" in here.client.get(here.base + "/judge").text
    wrong = here.client.get(here.base + "?participant=a&participant=b")
    assert "Dieser Link ist falsch" in wrong.text


@pytest.mark.parametrize("how", ["option", "header that strips", "header that keeps"])
def test_below_a_path_of_a_proxy(world, how: str) -> None:
    """Every address in pages, redirects and cookies has the path before it, whether the proxy takes it off or not."""
    here = world()
    app = create_app(here.engine, root_path="/lab/study" if how == "option" else "")
    headers = {} if how == "option" else {"X-Forwarded-Prefix": "/lab/study/"}
    prefix = "/lab/study" if how == "header that keeps" else ""
    client = TestClient(app, follow_redirects=False, headers=headers)
    assert client.get("/lab/study").headers["location"] == f"/lab/study{here.base}"
    page = client.get(prefix + here.base)
    assert "Path=/lab/study;" in page.headers["set-cookie"]
    addresses = re.findall(r'(?:href|src|action)="(/[^"]+)"', page.text)
    assert len(addresses) >= 4
    assert all(one.startswith("/lab/study/") for one in addresses)
    for one in addresses:
        if "static" in one:
            assert client.get(one.removeprefix("/lab/study") if not prefix else one).status_code == 200
    csrf = page.text.split('name="csrf" value="')[1].split('"')[0]
    visitor = page.headers["set-cookie"].split("visitor=")[1].split(";")[0]
    reply = client.post(prefix + here.base + "/begin", data={"csrf": csrf}, headers={"Cookie": f"visitor={visitor}"})
    assert reply.headers["location"] == f"/lab/study{here.base}/judge"
    app.state.site.close()


def test_a_path_that_leads_elsewhere_is_not_believed(world) -> None:
    here = world()
    for prefix in ("//evil.example", "/a b", 'x"', "/..", "https://evil.example"):
        assert not is_root_path(prefix)
        page = here.client.get(here.base, headers={"X-Forwarded-Prefix": prefix})
        assert f'action="{here.base}/begin"' in page.text
    with pytest.raises(TuringTestError, match="--root-path"):
        create_app(here.engine, root_path="study/")
