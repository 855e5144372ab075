from improved_gan.recipes.mnist_generation import mnist_classifier, mnist_generation
from improved_gan.training import Adversarial, SupervisedBaseline


def test_generation_has_minibatch_discrimination_smoothing_and_labels() -> None:
    recipe = mnist_generation()
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
