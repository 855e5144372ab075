import json
import shutil
from pathlib import Path

import pytest
import torch

from improved_gan.data import load_digits
from improved_gan.data.dataset import to_float01
from improved_gan.recipes import RECIPES
from improved_gan.reproduction.plan import Job
from improved_gan.reproduction.results import NO_RECIPE, average_probabilities, collect, count_ensemble_errors
from improved_gan.reproduction.table_formats import notes
from improved_gan.reproduction.tables import TABLES
from improved_gan.runs import Run
from improved_gan.training.errors import RunError
from improved_gan.training.state import newest_checkpoint
from tests.reproduction.jobs import fill, job, plan


def no_ensemble(jobs: list[Job]) -> tuple[int, int]:
    raise AssertionError("no ensemble was asked for")


def test_one_model_a_split(tmp_path: Path) -> None:
    whole = plan(tmp_path)
    for one, wrong in zip(whole.all_jobs()[:2], (20, 30), strict=True):
        fill(one, wrong=wrong)
    third = whole.all_jobs()[2]
    third.sidecar_path("failed.json").write_text(json.dumps({"message": "diverged"}))
    one, ensemble = collect(whole, no_ensemble)
    assert one.begun == {}
    assert one.values == {1: 20, 2: 30}
    assert one.finished == "2/3, 1 failed"
    assert (one.ours.mean, one.ours.std) == (25, pytest.approx(50**0.5))
    assert one.minutes == {"split-1-seed-1": 1.0, "split-2-seed-2": 1.0}
    assert one.failures == {"split-3-seed-3": "diverged"}
    assert one.difference is None
    assert ensemble.values == {}
    assert ensemble.note == "needs 2 models a split, there are 1 (--num-seeds)"


def test_a_split_has_the_value_of_its_first_model_however_many_there_are(tmp_path: Path) -> None:
    whole = plan(tmp_path, models=2, splits=2)
    for one, wrong in zip(whole.all_jobs()[:3], (20, 30, 24), strict=True):  # split 2 lacks its second model
        fill(one, wrong=wrong)
    asked = []
    one, ensemble = collect(whole, lambda jobs: (asked.append([job.name for job in jobs]) or 18, 500))
    assert one.values == {1: 20, 2: 30}
    assert (one.minutes_of(2), ensemble.minutes_of(1)) == (1.0, 2.0)
    assert one.single == {"split-1-seed-1": 20, "split-2-seed-2": 30, "split-1-seed-1001": 24}
    assert asked == [["split-1-seed-1", "split-1-seed-1001"]]
    assert ensemble.values == {1: 18}
    assert ensemble.minutes == {"split-1": 2.0}


def test_a_run_that_has_begun_says_how_far_it_is(tmp_path: Path) -> None:
    whole = plan(tmp_path)
    fill(whole.all_jobs()[1], wrong=20, epoch=1)
    one, _ = collect(whole, no_ensemble)
    assert (one.values, one.begun, one.finished) == ({}, {"split-2-seed-2": 1}, "0/3")
    assert "50 labels, not finished: split-2-seed-2 at epoch 1" in notes(whole, [one])


def test_an_ensemble_that_is_left_for_later_keeps_those_that_are_known(tmp_path: Path) -> None:
    whole = plan(tmp_path, models=2, splits=2)
    for one in whole.all_jobs():
        fill(one, wrong=20)
    _, ensemble = collect(whole, lambda jobs: (18, 500) if jobs[0].split == 1 else None)
    assert (ensemble.values, ensemble.finished, ensemble.note) == ({1: 18}, "1/2", "computed when the command ends")


def test_an_ensemble_that_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    whole = plan(tmp_path, models=2, splits=1)
    for one in whole.all_jobs():
        fill(one, wrong=20)

    def fails(jobs: list[Job]) -> tuple[int, int]:
        raise RunError("made with other values")

    assert collect(whole, fails)[1].note == "made with other values"


def test_a_recipe_with_all_labels_has_an_ensemble_too(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from dataclasses import replace\nfrom improved_gan.recipes import digits\ndef recipe(labels=None):\n"
        "    return replace(digits(), name='mine', num_labels=1297, labels_as_given=True)"
    )
    whole = plan(tmp_path, recipe=str(file), models=2, splits=1)
    for one in whole.all_jobs():
        fill(one, wrong=20)
    one, ensemble = collect(whole, lambda jobs: (18, 500))
    assert (one.row.title, ensemble.row.title) == ("all labels", "all labels")
    assert (one.values, ensemble.values) == ({1: 20}, {1: 18})


