import pytest

from improved_gan.recipes.svhn import svhn, svhn_generation


def test_widths_length_and_figures_are_those_of_section_6_3() -> None:
    assert svhn().paper.startswith("8.11")
    assert svhn(500).paper.startswith("18.44")
    assert svhn(3000).paper == "not in the paper"
    discriminator = svhn().discriminator()
    assert discriminator.output.weight.shape == (10, 128)
    assert svhn_generation().discriminator().output.weight.shape == (10, 228)
    assert svhn_generation().generator_steps == 3
    recipe = svhn()
    for epoch in (0, 600, 750, 899):
        assert recipe.lr(epoch) == pytest.approx(0.0003 * min(3 - epoch / 300, 1))
