import json
import shutil
from pathlib import Path

import pytest
import torch

from improved_gan.data import load_digits
from improved_gan.data.dataset import to_float01
from improved_gan.reproduction.ensembles import average_probabilities, count_ensemble_errors
from improved_gan.runs import Run
from improved_gan.training.state import newest_checkpoint
from tests.reproduction.jobs import job


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
