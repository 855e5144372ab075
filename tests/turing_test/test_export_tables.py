import csv
import io
import json

import pytest

from improved_gan.turing_test.export_tables import TABLE_NAMES, export_table
from improved_gan.turing_test.questions import Question

DESIGNS = ["yes_no", "two_alternative", "odd_one_out", "preference"]


def tables(here, *, participants: bool) -> dict[str, str | None]:
    with here.engine.connect() as connection:
        return {name: export_table(connection, here.study, name, participants=participants) for name in TABLE_NAMES}


def finish(here, choice=None) -> None:
    state = here.state()
    while state["code"] is None:
        state = here.answer(state["position"], choice or here.study.settings.choices[0]).json()


def rows(text: str | None) -> list[dict]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("design", DESIGNS)
def test_each_column_is_in_the_data_dictionary_and_counts_agree(world, design: str) -> None:
    here = world(design=design, before=(Question("work", "text", "Work?", optional=True),))
    here.begin("=P1")
    finish(here)
    found = tables(here, participants=True)
    dictionary = json.loads(found["data_dictionary.json"])
    for name in ("votes.csv", "preferences.csv", "participants.csv", "pictures.csv"):
        if found[name] is not None:
            assert set(rows(found[name])[0]) - {"before_work"} == set(dictionary[name]) - {"before_NAME"}
    (person,) = rows(found["participants.csv"])
    assert (person["participant"], person["answered"]) == ("'=P1", str(here.study.settings.length))
    shown = sum(int(one["answers"]) for one in rows(found["pictures.csv"]))
    assert shown == here.study.settings.length * here.study.settings.num_pictures
    assert rows(tables(here, participants=False)["participants.csv"])[0]["participant"] == ""


def test_preferences_as_chosen_and_rejected(world) -> None:
    here = world(design="preference", practice=0)
    here.begin()
    finish(here, "right")
    found = tables(here, participants=False)
    lines = [json.loads(line) for line in found["preferences.jsonl"].splitlines()]
    answers = [one for one in rows(found["preferences.csv"]) if one["kind"] == "main"]
    assert [(one["chosen_model"], one["rejected_model"]) for one in lines] == [(a["right"], a["left"]) for a in answers]
    assert all(one["chosen"].startswith(one["chosen_model"] + "-") and "prompt" in one for one in lines)
    assert found["votes.csv"] is None
