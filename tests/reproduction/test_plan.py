from pathlib import Path

import pytest

from improved_gan.recipes import RECIPES, RecipeError, mnist
from improved_gan.reproduction.plan import RunOptions, make_plan
from improved_gan.reproduction.tables import TABLES


def of_table(table: str | None, out: Path, **changes: object):
    asked = {"recipe": None, "labels": [], "splits": 2, "models": 1, "ensemble": 10, "options": RunOptions()}
    return make_plan(table, **{**asked, "out": out, **changes})


def test_table_1_has_a_run_for_each_budget_split_and_model(tmp_path: Path) -> None:
    jobs = of_table("mnist", tmp_path, models=2).all_jobs()
    assert len(jobs) == 4 * 2 * 2
    assert len({job.folder for job in jobs}) == len(jobs)
    assert [(job.labels, job.split, job.seed) for job in jobs[:4]] == [
        (20, 1, 1),
        (20, 2, 2),
        (20, 1, 1001),
        (20, 2, 1002),
    ]
    assert jobs[0].epochs == mnist().epochs


def test_a_job_is_the_command_line_of_train(tmp_path: Path) -> None:
    options = RunOptions(epochs=7, precision="bfloat16", data=Path("/data"), eval_network="inception-2015")
    job = of_table("mnist", tmp_path, labels=[100], options=options).all_jobs()[1]
    assert job.arguments(threads=3, device="cpu") == [
        *["train", "mnist", "--labels", "100", "--seed", "2", "--split-seed", "2"],
        *["--out", str(tmp_path / "mnist-100" / "split-2-seed-2"), "--threads", "3", "--save-every", "60.0"],
        *["--epochs", "7", "--precision", "bfloat16", "--data", "/data", "--eval-network", "inception-2015"],
        *["--device", "cpu"],
    ]


def test_the_papers_figures_stay_beside_a_variant_for_the_same_data_only(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(RECIPES, "mnist-graph-two-rounds", mnist)
    best = of_table("mnist", tmp_path, recipe="mnist-graph-two-rounds", labels=[100])
    assert [(row.recipe, row.one.mean) for row in best.table.rows] == [("mnist-graph-two-rounds", 93)]
    assert of_table(None, tmp_path, recipe="mnist-graph-two-rounds").table.name == "mnist"
    own = of_table("mnist", tmp_path, recipe="digits")
    assert [(row.labels, row.one) for row in own.table.rows] == [(50, None)]
    assert "not in the paper" in own.table.title


def test_a_budget_that_the_paper_does_not_have_is_a_row_without_its_figures(tmp_path: Path) -> None:
    row = of_table("mnist", tmp_path, labels=[1000]).table.rows[0]
    assert (row.recipe, row.one, row.ensemble) == ("mnist", None, None)


def test_tables_without_recipes_have_no_jobs_until_a_recipe_of_that_name_is_there(tmp_path: Path, monkeypatch) -> None:
    with monkeypatch.context() as without:
        without.delitem(RECIPES, "cifar10")
        assert set(of_table("cifar10", tmp_path).jobs.values()) == {None}
    assert len(of_table("cifar10", tmp_path).all_jobs()) == 8


def test_every_table_of_the_paper_has_its_recipes(tmp_path: Path) -> None:
    for table in TABLES:
        assert all(jobs for jobs in of_table(table, tmp_path).jobs.values())


def test_a_recipe_file_is_known_to_its_runs_by_its_whole_path(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "own.py").write_text("from improved_gan.recipes import digits\nrecipe = digits\n")
    monkeypatch.chdir(tmp_path)
    job = of_table(None, tmp_path / "out", recipe="own.py").all_jobs()[0]
    assert job.recipe == str(tmp_path / "own.py")
    assert job.group == tmp_path / "out" / "digits-50"


@pytest.mark.parametrize(
    ("table", "changes", "message"),
    [
        ("imagenet", {}, "no table is called 'imagenet': there are mnist, cifar10, svhn, ablations"),
        ("mnist", {"recipe": "mnits"}, "did you mean mnist"),
        ("mnist", {"splits": 0}, "splits must lie between 1 and 1000"),
        ("mnist", {"ensemble": 1}, "at least 2 models"),
        ("ablations", {"labels": [100]}, "no label budgets to choose from"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path: Path, table: str, changes: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        of_table(table, tmp_path, **changes)


def test_models_of_a_split_are_one_job_where_their_game_can_be_mapped(tmp_path: Path) -> None:
    together = of_table("mnist", tmp_path, labels=[100], models=3).grouped_jobs()
    assert [(job.split, job.model, job.models) for job in together] == [(1, 1, 3), (2, 1, 3)]
    words = together[1].arguments(threads=1, device="cuda:0")
    assert words[words.index("--num-models") + 1] == "3"
    assert words[words.index("--out") + 1] == str(tmp_path / "mnist-100")
    assert words[words.index("--seed") + 1] == words[words.index("--split-seed") + 1] == "2"
    apart = of_table("mnist", tmp_path, labels=[100], models=3).all_jobs()
    assert [one.folder for job in together for one in job.single()] == [
        job.folder for split in (1, 2) for job in apart if job.split == split
    ]
    assert (
        of_table("mnist", tmp_path, labels=[100]).grouped_jobs() == of_table("mnist", tmp_path, labels=[100]).all_jobs()
    )
    scored = of_table("mnist", tmp_path, labels=[100], models=3, options=RunOptions(eval_network="inception-2015"))
    assert {job.models for job in scored.grouped_jobs()} == {1}
    cifar10 = of_table("cifar10", tmp_path, models=2)
    assert {job.models for job in cifar10.grouped_jobs()} == {2}
    assert {job.models for job in cifar10.grouped_jobs(convolutions=False)} == {1}
    ablations = of_table("ablations", tmp_path, models=2)  # minibatch discrimination compares rows
    assert {job.models for job in ablations.grouped_jobs()} == {1}
