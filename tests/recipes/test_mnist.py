import pytest

from improved_gan.recipes import mnist


def test_the_settings_of_the_released_experiment() -> None:
    recipe = mnist()
    assert (recipe.num_labels, recipe.epochs, recipe.batch_size, recipe.num_start_images) == (100, 300, 100, 500)
    assert (recipe.learning_rate, recipe.decay_share, recipe.adam_betas) == (0.003, 0, (0.5, 0.999))
    assert recipe.average_decay == 0.9999
    assert recipe.include_labelled
    discriminator = recipe.discriminator()
    assert [noise.std for noise in discriminator.noises] == [0.3, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert [layer.out_features for layer in discriminator.hidden] == [1000, 500, 250, 250, 250]


@pytest.mark.parametrize(
    ("labels", "paper"), [(20, "1677 ± 452"), (50, "221 ± 136"), (100, "93 ± 6.5"), (200, "90 ± 4.2")]
)
def test_the_papers_figures(labels: int, paper: str) -> None:
    assert mnist(labels).paper == f"{paper} of 10,000 wrong"


def test_another_budget_is_not_in_the_paper() -> None:
    assert mnist(1000).paper == "not in the paper"
