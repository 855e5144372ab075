"""A statistical regression test of learning: short trainings of the digits on several label splits against records.

Each split's errors are compared with those recorded for the same split, so only the randomness of training differs.
`learning.json` has, for each split, the error counts of several training seeds. The mean over splits of (now - recorded
mean) has the standard deviation s * sqrt((1 + 1/k) / n) with s the pooled standard deviation within splits, k recorded
seeds and n splits; the ratio has Student's t distribution with n (k - 1) = 14 degrees of freedom, and the test fails
where the p-value is below 1 / `ONCE_IN`: from 22 more errors of 38, so that smaller losses pass. It does not depend on
the order in which random numbers are drawn. Record again with `python -m tests.golden.test_learning`.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from scipy import stats

from improved_gan.recipes import Recipe, digits
from improved_gan.runs.build import Experiment
from improved_gan.training import train_step

KEPT = Path(__file__).parent / "learning.json"
SPLITS, SEEDS, ONCE_IN = (1, 2), range(11, 91, 10), 1000


def short() -> Recipe:
    """720 steps, 10 to 20 seconds on one core."""
    return replace(digits(), epochs=60, ema_decay=0.99)


def errors_after(recipe: Recipe, *, split: int, seed: int) -> int:
    experiment = Experiment.prepare(recipe, seed=seed, split_seed=split, data_folder=None, device="cpu")
    state = experiment.start()
    batches = experiment.batches(state)
    for epoch in range(recipe.epochs):
        for optimizer in (state.optimizers.discriminator, state.optimizers.generator):
            optimizer.param_groups[0]["lr"] = recipe.lr(epoch)
        for batch in batches.epoch(epoch):
            state.add(train_step(state.generator, state.discriminator, recipe.objective, batch, state.optimizers))
            state.average.update()
    return int(experiment.evaluate(state.average.averaged(state.discriminator))["test/num_errors"])


def critical_value() -> float:
    """The quantile of Student's t distribution above which the test fails."""
    return float(stats.t.isf(1 / ONCE_IN, len(SPLITS) * (len(SEEDS) - 1)))


def t_statistic(wrong: Sequence[int]) -> float:
    """The excess of the errors on `SPLITS` over the recorded ones, in standard deviations."""
    kept = json.loads(KEPT.read_text())
    recorded = [kept[str(split)] for split in SPLITS]
    means = [sum(some) / len(some) for some in recorded]
    squares = sum((one - mean) ** 2 for some, mean in zip(recorded, means, strict=True) for one in some)
    within = squares / sum(len(some) - 1 for some in recorded)
    excess = sum(one - mean for one, mean in zip(wrong, means, strict=True)) / len(SPLITS)
    return excess / math.sqrt(within * (1 + 1 / len(recorded[0])) / len(SPLITS))


@pytest.mark.slow
def test_errors_are_not_above_the_recorded_ones() -> None:
    wrong = [errors_after(short(), split=split, seed=split) for split in SPLITS]
    assert t_statistic(wrong) < critical_value(), f"{wrong} errors on splits {SPLITS}: significantly more than recorded"


@pytest.mark.slow
def test_a_discriminator_without_noise_is_detected() -> None:
    without = partial(short().discriminator, input_noise=0.0, hidden_noise=0.0)
    bare = replace(short(), discriminator=without)
    assert t_statistic([errors_after(bare, split=split, seed=split) for split in SPLITS]) > critical_value()


if __name__ == "__main__":
    torch.set_num_threads(1)
    recorded = {split: [errors_after(short(), split=split, seed=seed) for seed in SEEDS] for split in SPLITS}
    KEPT.write_text(json.dumps(recorded) + "\n")
