"""Reports, early stopping, and the end of a member."""

import re
import warnings

import numpy as np
import pytest
import torch

from improved_gan import SemiSupervisedGANClassifier
from improved_gan.estimator import fitting
from improved_gan.estimator.fitting import Cost, MemberTraining, Validation
from improved_gan.networks import DiscriminatorOutput
from improved_gan.recipes import digits
from improved_gan.training.errors import DivergedError
from improved_gan.training.time_estimate import StepTimer


class Fixed(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> DiscriminatorOutput:
        return DiscriminatorOutput(images.flatten(1), images)


def test_validation_counts_errors_and_cross_entropy() -> None:
    images = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]]).reshape(3, 1, 1, 2)
    error, loss = Validation(images, torch.tensor([0, 1, 1]), 3).score(Fixed())
    assert error == pytest.approx(1 / 3)
    expected = np.mean([np.log(1 + np.exp(-2)), np.log(1 + np.exp(-1)), np.log(1 + np.exp(3))])
    assert loss == pytest.approx(expected)


def test_early_stopping_keeps_the_best_of_the_held_out_labels(few) -> None:
    y = np.where(np.arange(300) < 60, few.truth, -1)
    model = SemiSupervisedGANClassifier(
        epochs=60, validation_fraction=0.5, n_iter_no_change=2, random_state=0, device="cpu"
    )
    model.fit(few.images, y)
    history = model.history_[0]
    assert model.n_iter_ < 60
    best = min(range(len(history)), key=lambda i: (history[i]["validation/error"], history[i]["validation/loss"]))
    assert len(history) - 1 - best == 2


def test_a_training_that_diverges_is_told(few) -> None:
    with pytest.raises(DivergedError, match="not finite after epoch"):
        SemiSupervisedGANClassifier(epochs=3, learning_rate=1e30, random_state=0).fit(few.images, few.y)


def test_progress_is_said(few, capsys) -> None:
    SemiSupervisedGANClassifier(epochs=2, verbose=2, random_state=0, device="cpu").fit(few.images, few.y)
    shown = capsys.readouterr().out
    assert "300 examples, 9 with labels in 3 classes" in shown
    assert "images HW 8 x 8, float64, scaled from 0 to 16" in shown
    assert "dense pair (256-128-128), settings of recipe digits; 1 model on cpu" in shown
    assert "epoch 2/2" in shown
    assert "left" in shown


def test_the_first_steps_of_a_fit_tell_its_cost_and_minutes_pass_with_a_line(few, capsys, monkeypatch) -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 20.0  # each step takes that long
        return now[0]

    monkeypatch.setattr(fitting, "StepTimer", lambda total: StepTimer(total, clock=clock))
    model = SemiSupervisedGANClassifier(epochs=20, verbose=1, batch_size=100, random_state=0, device="cpu")
    model.fit(few.images, few.y)
    shown = capsys.readouterr().out
    assert "on this processor (20.0 s a step)" in shown
    assert re.search(r"step \d+/\d+  labeled loss \d.*about .* left\n", shown)
    assert "left" in shown


@pytest.mark.parametrize(("epochs", "in_turn", "warned"), [(None, 1, True), (None, 0, False), (50, 1, False)])
def test_a_default_that_takes_long_is_warned_of(epochs, in_turn, warned, monkeypatch) -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 1.0
        return now[0]

    timer = StepTimer(1000, clock=clock)
    cost = Cost(in_turn, default=epochs is None)
    recipe = digits()
    member = MemberTraining(None, recipe, None, None, "cpu", 0, False, timer=timer, cost=cost)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(20):
            member.stepped()
    assert len(caught) == warned
    if warned:
        text = f"fit will take about 17 minutes on this processor (1.0 s a step): {recipe.epochs} epochs is the default"
        assert str(caught[0].message).startswith(text)


def test_a_fit_of_usual_length_does_not_warn(few) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SemiSupervisedGANClassifier(random_state=0, device="cpu", epochs=2, n_estimators=2, n_jobs=1).fit(
            few.images, few.y
        )
