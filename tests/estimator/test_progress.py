"""Reports, early stopping, and the end of a member."""

import numpy as np
import pytest
import torch

from improved_gan import SemiSupervisedGANClassifier
from improved_gan.estimator.progress import Validation
from improved_gan.models import Judgement
from improved_gan.training.errors import DivergedError


class Fixed(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> Judgement:
        return Judgement(images.flatten(1), images)


def test_validation_counts_errors_and_cross_entropy() -> None:
    images = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]]).reshape(3, 1, 1, 2)
    error, loss = Validation(images, torch.tensor([0, 1, 1]), 3).judge(Fixed())
    assert error == pytest.approx(1 / 3)
    expected = np.mean([np.log(1 + np.exp(-2)), np.log(1 + np.exp(-1)), np.log(1 + np.exp(3))])
    assert loss == pytest.approx(expected)


def test_early_stopping_keeps_the_best_of_the_held_out_labels(few) -> None:
    y = np.where(np.arange(300) < 60, few.truth, -1)
    model = SemiSupervisedGANClassifier(epochs=60, validation_fraction=0.5, patience=2, random_state=0, device="cpu")
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
