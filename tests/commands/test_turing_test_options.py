from dataclasses import fields
from inspect import signature

from improved_gan.commands.turing_test_options import StudyOptions, with_options_of_a_study


def test_a_command_takes_each_option_of_a_study_in_place_of_the_study() -> None:
    seen = []

    @with_options_of_a_study
    def command(db: str, *, study: StudyOptions) -> None:
        seen.append((db, study))

    names = [one.name for one in fields(StudyOptions)]
    assert list(signature(command).parameters) == ["db", *names]
    command(db="x.db", **{**vars(StudyOptions()), "trials": 7})
    assert seen == [("x.db", StudyOptions(trials=7))]
    assert StudyOptions(judges=3).settings().max_judges == 3
