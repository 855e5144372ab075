from dataclasses import replace

import numpy as np
import torch

from improved_gan.data import Dataset, LabeledImages, load_digits
from improved_gan.recipes import digits
from improved_gan.runs.build import Experiment
from improved_gan.techniques import WeightEMA
from improved_gan.training import train_step


def prepare(**changes: object) -> Experiment:
    recipe = replace(digits(), **changes)
    return Experiment.prepare(recipe, seed=1, split_seed=2, data_folder=None, device="cpu")


def test_initialization_depends_on_the_seed_only() -> None:
    first, again = prepare().start().tensors(), prepare().start().tensors()
    assert all(torch.equal(first[name], again[name]) for name in first)
    other = replace(prepare(), seed=2).start().tensors()
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_the_discriminator_is_initialized_from_training_images() -> None:
    state = prepare(init_batch_size=1000).start()
    data = prepare().data.train.images / 255
    with torch.no_grad():
        stds = state.discriminator(data).logits.std(0)
    np.testing.assert_allclose(stds, 1, atol=0.15)


def test_settings_and_resumable_fields() -> None:
    experiment = prepare()
    settings = experiment.settings()
    assert settings["label_split"]["sha256"] == experiment.split.digest
    assert settings["epochs"] == 200
    assert "epochs" not in settings["values"]
    assert experiment.resumable_fields() == ()
    assert prepare(lr_decay_fraction=0.0).resumable_fields() == ("epochs",)


def test_errors_are_counted_over_all_test_images_in_evaluation_mode() -> None:
    experiment = prepare()
    state = experiment.start()
    average = WeightEMA(state.discriminator)
    average.update()
    averaged = average.averaged(state.discriminator)
    result = experiment.evaluate(averaged)
    with torch.no_grad():
        logits = averaged.eval()(experiment.data.test.images / 255).logits.numpy()
    assert result["test/num_errors"] == int((logits.argmax(1) != experiment.data.test.labels.numpy()).sum())
    assert result["test/error"] == result["test/num_errors"] / 500


def with_unknown_labels() -> Dataset:
    """The digits with every second label taken away and the first thirty images held out."""
    data = load_digits()
    labels = data.train.labels.clone()
    labels[::2] = -1
    return replace(
        data,
        train=LabeledImages(data.train.images, labels),
        test=LabeledImages(data.train.images[:30], data.train.labels[:30]),
        test_kind="validation",
        held_out=tuple(range(30)),
        digest="0" * 64,
    )


def test_labels_as_given_and_images_held_out() -> None:
    experiment = prepare(load_data=lambda _: with_unknown_labels(), labels_as_given=True)
    assert list(experiment.split.indices) != []
    assert set(experiment.split.indices) == set(range(31, 1297, 2))
    assert len(experiment.split.training_indices()) == 1297 - 30
    assert set(experiment.evaluate(experiment.start().discriminator)) == {"validation/num_errors", "validation/error"}
    assert experiment.settings()["data_sha256"] == "0" * 64
    assert "data_sha256" not in prepare().settings()


def test_initialization_uses_no_image_that_is_held_out() -> None:
    data = with_unknown_labels()
    darkened = data.train.images.clone()
    darkened[:30] = 255  # would change D's initialization if they were used
    changed = replace(data, train=LabeledImages(darkened, data.train.labels))
    one, other = (
        prepare(load_data=lambda _, data=data: data, init_batch_size=2000).start().tensors() for data in (data, changed)
    )
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_without_labels_nothing_is_evaluated() -> None:
    experiment = prepare(num_labels=0)
    assert experiment.split.indices == ()
    assert experiment.evaluate(experiment.start().discriminator) == {}


def test_the_networks_may_have_different_learning_rates() -> None:
    state = prepare(discriminator_lr_scale=0.25).start()
    groups = [one.param_groups[0] for one in (state.optimizers.discriminator, state.optimizers.generator)]
    assert [group.get("lr_scale") for group in groups] == [0.25, 1.0]


def test_historical_averaging_is_added_to_the_objective() -> None:
    experiment = prepare(historical_averaging_weight=0.1)
    state = experiment.start()
    batch = next(experiment.batches(state).epoch(0))
    terms = train_step(state.generator, state.discriminator, experiment.objective(state), batch, state.optimizers)
    assert {"discriminator/history", "generator/history"} <= set(terms)
    plain = prepare()
    assert plain.objective(plain.start()) is plain.recipe.objective
