import math

import numpy as np
import pytest
import torch
from torch import Tensor

from improved_gan.metrics import InceptionScore, ScoreReport, inception_score
from tests.oracles import metrics as oracle


def report(p: Tensor, *, splits: int = 10, replicates: int = 200) -> ScoreReport:
    score = InceptionScore(p.shape[1], len(p), splits=splits, replicates=replicates)
    score.update(p)
    return score.compute()


def draw(num: int, *, classes: int = 20, seed: int = 0) -> Tensor:
    """Images of a source whose score is known by drawing many."""
    source = torch.Generator().manual_seed(seed)
    return (4 * torch.randn(num, classes, generator=source, dtype=torch.float64)).softmax(1)


def test_the_two_parts_are_entropies_and_make_the_pooled_score() -> None:
    p = draw(500)
    found = report(p)
    assert found.marginal_entropy == pytest.approx(oracle.entropy(p.mean(0).numpy()))
    assert found.conditional_entropy == pytest.approx(np.mean([oracle.entropy(row) for row in p.numpy()]))
    assert found.pooled == pytest.approx(math.exp(found.marginal_entropy - found.conditional_entropy))
    assert found.pooled == pytest.approx(inception_score(p, 1).mean)
    assert found.confidence == pytest.approx(float(p.max(1).values.mean()))


def test_one_hot_rows_get_the_correction_of_miller_and_madow() -> None:
    counts = torch.tensor([40, 30, 20, 10])
    p = torch.eye(4, dtype=torch.float64).repeat_interleave(counts, 0)
    found = report(p, splits=1)
    # Variances with n - 1: the sum over classes is (K - 1) n / (n - 1).
    assert math.log(found.extrapolated / found.pooled) == pytest.approx(3 / (2 * 99))


def test_the_extrapolation_takes_most_of_the_bias_away() -> None:
    """Against the score of 200,000 images, and against a line in 1/n through smaller numbers of images."""
    limit = inception_score(draw(200_000, seed=99), 1).mean
    reports = [report(draw(300, seed=seed), splits=1, replicates=0) for seed in range(30)]
    plain = np.mean([one.pooled for one in reports])
    extrapolated = np.mean([one.extrapolated for one in reports])
    assert plain < limit * 0.985
    assert extrapolated == pytest.approx(limit, rel=0.005)
    big = draw(30_000, seed=7)
    sizes = [300, 600, 1200, 3000]
    means = [inception_score(big, len(big) // size).mean for size in sizes]
    line = np.polyfit([1 / size for size in sizes], means, 1)[1]
    assert report(big, replicates=0).extrapolated == pytest.approx(line, rel=0.005)


def test_the_interval_covers_as_it_says() -> None:
    """Of 60 sources' intervals about 57 hold the expected score at that number of images."""
    reports = [report(draw(200, classes=5, seed=seed), splits=2, replicates=200) for seed in range(60)]
    expected = np.mean([one.mean for one in reports])
    covered = sum(one.interval[0] <= expected <= one.interval[1] for one in reports if one.interval)
    assert 51 <= covered <= 60
    widths = [one.interval[1] - one.interval[0] for one in reports if one.interval]
    assert np.mean(widths) == pytest.approx(4 * np.std([one.mean for one in reports]), rel=0.3)
    assert report(draw(100), replicates=0).interval is None


def test_classes_never_produced() -> None:
    p = torch.eye(6)[[0, 2, 2, 5]]
    assert report(p, splits=1).missing_classes == (1, 3, 4)


def test_warnings() -> None:
    clear = torch.eye(10, dtype=torch.float64).repeat(600, 1)[torch.randperm(6000)]
    assert report(clear).warnings == ()
    by_class = torch.eye(10, dtype=torch.float64).repeat_interleave(600, 0)
    assert ["sorted by class" in text for text in report(by_class).warnings] == [True]
    assert any("only 200 images" in text for text in report(clear[:200]).warnings)
    assert any("splits of 5 images are too small for 10" in text for text in report(clear[:50]).warnings)
    assert any(
        "low confidence on these images (mean largest probability 0.10)" in t for t in report(clear * 0 + 0.1).warnings
    )


def test_images_in_random_order_are_hardly_ever_called_sorted() -> None:
    for seed in range(25):
        for classes, splits in ((2, 2), (10, 10), (100, 10)):
            found = report(draw(500, classes=classes, seed=seed), splits=splits, replicates=0)
            assert not any("sorted" in text for text in found.warnings), (seed, classes)
