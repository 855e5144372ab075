import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from improved_gan.turing_test.researcher_pages import ROUTES, in_utc
from improved_gan.turing_test.studies import new_researcher_token


def test_without_the_token_nothing_is_shown(world) -> None:
    here = world()
    here.begin()
    assert len(ROUTES) == 7
    assert "Researcher" in here.client.get(here.base + "/results").text
    for path in ("live", "plot/accuracy.svg", "picture/0.png", "export/votes.csv", "export/study.json"):
        assert here.client.get(f"{here.base}/results/{path}").status_code == 403
    assert here.client.post(here.base + "/results/switch", data={"csrf": here.csrf_token}).status_code == 403
    here.client.cookies.set(f"researcher-{here.study.slug}", "guess")
    assert here.client.get(here.base + "/results/live").status_code == 403


def test_guessing_the_token_is_slow(world) -> None:
    here = world()
    csrf = here.csrf()
    codes = [
        here.client.post(here.base + "/results/login", data={"csrf": csrf, "token": f"x{k}"}).status_code
        for k in range(8)
    ]
    assert codes == [403] * 5 + [429] * 3


@pytest.mark.parametrize("design", ["yes_no", "two_alternative", "timed", "rating"])
def test_the_page_its_plots_and_its_data(world, design: str) -> None:
    here = world(design=design, trials=16)
    here.login()
    assert "No answers that count yet" in here.client.get(here.base + "/results").text
    choices = {"two_alternative": ("left", "right"), "rating": (1, 6)}.get(design, ("real", "generated"))
    for _ in range(3):
        state = here.begin()
        for number in range(state["total"]):
            here.answer(number, choices[number % 2], shown_ms=100)
        del here.client.cookies[f"judge-{here.study.slug}"]
    here.app.state.site.reports.clear()
    query = "?checks=9&median=0&answer=0"
    page = here.client.get(here.base + "/results" + query).text
    assert "48 answers" in page
    assert "nan" not in page.lower().replace("finance", "")
    for name in ("accuracy", "learning", "response_times", "pictures", *(["exposures"] if design == "timed" else [])):
        assert f"plot/{name}.svg" in page
        assert here.client.get(f"{here.base}/results/plot/{name}.svg{query}").text.startswith("<?xml")
    assert here.client.get(here.base + "/results/live").json()["finished"] == 3
    assert here.client.get(here.base + "/results/export/votes.csv").text.count("\n") == 1 + 3 * 18
    assert (
        json.loads(here.client.get(here.base + "/results/export/study.json").text)["study"]["slug"] == here.study.slug
    )
    assert here.client.get(here.base + "/results/export/report.json" + query).json()["votes"] == 48
    assert "judge" in here.client.get(here.base + "/results/export/data_dictionary.json").json()["votes.csv"]
    assert here.client.get(here.base + "/results/picture/0.png").status_code == 200
    assert here.client.get(here.base + "/results/picture/99999.png").status_code == 404
    assert here.client.get(here.base + "/results/export/passwd").status_code == 404


def test_rules_that_make_no_sense_are_the_usual_ones_and_the_study_can_be_closed(world) -> None:
    here = world()
    here.login()
    assert here.client.get(here.base + "/results?checks=x&median=nan&answer=-4&trials=1e400").status_code == 200
    csrf = here.csrf()
    for to, closed in (("closed", True), ("open", False)):
        here.client.post(here.base + "/results/switch", data={"csrf": csrf, "to": to})
        assert here.client.get(here.base + "/results/live").json()["closed"] is closed
        csrf = here.csrf() if not closed else csrf


def test_a_replaced_token_ends_what_was_opened_with_the_old_one(world) -> None:
    here = world()
    here.login()
    assert here.client.get(here.base + "/results/live").status_code == 200
    here.token = new_researcher_token(here.engine, here.study)
    assert here.client.get(here.base + "/results/live").status_code == 403
    here.login()
    assert here.client.get(here.base + "/results/live").status_code == 200


def test_times_are_told_in_utc() -> None:
    there = datetime(2024, 5, 1, 17, 0, tzinfo=timezone(timedelta(hours=5)))
    for time in (there, there.astimezone(UTC), datetime(2024, 5, 1, 12, 0)):
        assert in_utc(time) == "2024-05-01 12:00:00 UTC"
    assert in_utc(None) == "none yet"