def test_an_error_in_percent_comes_from_the_report_too(tmp_path: Path, monkeypatch) -> None:
    from improved_gan.recipes import digits
    from improved_gan.reproduction.plan import RunOptions, make_plan

    monkeypatch.setitem(RECIPES, "svhn", digits)
    whole = make_plan(
        "svhn", recipe=None, labels=[1000], splits=1, models=2, ensemble=2, out=tmp_path, options=RunOptions(epochs=2)
    )
    jobs = whole.all_jobs()
    for one in jobs:
        fill(one, wrong=25)
    monkeypatch.setattr("improved_gan.reproduction.results.read_status", lambda job: _done(job))
    one, ensemble = collect(whole, lambda jobs: (20, 500))
    assert one.values == {1: pytest.approx(5.0)}
    assert ensemble.values == {1: pytest.approx(4.0)}
    assert ensemble.paper is None  # the paper's ensembles are of ten


def _done(job: Job):
    from improved_gan.reproduction.job_status import JobStatus

    return JobStatus(job, "done", {"test/num_errors": 25, "test/error": 0.05, "seconds": 60.0, "epoch": 2, "step": 24})


def test_without_a_recipe_the_cells_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from improved_gan.reproduction.plan import RunOptions, make_plan

    for row in (*TABLES["svhn"].rows, *TABLES["ablations"].rows):
        monkeypatch.delitem(RECIPES, row.recipe, raising=False)
    for table, num in (("svhn", 6), ("ablations", 6)):
        whole = make_plan(
            table, recipe=None, labels=[], splits=1, models=1, ensemble=10, out=tmp_path, options=RunOptions()
        )
        cells = collect(whole, no_ensemble)
        assert [cell.note for cell in cells] == [NO_RECIPE] * num
        assert cells[0].paper is not None


def test_probabilities_are_averaged_not_logits(trained_run: Path) -> None:
    test = load_digits().test
    one = average_probabilities([trained_run], test, device="cpu", warn=pytest.fail)
    logits = Run(trained_run).load(warn=pytest.fail).discriminator(to_float01(test.images)).logits
    referee = logits.detach().double().numpy()
    referee = 2.718281828459045 ** (referee - referee.max(1, keepdims=True))
    referee /= referee.sum(1, keepdims=True)
    torch.testing.assert_close(one, torch.from_numpy(referee), rtol=1e-9, atol=1e-12)
    twice = average_probabilities([trained_run, trained_run], test, device="cpu", warn=pytest.fail)
    torch.testing.assert_close(twice, one)


def test_models_of_different_labels_are_no_ensemble(tmp_path: Path) -> None:
    jobs = [job(tmp_path), job(tmp_path, model=2)]
    for one in jobs:
        fill(one, wrong=20)
    run = Run(jobs[1].folder)
    run._write({**run.settings, "label_split": {**run.settings["label_split"], "indices": [7]}}, (), None)
    with pytest.raises(RunError, match="the models of split 1 were trained on different labels"):
        count_ensemble_errors(jobs, load_digits, device="cpu", warn=pytest.fail)


def test_the_answer_is_kept_until_a_member_is_trained_anew(trained_run: Path, tmp_path: Path) -> None:
    jobs = [job(tmp_path), job(tmp_path, model=2)]
    for one in jobs:
        shutil.copytree(trained_run, one.folder)
    wrong, total = count_ensemble_errors(jobs, load_digits, device="cpu", warn=pytest.fail)
    last = json.loads((trained_run / "log.jsonl").read_text().splitlines()[-1])
    assert (wrong, total) == (last["test/num_errors"], 500)  # two equal models are as good as one

    def not_again():
        raise AssertionError("computed again")

    assert count_ensemble_errors(jobs, not_again, device="cpu", warn=pytest.fail) == (wrong, 500)
    # Equal steps in both: first other settings, as a recipe file with another learning rate gives; then other weights.
    run = Run(jobs[1].folder)
    before = run.recipe_file.read_bytes()
    run._write({**run.settings, "seed": 77}, (), run.code_sha256)
    with pytest.raises(AssertionError, match="computed again"):
        count_ensemble_errors(jobs, not_again, device="cpu", warn=pytest.fail)
    run.recipe_file.write_bytes(before)
    assert count_ensemble_errors(jobs, not_again, device="cpu", warn=pytest.fail) == (wrong, 500)
    weights = run.checkpoints / str(newest_checkpoint(run.checkpoints))
    weights.write_bytes(weights.read_bytes())
    with pytest.raises(AssertionError, match="computed again"):
        count_ensemble_errors(jobs, not_again, device="cpu", warn=pytest.fail)
