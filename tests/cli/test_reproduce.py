from pathlib import Path

import pytest
from click.testing import CliRunner

from improved_gan.cli import app
from improved_gan.cli import reproduction as command
from improved_gan.cli.reproduce import ReproduceOptions
from improved_gan.reproduction.plan import RunOptions


@pytest.mark.parametrize(
    "words",
    [
        ["mnist", "--labels", "20", "100", "50"],
        ["--labels", "20", "100", "50", "mnist"],
        ["mnist", "--labels=20", "100", "50"],
        ["mnist", "--labels", "20", "--labels", "100", "50", "--num-splits", "3"],
    ],
)
def test_several_budgets(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[ReproduceOptions] = []
    monkeypatch.setattr(command, "reproduce", lambda options, console: seen.append(options))
    done = CliRunner().invoke(app, ["reproduce", *words])
    assert done.exit_code == 0, done.output
    assert (seen[0].table, seen[0].labels) == ("mnist", (20, 100, 50))
    assert seen[0].num_splits == (3 if "--num-splits" in words else 10)


def test_every_option_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[ReproduceOptions] = []
    monkeypatch.setattr(command, "reproduce", lambda options, console: seen.append(options))
    words = "--recipe digits --num-seeds 3 --ensemble 3 --epochs 4 --data d --out o --jobs 2 --threads 1 --device cpu"
    words += " --precision bfloat16 --save-every 5 --eval-network inception-2015 --scheduler tcp://h:1 -n"
    assert CliRunner().invoke(app, ["reproduce", *words.split()]).exit_code == 0
    one = seen[0]
    assert (one.recipe, one.num_seeds, one.ensemble, one.out, one.jobs, one.threads) == (
        "digits",
        3,
        3,
        Path("o"),
        2,
        1,
    )
    assert (one.scheduler, one.dry_run) == ("tcp://h:1", True)
    runs = RunOptions(4, "bfloat16", Path("d").absolute(), "cpu", 5.0, "inception-2015")
    assert command._run_options(one) == runs


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--num-seeds", "2", "--ensemble", "3"], "an ensemble of 3 needs as many models"),
        (["--save-expected", "a.json", "--dry-run"], "--dry-run writes nothing"),
    ],
)
def test_what_contradicts_itself_is_refused(words: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["reproduce", "--recipe", "digits", *words], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert message in done.output


def test_neither_table_nor_recipe_is_wrong_usage() -> None:
    done = CliRunner().invoke(app, ["reproduce"])
    assert done.exit_code == 2
    assert "name a table" in done.output
