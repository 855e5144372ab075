import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from improved_gan.data import Dataset, LabeledImages
from improved_gan.recipes import RecipeError
from improved_gan.recipes.folder import folder, folder_again, folder_for, folder_recipe
from improved_gan.recipes.precision import resolve_precision
from improved_gan.runs import Run
from improved_gan.runs.build import Experiment
from improved_gan.training import Adversarial, SemiSupervised


def own(size: int = 32, num: int = 24) -> Dataset:
    images = torch.randint(0, 256, (num, 3, size, size), dtype=torch.uint8)
    labels = torch.arange(num) % 3
    labels[num // 2 :] = -1
    return Dataset(
        "mine", ("a", "b", "c"), LabeledImages(images, labels), LabeledImages(images[:2], labels[:2]), "validation",
        held_out=(0, 1), digest="0" * 64,
    )  # fmt: skip


@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize("num_labels", [0, 6])
def test_networks_of_every_size_fit_the_images(size: int, num_labels: int) -> None:
    recipe = folder_for((3, size, size), num_classes=3, num_labels=num_labels, num_images=100)
    generator, discriminator = recipe.generator(), recipe.discriminator()
    images = generator(generator.draw_latents(2))
    assert images.shape == (2, 3, size, size)
    assert discriminator(images).logits.shape == (2, 3 if num_labels else 1)
    assert isinstance(recipe.objective, SemiSupervised if num_labels else Adversarial)


@pytest.mark.parametrize("num_images", [10, 15, 206, 207, 399, 10_000])
def test_the_batch_divides_by_two_or_four_processes(num_images: int) -> None:
    for size in (32, 64):
        batch = folder_for((3, size, size), num_classes=3, num_labels=0, num_images=num_images).batch_size
        assert batch % 2 == 0
        assert batch % 4 == 0 or batch == 2
        assert num_images // 4 - 4 < batch <= max(2, num_images // 4) or batch == (100 if size == 32 else 64)


def test_labels_as_given_balanced_or_none() -> None:
    data = own()
    given, balanced, without = (folder_recipe(data, num_labels=num) for num in (None, 6, 0))
    found = [
        Experiment.prepare(recipe, seed=1, split_seed=1, data_folder=None, device="cpu").split
        for recipe in (given, balanced, without)
    ]
    assert [len(split.indices) for split in found] == [10, 6, 0]
    assert all(split.held_out == (0, 1) for split in found)


@pytest.mark.parametrize("num_labels", [None, 6, 0])
def test_the_recipe_is_rebuilt_from_settings_without_the_images(num_labels: int | None) -> None:
    experiment = Experiment.prepare(
        folder_recipe(own(num=60), num_labels=num_labels), seed=1, split_seed=1, data_folder=None, device="cpu"
    )
    settings = json.loads(json.dumps(experiment.settings()))
    again = folder_again(settings)
    again = replace(again, epochs=settings["epochs"])
    values = {key: value for key, value in json.loads(json.dumps(again.as_dict())).items() if key != "epochs"}
    assert values == settings["values"]


@pytest.mark.parametrize("num_labels", [None, 0])
@pytest.mark.parametrize("begun_in", ["float32", "bfloat16"])
def test_precision_is_that_of_the_machine_or_of_the_run_that_goes_on(
    num_labels: int | None, begun_in: str, tmp_path: Path
) -> None:
    recipe = folder_recipe(own(num=60), num_labels=num_labels)
    assert recipe.precision == "auto"
    assert recipe.channels_last
    begun = replace(recipe, precision=begun_in, channels_last=False)  # float32: as before there was a choice
    experiment = Experiment.prepare(begun, seed=1, split_seed=1, data_folder=None, device="cpu")
    run = Run(tmp_path / "run")
    run.begin(json.loads(json.dumps(experiment.settings())))
    run.check_planned(recipe, seed=1, split_seed=1)
    assert resolve_precision(recipe, torch.device("cpu"), recorded=run.precision).precision == begun_in
    assert folder_again(run.settings).precision == begun_in


def test_labels_and_data_that_do_not_fit_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"train-folder --images DIR"):
        folder().load_data(None)
    data = replace(own(), train=LabeledImages(own().train.images, torch.full((24,), -1)))
    with pytest.raises(RecipeError, match=r"6 labels are requested, but the data have none"):
        folder_recipe(data, num_labels=6)
