from dataclasses import replace

import numpy as np
import torch

from improved_gan.recipes import digits
from improved_gan.recipes.experiment import Experiment, test_errors
from improved_gan.techniques import WeightAverage

test_errors.__test__ = False  # pytest: a function under test, not a test


def prepare(**changes: object) -> Experiment:
    recipe = replace(digits(), **changes)
    return Experiment.prepare(recipe, seed=1, split_seed=2, data_folder=None, device="cpu")


def test_the_same_seed_starts_the_same_and_another_does_not() -> None:
    first, again = prepare().start().tensors(), prepare().start().tensors()
    assert all(torch.equal(first[name], again[name]) for name in first)
    other = replace(prepare(), seed=2).start().tensors()
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_the_discriminator_starts_normalised_on_training_images() -> None:
    state = prepare(num_start_images=1000).start()
    data = prepare().data.train.images / 255
    with torch.no_grad():
        deviations = state.discriminator(data).logits.std(0)
    np.testing.assert_allclose(deviations, 1, atol=0.15)


def test_settings_describe_the_run_and_what_may_grow() -> None:
    experiment = prepare()
    settings = experiment.settings()
    assert settings["label_split"]["sha256"] == experiment.split.digest
    assert settings["epochs"] == 200
    assert "epochs" not in settings["values"]
    assert experiment.extendable() == ()
    assert prepare(decay_share=0.0).extendable() == ("epochs",)


def test_errors_are_counted_over_all_test_images_in_evaluation_mode() -> None:
    experiment = prepare()
    state = experiment.start()
    average = WeightAverage(state.discriminator)
    average.update()
    averaged = average.averaged(state.discriminator)
    result = experiment.evaluate(averaged)
    with torch.no_grad():
        logits = averaged.eval()(experiment.data.test.images / 255).logits.numpy()
    assert result["test/wrong"] == int((logits.argmax(1) != experiment.data.test.labels.numpy()).sum())
    assert result["test/error"] == result["test/wrong"] / 500
