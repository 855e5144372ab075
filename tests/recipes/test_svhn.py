import pytest

from improved_gan.recipes.svhn import svhn, svhn_generation, svhn_generation_released, svhn_released


def test_widths_length_and_figures_are_those_of_section_6_3() -> None:
    assert svhn().paper.startswith("8.11")
    assert svhn(500).paper.startswith("18.44")
    assert svhn(3000).paper == "not in the paper"
    discriminator = svhn().discriminator()
    assert discriminator.output.weight.shape == (10, 128)
    assert (svhn().epochs, svhn().lr_decay_fraction) == (501, 0)


def test_generation_has_all_labels_at_the_papers_date_and_cifar10s_widths_in_both_scripts() -> None:
    assert (svhn_generation().num_labels, svhn_generation().labels_as_given) == (73_257, True)
    assert (svhn_generation(500).num_labels, svhn_generation(500).labels_as_given) == (500, False)
    assert (svhn_generation_released().num_labels, svhn_generation_released().epochs) == (1000, 900)
    for recipe in (svhn_generation(), svhn_generation_released()):
        assert recipe.discriminator().output.weight.shape == (10, 192 + 100)
    assert svhn_generation().generator_updates == svhn_generation_released().generator_updates == 3


def test_the_learning_rate_of_the_release_falls_over_the_last_third() -> None:
    recipe = svhn_released()
    assert recipe.discriminator().output.weight.shape == (10, 128)
    for epoch in (0, 600, 750, 899):
        assert recipe.lr(epoch) == pytest.approx(0.0003 * min(3 - epoch / 300, 1))
