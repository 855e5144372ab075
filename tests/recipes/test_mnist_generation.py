import pytest

from improved_gan.recipes.mnist_generation import mnist_classifier, mnist_generation, mnist_generation_short
from improved_gan.training import Adversarial, SupervisedBaseline


def test_generation_is_the_pair_of_cifar10_on_28x28() -> None:
    recipe = mnist_generation()
    assert (recipe.num_labels, recipe.epochs, recipe.generator_steps) == (4000, 500, 3)
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
    assert isinstance(recipe.objective, SupervisedBaseline)
