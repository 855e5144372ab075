import math

import pytest
import torch

from improved_gan.metrics import MetricError, vendi_score
from tests.oracles import metrics as oracle

X = torch.randn(40, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("order", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("num", [5, 40])  # fewer and more images than features
def test_it_is_the_entropy_of_the_similarity_matrix(num: int, order: float) -> None:
    expected = oracle.vendi_score(X[:num].numpy(), order)
    assert vendi_score(X[:num], order=order, rows=7) == pytest.approx(expected, rel=1e-9)


def test_orthogonal_groups_of_equal_images_count_by_their_shares() -> None:
    """Groups of 3, 2 and 1 equal images: the shares are 1/2, 1/3 and 1/6."""
    rows = torch.eye(3)[[0, 0, 0, 1, 1, 2]]
    entropy = -sum(share * math.log(share) for share in (1 / 2, 1 / 3, 1 / 6))
    assert vendi_score(rows) == pytest.approx(math.exp(entropy))
    assert vendi_score(rows, order=math.inf) == pytest.approx(2)
    assert vendi_score(rows, order=2) == pytest.approx(1 / (1 / 4 + 1 / 9 + 1 / 36))
    assert vendi_score(rows, order=5000) == pytest.approx(2 ** (5000 / 4999))  # no power of a share is left but 1/2's
    for near in (1 - 1e-14, 1 + 1e-14, 1 + 1e-7):
        assert vendi_score(rows, order=near) == pytest.approx(math.exp(entropy), rel=1e-6)


@pytest.mark.parametrize("order", [0.01, 0.1, 0.5, 1.0, 3.0])
@pytest.mark.parametrize(("num", "width"), [(600, 256), (100, 256), (20_000, 4)])
def test_rounding_of_zero_eigenvalues_is_no_image(num: int, width: int, order: float) -> None:
    """Equal images are 1; equal numbers of images with two directions at a right angle are 2, whatever the order."""
    row = torch.randn(1, width, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert vendi_score(row.expand(num, -1), order=order) == pytest.approx(1, rel=1e-9)
    turned = row.reshape(-1, 2).flip(1) * torch.tensor([1, -1])
    both = torch.cat([row, turned.reshape(1, -1)]).repeat(num // 2, 1)
    assert vendi_score(both, order=order) == pytest.approx(2, rel=1e-9)


def test_order_of_images_copies_and_scale_do_not_matter() -> None:
    expected = vendi_score(X)
    assert vendi_score(X.flip(0)) == pytest.approx(expected)
    assert vendi_score(X.repeat(3, 1)) == pytest.approx(expected)
    assert vendi_score(7 * X) == pytest.approx(expected)


def test_bad_input() -> None:
    with pytest.raises(MetricError, match="features that are all 0"):
        vendi_score(torch.cat([X, 0 * X[:1]]))
    with pytest.raises(MetricError, match="positive number; got 0"):
        vendi_score(X, order=0)
    with pytest.raises(MetricError, match="NaN"):
        vendi_score(X * torch.nan)
