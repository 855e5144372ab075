import hashlib
import io
from pathlib import Path

import pytest
from rich.console import Console

from improved_gan.cli.train_setup import (
    TrainOptions,
    build_experiment,
    copy_recipe_file,
    print_header,
    print_summary,
)
from improved_gan.recipes import digits
from improved_gan.training.process_group import ProcessGroup
from improved_gan.training.run_folder import RunFolder


def console() -> tuple[io.StringIO, Console]:
    screen = io.StringIO()
    return screen, Console(file=screen, width=200)


def test_a_recipe_file_that_changed_is_kept_anew_with_a_warning(tmp_path: Path) -> None:
    screen, shown = console()
    file, folder = tmp_path / "mine.py", RunFolder(tmp_path / "run")
    folder.create_or_match({"recipe": "mine"})
    for text, warnings in (("a", 0), ("a", 0), ("b", 1)):
        file.write_text(text)
        copy_recipe_file(file, folder, shown)
        assert folder.code_file.read_text() == text
        assert folder.recipe()["code_sha256"] == hashlib.sha256(text.encode()).hexdigest()
        assert screen.getvalue().count("has changed since the run began") == warnings


@pytest.mark.parametrize(("split_seed", "expected"), [(None, 7), (3, 3)])
def test_the_split_has_the_seed_of_the_training_unless_told(
    tmp_path: Path, split_seed: int | None, expected: int
) -> None:
    options = TrainOptions("digits", seed=7, split_seed=split_seed, device="cpu")
    experiment = build_experiment(digits(20), options, tmp_path / "run", ProcessGroup())
    assert (experiment.seed, experiment.split.seed, len(experiment.split.indices)) == (7, expected, 20)


@pytest.mark.parametrize(("labels", "known"), [(50, True), (20, False)])
def test_what_to_expect_is_said_or_that_it_is_not_known(labels: int, known: bool, tmp_path: Path) -> None:
    screen, shown = console()
    options = TrainOptions("digits", device="cpu")
    print_header(build_experiment(digits(labels), options, tmp_path, ProcessGroup()), tmp_path, shown)
    assert ("expected at 10% (epoch 20)" in screen.getvalue()) == known
    assert ("expected results unknown" in screen.getvalue()) != known


def test_the_end_is_told_by_the_last_report(tmp_path: Path) -> None:
    screen, shown = console()
    folder = RunFolder(tmp_path)
    print_summary(folder, shown, "done")
    folder.append_log({"epoch": 3, "epochs": 4, "step": 9, "test/error": 0.25, "test/num_errors": 5})
    print_summary(folder, shown, "done")
    assert "done: no report" in screen.getvalue()
    assert "done: epoch 3/4  test error 25.00% (5 wrong)" in screen.getvalue()
