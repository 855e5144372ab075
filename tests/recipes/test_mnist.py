from collections.abc import Callable

import pytest
import torch

from improved_gan.label_spreading import LayoutConvDiscriminator, grid_positions
from improved_gan.recipes import Recipe, mnist, mnist_graph, mnist_graph_two_rounds, mnist_released, mnist_short
from improved_gan.recipes.mnist import mnist_classifier, mnist_generation, mnist_generation_short
from improved_gan.training import Adversarial, SupervisedBaseline


@pytest.mark.parametrize(
    ("recipe", "lr"),
    [(mnist(), lambda epoch: 0.001 * min(3 - epoch / 100, 1)), (mnist_released(), lambda _: 0.003)],
    ids=["paper", "released"],
)
def test_learning_rates_are_those_of_the_authors_scripts(recipe: Recipe, lr: Callable[[int], float]) -> None:
    assert [recipe.lr(epoch) for epoch in range(300)] == pytest.approx([lr(epoch) for epoch in range(300)])
    assert recipe.epochs == 300


@pytest.mark.parametrize("recipe", [mnist(), mnist_released()], ids=lambda recipe: recipe.name)
def test_settings_that_both_of_the_authors_scripts_have(recipe: Recipe) -> None:
    assert (recipe.num_labels, recipe.batch_size, recipe.init_batch_size) == (100, 100, 500)
    assert recipe.adam_betas == (0.5, 0.999)
    assert recipe.include_labeled
    discriminator = recipe.discriminator()
    assert [noise.std for noise in discriminator.noises] == [0.3, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert [layer.out_features for layer in discriminator.hidden] == [1000, 500, 250, 250, 250]


@pytest.mark.parametrize("recipe", [mnist(), mnist_released()], ids=lambda recipe: recipe.name)
def test_both_have_the_average_of_the_last_release(recipe: Recipe) -> None:
    """The script of `mnist` has none: the log has the errors without it, too."""
    assert recipe.ema_decay == 0.9999


@pytest.mark.parametrize("recipe", [mnist(), mnist_released()], ids=lambda recipe: recipe.name)
def test_precision_is_that_of_the_machine(recipe: Recipe) -> None:
    assert recipe.precision == "auto"


@pytest.mark.parametrize(
    ("labels", "paper"), [(20, "1677 ± 452"), (50, "221 ± 136"), (100, "93 ± 6.5"), (200, "90 ± 4.2")]
)
def test_the_papers_figures(labels: int, paper: str) -> None:
    assert mnist(labels).paper == f"{paper} of 10,000 wrong"


def test_other_numbers_of_labels_are_not_in_the_paper() -> None:
    assert mnist(1000).paper == "not in the paper"


def test_with_very_few_labels_the_generator_has_two_updates() -> None:
    assert [mnist_short(labels).generator_updates for labels in (20, 50, None)] == [2, 1, 1]
    assert mnist(20).generator_updates == mnist_released(20).generator_updates == 1


@pytest.mark.parametrize(
    "recipe", [mnist_graph(), mnist_graph_two_rounds(), mnist_short()], ids=lambda recipe: recipe.name
)
def test_recipes_after_the_paper_are_permutation_invariant(recipe: Recipe) -> None:
    assert recipe.paper == mnist().paper
    assert recipe.load_data is mnist().load_data
    if recipe.pseudo_labeling is not None and recipe.pseudo_labeling.max_displacement is None:
        assert recipe.pseudo_labeling.active_fraction <= 0.5  # many pseudo-labels by pixels are wrong
    images = torch.rand(3, 1, 28, 28)
    discriminator = recipe.discriminator().eval()
    order = torch.randperm(784)
    with torch.no_grad():
        expected = discriminator(images).logits
        if isinstance(discriminator, LayoutConvDiscriminator):
            assert recipe.augmentation is not None
            assert recipe.augmentation.learn_positions
            discriminator.set_pixel_layout_(grid_positions(28, 28)[order])  # as if learned, see test_layout_conv.py
        else:
            weight = discriminator.hidden[0].parametrizations.weight.original1
            weight.copy_(weight[:, order])
        shuffled = images.flatten(1)[:, order].reshape(images.shape)
        torch.testing.assert_close(discriminator(shuffled).logits, expected, atol=1e-4, rtol=1e-4)


def test_generation_is_the_pair_of_cifar10_on_28x28() -> None:
    recipe = mnist_generation()
    assert (recipe.num_labels, recipe.epochs, recipe.generator_updates) == (4000, 500, 3)
    assert recipe.lr(400) == pytest.approx(0.0003 * (2.5 - 400 / 200))
    discriminator, generator = recipe.discriminator(), recipe.generator()
    shapes = []
    for layer in discriminator.body:
        if hasattr(layer, "convolution"):
            layer.convolution.register_forward_hook(lambda _m, _i, output: shapes.append(tuple(output.shape[1:])))
    images = generator(generator.draw_latents(2))
    assert images.shape == (2, 1, 28, 28)
    assert discriminator(images).logits.shape == (2, 10)
    wide = [(96, 32, 32), (96, 32, 32), (96, 16, 16), (192, 16, 16), (192, 16, 16), (192, 8, 8)]
    assert shapes == [*wide, (192, 6, 6), (192, 6, 6), (192, 6, 6)]
    assert discriminator.output.weight.shape == (10, 192 + 100)


def test_short_generation_has_minibatch_discrimination_smoothing_and_labels() -> None:
    recipe = mnist_generation_short()
    assert recipe.num_labels == 100
    assert recipe.discriminator().minibatch is not None
    assert isinstance(recipe.objective, Adversarial)
    assert recipe.objective.supervised_weight == 1
    generator = recipe.generator()
    assert generator(generator.draw_latents(2)).shape == (2, 1, 28, 28)


def test_the_classifier_is_batch_independent() -> None:
    recipe = mnist_classifier()
    assert recipe.num_labels == 50_000
    assert recipe.discriminator().is_batch_independent
    assert recipe.generator is None
    assert isinstance(recipe.objective, SupervisedBaseline)
