import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from improved_gan.data import LabeledImages
from improved_gan.networks import ConvolutionalDiscriminator, DiscriminatorOutput, ImageNetDiscriminator
from improved_gan.recipes import RECIPES, digits
from improved_gan.reports import evaluate_run
from improved_gan.reproduction import results
from improved_gan.runs import Run
from improved_gan.runs.build import Experiment
from improved_gan.runs.networks import count_errors, logits_of
from improved_gan.techniques import MinibatchDiscrimination
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
    with pytest.raises(RunError, match="is not a run folder"):
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


def test_a_discriminator_that_is_not_batch_independent_gets_batches_in_random_order(monkeypatch) -> None:
    class CountsItsBatch(nn.Module):
        is_batch_independent = False

        def forward(self, images: torch.Tensor) -> DiscriminatorOutput:
            seen.append(len(images))
            bright = images.flatten(1).mean(1) > 0.5
            return DiscriminatorOutput(nn.functional.one_hot(bright.long(), 2).float(), images)

    seen: list[int] = []
    images = torch.zeros(25, 1, 2, 2, dtype=torch.uint8)
    images[:10] = 255
    data = LabeledImages(images, (torch.arange(25) < 10).long())
    assert count_errors(CountsItsBatch(), data, device=torch.device("cpu"), batch_size=10) == 0
    assert seen == [10, 10, 10]  # 5 rows twice in the last, counted once
    assert count_errors(CountsItsBatch(), LabeledImages(images, 1 - data.labels), device=torch.device("cpu")) == 25
    assert seen[3:] == [1000]
    # Reports and ensembles measure with the same batches.
    seen.clear()
    classified = evaluate_run._classify(CountsItsBatch(), data, images, "cpu", 10)
    loaded = SimpleNamespace(
        discriminator=CountsItsBatch(), run=SimpleNamespace(settings={"values": {"batch_size": 10}})
    )
    monkeypatch.setattr(results, "Run", lambda _: SimpleNamespace(load=lambda **_: loaded))
    averaged = results.average_probabilities([Path("a"), Path("b")], data, device="cpu", warn=pytest.fail)
    assert seen == [10] * 9
    for probabilities in (classified.probabilities, averaged):
        assert torch.equal(probabilities.argmax(1), data.labels)


@pytest.mark.parametrize("compares", [False, True])
def test_convolutions_take_few_images_at_a_time_unless_rows_are_compared(compares: bool) -> None:
    minibatch = (lambda size: MinibatchDiscrimination(size, 2, 2)) if compares else None
    network = ConvolutionalDiscriminator((3, 32, 32), 2, widths=(2, 4), convolutions=1, minibatch=minibatch)
    seen: list[int] = []
    network.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    images = torch.randint(0, 256, (200, 3, 32, 32), dtype=torch.uint8)
    rows, logits = logits_of(network, images, device="cpu", batch_size=100)
    assert seen == ([100, 100] if compares else [85, 85, 30])
    assert torch.equal(rows, torch.arange(200))
    if not compares:
        with torch.no_grad():
            torch.testing.assert_close(logits, network.eval()(images / 255).logits)


@pytest.mark.parametrize("num", [9, 1])
def test_a_last_batch_of_one_image_is_no_error_for_two_sided_features(num: int) -> None:
    torch.manual_seed(0)
    network = ImageNetDiscriminator((3, 32, 32), 3, width=2, minibatch=lambda size: MinibatchDiscrimination(size, 2, 2))
    images = torch.randint(0, 256, (num, 3, 32, 32), dtype=torch.uint8)
    arguments = {"device": torch.device("cpu"), "batch_size": 4}
    wrong = [count_errors(network, LabeledImages(images, torch.full((num,), label)), **arguments) for label in range(3)]
    assert sum(num - one for one in wrong) == num  # each image has exactly one predicted class


def test_counts_of_several_processes_add_up() -> None:
    class Bright(nn.Module):
        def forward(self, images: torch.Tensor) -> DiscriminatorOutput:
            return DiscriminatorOutput(
                nn.functional.one_hot((images.flatten(1).mean(1) > 0.5).long(), 2).float(), images
            )

    data = LabeledImages(
        torch.randint(0, 256, (2500, 1, 2, 2), generator=torch.Generator().manual_seed(0)).to(torch.uint8),
        torch.arange(2500) % 2,
    )
    arguments = {"device": torch.device("cpu"), "batch_size": 10}
    whole = count_errors(Bright(), data, **arguments)
    assert 0 < whole < 2500
    assert sum(count_errors(Bright(), data, **arguments, share=(number, 2)) for number in range(2)) == whole
