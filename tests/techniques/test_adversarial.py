import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from improved_gan.techniques import (
    adversarial_discriminator_loss,
    hinge_discriminator_loss,
    hinge_generator_loss,
    least_squares_discriminator_loss,
    least_squares_generator_loss,
    minimax_generator_loss,
    non_saturating_generator_loss,
    relativistic_discriminator_loss,
    relativistic_generator_loss,
    smoothed_discriminator_loss,
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


@given(pairs=st.lists(st.tuples(st.floats(-30, 30), st.floats(-30, 30)), min_size=1, max_size=8))
def test_losses_after_the_paper_agree_with_numpy(pairs: list[tuple[float, float]]) -> None:
    real, generated = (np.array(side) for side in zip(*pairs, strict=True))
    r, g = torch.from_numpy(real), torch.from_numpy(generated)
    for found, expected in (
        (hinge_discriminator_loss(r, g), losses.hinge(real, generated)),
        (hinge_generator_loss(g), -generated.mean()),
        (least_squares_discriminator_loss(r, g), losses.squares(real, 1) + losses.squares(generated, 0)),
        (
            least_squares_discriminator_loss(r, g, positive_target=0.9),
            losses.squares(real, 0.9) + losses.squares(generated, 0),
        ),
        (least_squares_generator_loss(g), losses.squares(generated, 1)),
        (relativistic_discriminator_loss(r, g), losses.relativistic(real, generated)),
        (relativistic_generator_loss(r, g), losses.relativistic(generated, real)),
    ):
        assert found.item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_the_smoothed_least_squares_have_the_optimum_of_the_smoothed_cross_entropy() -> None:
    """On three points with p real and q generated examples: alpha p / (p + q), where the gradient vanishes."""
    p, q, alpha = torch.tensor([6, 3, 1]), torch.tensor([1, 3, 6]), 0.9
    best = (alpha * p.double() / (p + q)).requires_grad_()
    real, generated = (best[torch.arange(3).repeat_interleave(counts)] for counts in (p, q))
    loss = least_squares_discriminator_loss(real, generated, positive_target=alpha)
    np.testing.assert_allclose(torch.autograd.grad(loss, best)[0], 0, atol=1e-15)


DISCRIMINATOR_LOSSES = [
    adversarial_discriminator_loss,
    smoothed_discriminator_loss,
    hinge_discriminator_loss,
    least_squares_discriminator_loss,
    relativistic_discriminator_loss,
    relativistic_generator_loss,
]
GENERATOR_LOSSES = [
    non_saturating_generator_loss,
    minimax_generator_loss,
    hinge_generator_loss,
    least_squares_generator_loss,
]


@pytest.mark.parametrize("loss", [*DISCRIMINATOR_LOSSES, *GENERATOR_LOSSES])
def test_several_discriminators_are_averaged_or_summed(loss: object) -> None:
    count = 2 if loss in DISCRIMINATOR_LOSSES else 1
    outputs = [[torch.randn(n).double() for n in (4, 9)] for _ in range(count)]
    each = [loss(*one) for one in zip(*outputs, strict=True)]
    torch.testing.assert_close(loss(*outputs), sum(each) / 2)
    torch.testing.assert_close(loss(*map(tuple, outputs), reduction="sum"), sum(each))
    with pytest.raises(ValueError, match=r"_logits\[1\] must have shape.*got \(3, 1\)"):
        loss(*[[torch.zeros(3), torch.zeros(3, 1)]] * count)
    with pytest.raises(ValueError, match="at least one; got 0 in "):
        loss(*[[]] * count)
    with pytest.raises(TypeError, match=r"_logits\[0\] must be a tensor \(N,\); got list"):
        loss(*[[[torch.zeros(3)]]] * count)
    with pytest.raises(ValueError, match="'mean' or 'sum'; got 'none'"):
        loss(*outputs, reduction="none")
    if count == 2:
        with pytest.raises(ValueError, match=r"got 2 in real_logits and 1 in generated_logits"):
            loss(outputs[0], outputs[1][:1])


@pytest.mark.parametrize("loss", [hinge_discriminator_loss, relativistic_discriminator_loss])
def test_smoothing_is_refused_where_there_is_no_target(loss: object) -> None:
    with pytest.raises(ValueError, match=r"not defined for the .*positive_target=0\.9\. Use smoothed_discriminator"):
        loss(torch.zeros(3), torch.zeros(3), positive_target=0.9)


def test_bad_targets_and_pairs() -> None:
    with pytest.raises(ValueError, match=r"0 < alpha <= 1; got 1\.2"):
        least_squares_discriminator_loss(torch.zeros(3), torch.zeros(3), positive_target=1.2)
    with pytest.raises(ValueError, match=r"as many real as generated logits; got \(3,\) and \(4,\)"):
        relativistic_discriminator_loss(torch.zeros(3), torch.zeros(4))
