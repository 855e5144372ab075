import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from improved_gan.techniques import (
    adversarial_discriminator_loss,
    minimax_generator_loss,
    non_saturating_generator_loss,
)
from tests.oracles import losses

logits = st.lists(st.floats(-60, 60), min_size=1, max_size=8)


@given(real=logits, generated=logits)
def test_agrees_with_numpy(real: list[float], generated: list[float]) -> None:
    real_logits, generated_logits = (
        torch.tensor(real, dtype=torch.float64),
        torch.tensor(generated, dtype=torch.float64),
    )
    ours = adversarial_discriminator_loss(real_logits, generated_logits).item()
    assert ours == pytest.approx(losses.discriminator(real, generated), rel=1e-12, abs=1e-12)
    assert non_saturating_generator_loss(generated_logits).item() == pytest.approx(
        -losses.log_sigmoid(generated).mean(), rel=1e-12
    )
    assert minimax_generator_loss(generated_logits).item() == pytest.approx(
        losses.log_sigmoid(-np.asarray(generated)).mean(), rel=1e-12
    )


def test_stays_finite_where_log_of_sigmoid_would_not() -> None:
    sure = torch.tensor([1e4, -1e4], requires_grad=True)
    for loss in (adversarial_discriminator_loss(sure, sure), non_saturating_generator_loss(sure)):
        (gradient,) = torch.autograd.grad(loss, sure)
        assert loss.isfinite()
        assert gradient.isfinite().all()


def test_half_precision_is_averaged_in_float32() -> None:
    logits = torch.full((70_000,), 1.0, dtype=torch.float16)  # a float16 sum would overflow at 65,504
    assert non_saturating_generator_loss(logits).item() == pytest.approx(np.log1p(np.exp(-1)), rel=1e-5)


@pytest.mark.parametrize("shape", [(0,), (3, 2), ()])
def test_wrong_shape_is_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        ValueError,
        match=r"generated_logits must have shape \(N,\).*got " + str(shape).replace("(", r"\(").replace(")", r"\)"),
    ):
        adversarial_discriminator_loss(torch.zeros(3), torch.zeros(shape))
