import pytest
import torch

from improved_gan.metrics.bootstrap import poisson_weights, usable_weights


def test_weights_are_poisson_and_uncorrelated() -> None:
    weights = poisson_weights(torch.arange(20_000), 30)
    assert float(weights.mean()) == pytest.approx(1, abs=0.005)
    assert float(weights.var()) == pytest.approx(1, abs=0.01)
    for k, probability in enumerate([0.36788, 0.36788, 0.18394, 0.06131, 0.01533]):
        assert float((weights == k).double().mean()) == pytest.approx(probability, abs=0.002)
    correlation = torch.corrcoef(weights.T)
    assert float((correlation - torch.eye(30)).abs().max()) < 0.04
    assert abs(float(torch.corrcoef(torch.stack([weights[:-1, 0], weights[1:, 0]]))[0, 1])) < 0.03


def test_they_depend_on_place_and_seed_alone() -> None:
    places = torch.tensor([5, 199_999, 0])
    assert poisson_weights(places, 2).equal(poisson_weights(torch.arange(200_000), 2)[places])
    assert not poisson_weights(torch.arange(100), 4).equal(poisson_weights(torch.arange(100), 4, seed=1))
    assert poisson_weights(places, 0).shape == (3, 0)


@pytest.mark.parametrize(("num", "smallest"), [(4, 4), (9, 3), (2, 2), (5, 1), (1, 1)])
def test_usable_replicates_are_the_first_with_two_different_images(num: int, smallest: int) -> None:
    every = poisson_weights(torch.arange(num), 1000, seed=3).numpy()
    drawn = (every[:smallest] > 0).sum(0)
    expected = every[:, drawn >= min(2, smallest)][:, :60]
    assert drawn[:60].min() < min(2, smallest)
    assert usable_weights(num, 60, smallest=smallest, seed=3).numpy().tolist() == expected.tolist()


def test_of_many_images_every_replicate_is_usable() -> None:
    for num, replicates in ((50, 200), (0, 5), (7, 0)):
        assert usable_weights(num, replicates, seed=1).equal(poisson_weights(torch.arange(num), replicates, seed=1))
