import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from improved_gan.recipes import RECIPES, digits
from improved_gan.runs import Run
from improved_gan.runs.build import Experiment
from improved_gan.training import train_step
from improved_gan.training.errors import RunError
from improved_gan.training.process_group import choose_device


def test_a_trained_run_gives_averaged_weights_in_evaluation_mode(trained_run: Path) -> None:
    trained = Run(trained_run).load(warn=pytest.fail)
    assert trained.run.class_names == list("0123456789")
    assert trained.run.image_shape == (1, 8, 8)
    assert not trained.discriminator.training
    assert not trained.generator.training
    images = torch.rand(4, 1, 8, 8)
    assert torch.equal(trained.discriminator(images).logits, trained.discriminator(images).logits)


def test_a_recipe_with_changed_texts_loads(trained_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "digits", lambda labels: replace(digits(labels), summary="anew", paper="none"))
    assert Run(trained_run).load(warn=pytest.fail).step > 0
    monkeypatch.setitem(RECIPES, "digits", lambda labels: replace(digits(labels), adam_epsilon=0.1))
    with pytest.raises(RunError, match="other values of adam_epsilon than recipe digits has now"):
        Run(trained_run).load(warn=pytest.fail)


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is no run folder"):
        Run(tmp_path).load(warn=pytest.fail)


def test_devices() -> None:
    assert choose_device("cpu") == "cpu"
    assert choose_device(None) == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(RunError, match="try --device cpu"):
        choose_device("cuda:77")
    with pytest.raises(RunError, match="try --device cpu"):
        choose_device("abacus")


def test_samples_of_a_run_use_the_averaged_generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(digits(), generator_ema_decay=0.9, epochs=1, init_batch_size=50)
    monkeypatch.setitem(RECIPES, "digits", lambda labels: recipe)
    experiment = Experiment.prepare(recipe, seed=1, split_seed=1, data_folder=None, device="cpu")
    state, folder = experiment.start(), Run(tmp_path / "run")
    folder.begin(experiment.settings())
    for batch in itertools.islice(experiment.batches(state).epoch(0), 2):
        train_step(state.generator, state.discriminator, recipe.objective, batch, state.optimizers)
        state.average.update()
    folder.save_checkpoint(2, state.tensors())
    trained = Run(folder.path).load(warn=pytest.fail)
    expected = state.sampling_generator().eval()
    latents = expected.draw_latents(3)
    assert torch.equal(trained.generator(latents), expected(latents))
    assert not torch.equal(trained.generator(latents), state.generator.eval()(latents))
