from dataclasses import replace

import pytest
from sqlalchemy import select

from improved_gan.turing_test.beginning import begin
from improved_gan.turing_test.database import open_database, writing
from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.settings import StudySettings
from improved_gan.turing_test.studies import create_study
from improved_gan.turing_test.tables import Condition, Picture, Trial


@pytest.fixture
def prompts(folders, tmp_path):
    """Ten prompts, each with three pictures of each condition."""
    rows = [f"{name}-{k}.png,a picture {k % 10}" for name in ("real", "a", "b") for k in range(30)]
    (tmp_path / "prompts.csv").write_text("\n".join(["file,prompt", *rows]), encoding="utf-8")
    return replace(folders, prompts=tmp_path / "prompts.csv")


def dealt(folders, tmp_path, judges: int = 4, **words):
    engine = open_database(str(tmp_path / "d.db"))
    settings = StudySettings(**{"trials": 12, "practice": 0, "checks": 2, **words})
    study, _, _ = create_study(engine, folders, settings)
    with writing(engine) as connection:
        for _ in range(judges):
            begin(connection, study, None)
        rows = connection.execute(select(Trial.__table__).order_by(Trial.id)).all()
        about = select(Picture.id, Picture.prompt, Condition.name, Picture.num_planned).join(Condition)
        pictures = {row.id: row for row in connection.execute(about)}
    engine.dispose()
    return rows, pictures


@pytest.mark.parametrize("design", ["yes_no", "two_alternative", "odd_one_out", "preference"])
def test_pictures_of_a_trial_have_its_prompt_and_none_comes_twice(prompts, tmp_path, design: str) -> None:
    rows, pictures = dealt(prompts, tmp_path, design=design)
    assert len(rows) == 4 * 14
    for row in rows:
        shown = [one for one in (row.first_id, row.second_id, row.third_id) if one is not None]
        assert row.prompt is not None  # a check has one, too: nothing tells it apart
        assert len(set(shown)) == len(shown)
        assert {pictures[one].prompt for one in shown} <= {row.prompt, None}
        assert {pictures[one].name for one in shown if pictures[one].prompt is None} <= {"check"}
    if design == "odd_one_out":
        for row in rows:
            names = [pictures[one].name for one in (row.first_id, row.second_id, row.third_id)]
            assert names[row.target - 1] == row.model
            assert names.count("real") == 2


def test_pairs_and_sides_are_balanced_over_judges(folders, tmp_path) -> None:
    rows, pictures = dealt(folders, tmp_path, judges=6, design="preference", trials=9, checks=0)
    left = [row.model for row in rows]
    pairs = [tuple(sorted((row.model, row.other_model))) for row in rows]
    assert {pair: pairs.count(pair) for pair in pairs} == {("a", "b"): 18, ("a", "real"): 18, ("b", "real"): 18}
    for pair in set(pairs):
        first = sum(one == pair[0] for one, own in zip(left, pairs, strict=True) if own == pair)
        assert 6 <= first <= 12
    assert all(pictures[row.first_id].name == row.model for row in rows)


def test_several_questions_are_about_the_same_pictures(folders, tmp_path) -> None:
    rows, _ = dealt(folders, tmp_path, judges=1, design="preference", questions={"one": "1?", "two": "2?"})
    main = [row for row in rows if row.kind == "main"]
    assert len(main) == 24
    for first, second in zip(main[::2], main[1::2], strict=True):
        assert (first.first_id, first.second_id) == (second.first_id, second.second_id)
        assert (first.question, second.question) == ("one", "two")


def test_between_each_judge_sees_one_model_and_models_have_equal_groups(folders, tmp_path) -> None:
    rows, _ = dealt(folders, tmp_path, judges=6, between=True, checks=0)
    seen = {
        judge: {row.model for row in rows if row.judge_id == judge} - {"real"} for judge in {r.judge_id for r in rows}
    }
    assert all(len(one) == 1 for one in seen.values())
    assert sorted(name for one in seen.values() for name in one) == ["a"] * 3 + ["b"] * 3


def test_prompts_that_do_not_fit(folders, tmp_path) -> None:
    path = tmp_path / "p.csv"
    for text, words in (("file,prompt\nreal-0.png,x\n", "none for"), ("file\nx\n", "columns file and prompt"),
                        ("file,prompt\n", "no prompt"),
                        ("file,prompt\na.png,x\na.png,y\n", "two prompts")):  # fmt: skip
        path.write_text(text, encoding="utf-8")
        with pytest.raises(TuringTestError, match=words):
            dealt(replace(folders, prompts=path), tmp_path)
    rows = [f"{name}-{k}.png,{name}" for name in ("real", "a", "b") for k in range(30)]
    path.write_text("\n".join(["file,prompt", *rows]), encoding="utf-8")
    with pytest.raises(TuringTestError, match="no prompt has pictures of real, a"):
        dealt(replace(folders, prompts=path), tmp_path, design="two_alternative")
