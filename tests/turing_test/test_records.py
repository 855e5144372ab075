import json
from pathlib import Path

import numpy as np
import pytest

from improved_gan.turing_test.database import open_database, writing
from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.records import export_study, import_study, read_study_votes
from improved_gan.turing_test.report import make_report
from improved_gan.turing_test.settings import StudySettings
from improved_gan.turing_test.studies import find_study
from improved_gan.turing_test.votes import votes_to_csv
from tests.mutations import damaged_values, mutations, read_all


def walk(world, choices) -> None:
    state = world.begin("P7")
    for number in range(state["total"]):
        assert world.answer(number, choices[number % 2], shown_ms=100).status_code == 200


@pytest.mark.parametrize("design", ["yes_no", "two_alternative", "rating", "timed"])
def test_an_export_comes_back_to_the_same_votes(world, tmp_path: Path, design: str) -> None:
    here = world(design=design)
    walk(here, {"two_alternative": ("left", "right"), "rating": (1, 6)}.get(design, ("real", "generated")))
    with here.engine.connect() as connection:
        stored = export_study(connection, here.study, pictures=True, participants=True)
        votes = read_study_votes(connection, here.study)
    assert stored["judges"][0]["participant"] == "P7"
    assert len(votes) == 8
    (tmp_path / "study.json").write_text(json.dumps(stored))
    engine = open_database(str(tmp_path / "again.db"))
    with writing(engine) as connection:
        slug, _ = import_study(connection, tmp_path / "study.json")
        assert votes_to_csv(read_study_votes(connection, find_study(connection, slug))) == votes_to_csv(votes)
    engine.dispose()


def test_truth_of_the_votes_is_that_of_the_folders(world) -> None:
    here = world(trials=20)
    walk(here, ("real", "generated"))
    with here.engine.connect() as connection:
        stored = export_study(connection, here.study, pictures=False, participants=False)
        votes = read_study_votes(connection, here.study)
    condition = {one["number"]: one["condition"] for one in stored["pictures"]}
    np.testing.assert_array_equal(votes.signal, [condition[number] != "real" for number in votes.picture.tolist()])
    assert votes.model.tolist() == [condition[number] for number in votes.picture.tolist()]
    assert stored["judges"][0]["participant"] is stored["judges"][0]["completion_code"] is None


def test_without_participants_an_export_holds_no_code_that_pays_them(world) -> None:
    here = world(completion_code="PAID", failed_code="FAILED", return_url="https://example.org/complete?cc=PAID")
    with here.engine.connect() as connection:
        for participants in (True, False):
            stored = export_study(connection, here.study, pictures=False, participants=participants)
            assert ("PAID" in json.dumps(stored)) == participants
            assert StudySettings.from_dict(stored["study"]["settings"]).trials == here.study.settings.trials


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "improved-gan turing-test export 2"}'])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    engine = open_database(str(tmp_path / "x.db"))
    with pytest.raises(TuringTestError), writing(engine) as connection:
        import_study(connection, tmp_path / "x.json")
    engine.dispose()


def doubled(stored: dict) -> None:
    stored["pictures"].append(stored["pictures"][0])


def listed(stored: dict) -> None:
    stored["judges"][0]["arm"] = ["feedback"]


def huge(stored: dict) -> None:
    stored["judges"][0]["number"] = 10**30


@pytest.mark.parametrize("spoil", [doubled, listed, huge])
def test_an_export_that_was_changed_by_hand_is_refused_in_one_line(world, tmp_path: Path, spoil) -> None:
    here = world()
    here.begin()
    with here.engine.connect() as connection:
        stored = export_study(connection, here.study, pictures=True, participants=True)
    spoil(stored)
    (tmp_path / "study.json").write_text(json.dumps(stored))
    engine = open_database(str(tmp_path / "again.db"))
    with pytest.raises(TuringTestError, match="cannot be read as an export") as caught, writing(engine) as connection:
        import_study(connection, tmp_path / "study.json")
    assert "\n" not in str(caught.value)
    with engine.connect() as connection, pytest.raises(TuringTestError, match="holds no study"):
        find_study(connection)
    engine.dispose()


def test_of_80_damaged_exports_each_is_read_or_told_in_one_line(world, tmp_path: Path) -> None:
    """What is read must be reported and exported again without an error, too."""
    here = world(trials=3)
    walk(here, ("real", "generated"))
    with here.engine.connect() as connection:
        stored = export_study(connection, here.study, pictures=True, participants=True)
    stored["pictures"] = [one for one in stored["pictures"] if any(
        one["number"] in (trial["first"], trial["second"]) for trial in stored["judges"][0]["trials"]
    )]  # fmt: skip
    file, engine = tmp_path / "study.json", open_database(str(tmp_path / "again.db"))

    def read(damaged: object) -> None:
        file.write_bytes(damaged if isinstance(damaged, bytes) else json.dumps(damaged).encode())
        with engine.connect() as connection:  # nothing is committed
            study = find_study(connection, import_study(connection, file)[0])
            votes = read_study_votes(connection, study)
            if not isinstance(damaged, bytes):
                make_report(votes).to_dict()
            json.dumps(export_study(connection, study, pictures=True, participants=True))

    assert read(stored) is None
    assert read_all(mutations(file.read_bytes(), seed=0, num=40), read) > 15
    assert read_all(damaged_values(stored, 40), read) > 8
    engine.dispose()
