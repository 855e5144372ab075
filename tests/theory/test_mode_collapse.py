import csv
from functools import partial

import numpy as np
import pytest
import torch

from improved_gan.techniques.minibatch_discrimination import MinibatchDiscrimination
from improved_gan.theory import mode_collapse
from improved_gan.theory.mode_collapse import MODES, STD, _StackedGANs, ring_coverage, sample_ring, train_on_ring


def test_samples_are_eight_equal_gaussians() -> None:
    points = sample_ring(40_000, torch.Generator().manual_seed(0)).numpy()
    nearest = np.linalg.norm(points[:, None] - MODES, axis=-1).argmin(1)
    np.testing.assert_allclose(np.bincount(nearest) / len(points), np.full(8, 1 / 8), atol=0.01)
    assert (points - MODES[nearest]).std() == pytest.approx(STD, rel=0.02)
    np.testing.assert_allclose(np.linalg.norm(MODES, axis=1), 2.0)


def test_coverage_of_real_data_is_nearly_perfect() -> None:
    modes, good = ring_coverage(sample_ring(20_000, torch.Generator().manual_seed(0)).numpy())
    assert modes == 8
    assert good == pytest.approx(1 - np.exp(-4.5), abs=0.004)  # P(radius <= 3 std) of a Gaussian in the plane


def test_a_gaussian_counts_from_one_percent_on() -> None:
    points = np.repeat(MODES[[0, 3, 5]], [98, 1, 1], axis=0)
    points[-1] += 3.01 * STD * np.array([0.0, 1.0])  # just too far
    modes, good = ring_coverage(np.stack([points, np.zeros_like(points)]))
    np.testing.assert_array_equal(modes, [2, 0])
    np.testing.assert_allclose(good, [0.99, 0])


@pytest.mark.parametrize("shape", [(2,), (0, 2), (4, 3)])
def test_wrong_shape_is_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"shape \(\.\.\., P, 2\) with P >= 1; got"):
        ring_coverage(np.zeros(shape))


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


def test_files_and_text(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = partial(train_on_ring, num_steps=20, num_evaluations=2, num_points=50)
    monkeypatch.setattr(mode_collapse, "train_on_ring", quick)
    files, words = mode_collapse.mode_collapse_demo(tmp_path, 3)
    assert [file.name for file in files] == ["mode_collapse.png", "mode_collapse.csv", "mode_collapse_points.csv"]
    assert all(file.stat().st_size < 200_000 for file in files)
    assert "minibatch discrimination  covers" in words
    rows = list(csv.DictReader((tmp_path / "mode_collapse.csv").read_text().splitlines()))
    assert len(rows) == 2 * 2 * 5
    assert {row["seed"] for row in rows} == {"3", "4", "5", "6", "7"}
    assert len(list(csv.DictReader((tmp_path / "mode_collapse_points.csv").read_text().splitlines()))) == 2 * 5 * 50
