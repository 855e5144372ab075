import pytest

from improved_gan.recipes.cifar10 import cifar10, cifar10_generation, cifar10_supervised
from improved_gan.training import Adversarial, SupervisedBaseline


@pytest.mark.parametrize(("labels", "figure"), [(1000, "21.83"), (2000, "19.61"), (None, "18.63"), (8000, "17.72")])
def test_figures_of_table_2(labels: int | None, figure: str) -> None:
    assert cifar10(labels).paper.startswith(figure)


def test_rate_is_the_released_one() -> None:
    recipe = cifar10()
    for epoch in (0, 799, 800, 1000, 1199):
        assert recipe.lr(epoch) == pytest.approx(0.0003 * min(3 - epoch / 400, 1))
    assert recipe.epochs == 1200


def test_networks_are_those_of_the_paper() -> None:
    generator, discriminator = cifar10().generator(), cifar10().discriminator()
    assert generator(generator.draw_latents(2)).shape == (2, 3, 32, 32)
    assert discriminator.output.weight.shape == (10, 192)
    assert cifar10_generation().discriminator().output.weight.shape == (10, 292)


def test_generation_and_supervised_derive() -> None:
    assert isinstance(cifar10_supervised(1000).objective, SupervisedBaseline)
    assert cifar10_supervised(1000).num_labels == 1000
    pictures = cifar10_generation().objective
    assert isinstance(pictures, Adversarial)
    assert (pictures.supervised_weight, pictures.adversarial_weight) == (1.0, 0.5)
    assert (cifar10().generator_steps, cifar10_generation().generator_steps) == (1, 3)
