import json
from pathlib import Path

import pytest
import torch

from improved_gan.data import load_digits
from improved_gan.data.dataset import unit_range
from improved_gan.recipes.trained import load_trained
from improved_gan.reproduction.ensembles import average_probabilities, ensemble_wrong
from tests.reproduction.jobs import job


def test_probabilities_are_averaged_not_logits(trained_run: Path) -> None:
    test = load_digits().test
    one = average_probabilities([trained_run], test, device="cpu", warn=pytest.fail)
    logits = load_trained(trained_run, warn=pytest.fail).discriminator(unit_range(test.images)).logits
    referee = logits.detach().double().numpy()
    referee = 2.718281828459045 ** (referee - referee.max(1, keepdims=True))
    referee /= referee.sum(1, keepdims=True)
    torch.testing.assert_close(one, torch.from_numpy(referee), rtol=1e-9, atol=1e-12)
    twice = average_probabilities([trained_run, trained_run], test, device="cpu", warn=pytest.fail)
    torch.testing.assert_close(twice, one)


def test_the_answer_is_kept_for_these_members_at_these_steps(trained_run: Path, tmp_path: Path) -> None:
    group = tmp_path / "digits-50"
    group.mkdir()
    jobs = [job(tmp_path), job(tmp_path, model=2)]
    for one in jobs:
        one.folder.symlink_to(trained_run)
    wrong, total = ensemble_wrong(jobs, load_digits, device="cpu", warn=pytest.fail)
    last = json.loads((trained_run / "log.jsonl").read_text().splitlines()[-1])
    assert (wrong, total) == (last["test/wrong"], 500)  # two equal models are as good as one

    def not_again():
        raise AssertionError("computed again")

    assert ensemble_wrong(jobs, not_again, device="cpu", warn=pytest.fail) == (wrong, 500)
    kept = group / "ensemble-split-1-of-2.json"
    kept.write_text(kept.read_text().replace(str(last["step"]), "1"))
    with pytest.raises(AssertionError, match="computed again"):
        ensemble_wrong(jobs, not_again, device="cpu", warn=pytest.fail)
