from sqlalchemy import UniqueConstraint

from improved_gan.turing_test.tables import Base


def test_an_answer_has_one_place_and_a_participant_one_session() -> None:
    unique = {
        (table.name, tuple(column.name for column in one.columns))
        for table in Base.metadata.tables.values()
        for one in table.constraints if isinstance(one, UniqueConstraint)
    }  # fmt: skip
    assert {("trial", ("judge_id", "number")), ("judge", ("study_id", "participant"))} <= unique


def test_nothing_personal_has_a_column() -> None:
    names = {column.name for table in Base.metadata.tables.values() for column in table.columns}
    assert not names & {"ip", "address", "name_of_judge", "email", "user_agent", "age", "gender"}
