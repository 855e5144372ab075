import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from improved_gan.techniques import feature_matching_loss
from tests.oracles import losses

VARIANTS = ["paper", "released-mnist", "released-cifar10"]


@pytest.mark.parametrize("variant", VARIANTS)
@given(seed=st.integers(0, 1000), n=st.integers(1, 6), m=st.integers(1, 6))
def test_agrees_with_numpy(variant: str, seed: int, n: int, m: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    real = torch.randn(n, 3, 2, generator=generator, dtype=torch.float64)
    generated = torch.randn(m, 3, 2, generator=generator, dtype=torch.float64)
    expected = losses.feature_matching(real, generated, variant)
    assert feature_matching_loss(real, generated, variant=variant).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_compares_means_and_not_samples(variant: str) -> None:
    features = torch.randn(16, 4)
    shuffled = features[torch.randperm(16)]
    assert feature_matching_loss(features, shuffled, variant=variant).item() < 1e-6


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradient_reaches_the_generator_only(variant: str) -> None:
    real = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    generated = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    feature_matching_loss(real, generated, variant=variant).backward()
    assert real.grad is None
    assert generated.grad is not None
    assert torch.autograd.gradcheck(lambda g: feature_matching_loss(real, g, variant=variant), generated)


def test_half_precision_sums_in_float32() -> None:
    real = torch.full((40, 1), 3000.0, dtype=torch.float16)  # the float16 sum 120,000 would overflow
    assert feature_matching_loss(real, real.clone()).item() == 0
    assert feature_matching_loss(real, real.clone()).dtype == torch.float32


def test_bad_input_is_refused_with_its_shape() -> None:
    with pytest.raises(ValueError, match=r"paper, released-mnist, released-cifar10; got 'l2'"):
        feature_matching_loss(torch.zeros(2, 3), torch.zeros(2, 3), variant="l2")
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(2, 4\)"):
        feature_matching_loss(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"empty batch.*\(0, 3\)"):
        feature_matching_loss(torch.zeros(2, 3), torch.zeros(0, 3))
