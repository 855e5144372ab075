import numpy as np
import pytest
import torch

from improved_gan.techniques.minibatch_discrimination import MinibatchDiscrimination
from improved_gan.theory.mode_collapse import _StackedGANs, train_on_ring


def test_stacked_similarities_are_those_of_the_layer_of_each_gan() -> None:
    gans = _StackedGANs([3, 4], minibatch_discrimination=True)
    features = torch.randn(2, 18, 64)
    ours = gans.similarities(features, 2)
    assert ours.shape == (2, 18, 8)
    for index in range(2):
        layer = MinibatchDiscrimination(64, num_kernels=8, kernel_dim=3)
        with torch.no_grad():
            layer.weight.copy_(gans.projection[index].reshape(64, 8, 3))
        for part in (slice(0, 9), slice(9, 18)):  # real and generated are not compared
            torch.testing.assert_close(ours[index, part], layer(features[index, part])[:, 64:])


def test_discriminators_are_independent_and_compare_rows_only_with_minibatch_discrimination() -> None:
    points = torch.randn(2, 6, 2)
    changed = points.clone()
    changed[1, 0] += 1.0
    for looks_across in (False, True):
        gans = _StackedGANs([0, 1], minibatch_discrimination=looks_across)
        (before,), (after,) = gans.logits(points), gans.logits(changed)
        torch.testing.assert_close(before[0], after[0])
        assert torch.equal(before[1, 1:], after[1, 1:]) is not looks_across


def test_a_seed_gives_the_same_gan_alone_and_stacked() -> None:
    options = {"minibatch_discrimination": True, "num_steps": 10, "num_evaluations": 1, "num_points": 20}
    together, alone = train_on_ring([7, 8], **options), train_on_ring([8], **options)
    np.testing.assert_allclose(together.points[1], alone.points[0], atol=1e-4)
    np.testing.assert_array_equal(alone.points, train_on_ring([8], **options).points)


def test_shapes_and_evaluations() -> None:
    run = train_on_ring([0, 1, 2], minibatch_discrimination=False, num_steps=5, num_evaluations=2, num_points=10)
    np.testing.assert_array_equal(run.steps, [2, 5])
    assert run.modes_covered.shape == run.good_fraction.shape == (2, 3)
    assert run.points.shape == (3, 10, 2)


@pytest.mark.slow
def test_minibatch_discrimination_covers_more_modes() -> None:
    plain, company = (
        train_on_ring([0, 1, 2], minibatch_discrimination=looks_across, num_evaluations=1)
        for looks_across in (False, True)
    )
    # seen over 20 runs: about 3.4 +- 1.5 and 7.2 +- 0.9; which seed covers what moves with the last bit of a sum
    assert company.modes_covered[-1].mean() >= plain.modes_covered[-1].mean() + 1
    assert company.modes_covered[-1].mean() >= 5
    assert plain.good_fraction[-1].mean() > 0.5  # what the plain ones do cover, they cover well


def test_bad_use() -> None:
    with pytest.raises(ValueError, match=r"at least one seed.*got \[\]"):
        train_on_ring([], minibatch_discrimination=True)
    with pytest.raises(ValueError, match=r"1 <= num_evaluations <= num_steps are required; got \[0\], 9 and 5"):
        train_on_ring([0], minibatch_discrimination=True, num_steps=5, num_evaluations=9)
