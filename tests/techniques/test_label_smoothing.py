import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from improved_gan.techniques import (
    adversarial_discriminator_loss,
    divergence_discriminator_loss,
    divergence_generator_loss,
    semi_supervised_losses,
    smoothed_discriminator_loss,
    smoothed_unsupervised_loss,
)
from tests.oracles import losses

logits = st.lists(st.floats(-60, 60), min_size=1, max_size=8)


def tensor(values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@given(real=logits, generated=logits, alpha=st.floats(0.01, 1))
def test_agrees_with_numpy(real: list[float], generated: list[float], alpha: float) -> None:
    expected = losses.cross_entropy(real, alpha) + losses.cross_entropy(generated, 0)
    inputs = tensor(real), tensor(generated)
    ours = smoothed_discriminator_loss(*inputs, positive_target=alpha).item()
    assert ours == pytest.approx(expected, rel=1e-12, abs=1e-12)
    ours = divergence_discriminator_loss(*inputs, positive_target=alpha).item()
    assert ours == pytest.approx(losses.divergence(real, alpha) + losses.divergence(generated, 0), rel=1e-9, abs=1e-9)
    ours = divergence_generator_loss(inputs[1], positive_target=alpha).item()
    assert ours == pytest.approx(losses.divergence(generated, alpha / 2), rel=1e-9, abs=1e-9)
    assert ours >= -1e-12


@given(seed=st.integers(0, 1000), classes=st.integers(1, 6), alpha=st.floats(0.01, 1))
def test_class_form_agrees_with_the_full_softmax(seed: int, classes: int, alpha: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    real, generated = (3 * torch.randn(n, classes, generator=generator, dtype=torch.float64) for n in (4, 5))
    p_generated, q_generated = losses.class_probabilities(real)[:, -1], losses.class_probabilities(generated)[:, -1]
    expected = (
        -(alpha * np.log(1 - p_generated) + (1 - alpha) * np.log(p_generated)).mean() - np.log(q_generated).mean()
    )
    assert smoothed_unsupervised_loss(real, generated, positive_target=alpha).item() == pytest.approx(expected)


def test_target_one_is_the_plain_loss() -> None:
    real, generated = torch.randn(5), torch.randn(6)
    plain = adversarial_discriminator_loss(real, generated)
    assert smoothed_discriminator_loss(real, generated, positive_target=1.0) == plain
    assert divergence_discriminator_loss(real, generated, positive_target=1.0) == plain
    real, generated = torch.randn(5, 3), torch.randn(6, 3)
    plain = semi_supervised_losses(real, torch.zeros(5).long(), real, generated)[1]
    assert smoothed_unsupervised_loss(real, generated, positive_target=1.0) == plain


@pytest.mark.parametrize("loss", [smoothed_discriminator_loss, divergence_discriminator_loss])
def test_the_optimal_discriminator_is_alpha_p_over_p_plus_q(loss: object) -> None:
    """On three points with p and q as counts, the gradient in the logits vanishes there and nowhere else."""
    p, q, alpha = np.array([6, 3, 1]), np.array([1, 3, 6]), 0.9
    best = torch.tensor(alpha * p / (p + q)).logit().requires_grad_()
    points = torch.arange(3)
    real, generated = (best[points.repeat_interleave(torch.tensor(counts))] for counts in (p, q))
    value = loss(real, generated, positive_target=alpha)
    (gradient,) = torch.autograd.grad(value, best)
    np.testing.assert_allclose(gradient, 0, atol=1e-15)
    for _ in range(5):
        moved = best.detach() + 0.1 * torch.randn(3)
        assert loss(*(moved[points.repeat_interleave(torch.tensor(c))] for c in (p, q)), positive_target=alpha) > value


def test_the_gradient_at_large_logits_is_finite_and_restoring() -> None:
    real = torch.tensor([1e4, -1e4, 50.0], requires_grad=True)
    for loss in (smoothed_discriminator_loss(real, real), divergence_generator_loss(real)):
        (gradient,) = torch.autograd.grad(loss, real)
        assert loss.isfinite()
        assert gradient.isfinite().all()
    (gradient,) = torch.autograd.grad(smoothed_discriminator_loss(real, torch.zeros(1)), real)
    assert gradient[2].item() == pytest.approx(0.1 / 3)  # 1 - alpha, where the plain loss has gradient 0


def test_half_precision_gives_float32() -> None:
    half = torch.zeros(70_000, dtype=torch.float16)
    assert smoothed_discriminator_loss(half, half).item() == pytest.approx(2 * np.log(2), rel=1e-5)


def test_bad_use() -> None:
    with pytest.raises(ValueError, match=r"real_logits must have shape \(N,\).*got \(3, 2\)"):
        smoothed_discriminator_loss(torch.zeros(3, 2), torch.zeros(3))
    with pytest.raises(ValueError, match=r"generated_logits.*got \(0,\)"):
        divergence_generator_loss(torch.zeros(0))
    with pytest.raises(ValueError, match=r"got \(3, 2\), \(3, 4\)"):
        smoothed_unsupervised_loss(torch.zeros(3, 2), torch.zeros(3, 4))
    for alpha in (0.0, 1.1, float("nan")):
        with pytest.raises(ValueError, match="0 < alpha <= 1; got"):
            smoothed_discriminator_loss(torch.zeros(3), torch.zeros(3), positive_target=alpha)
