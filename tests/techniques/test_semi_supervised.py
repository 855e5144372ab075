import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from improved_gan.techniques import real_logit, semi_supervised_losses
from tests.oracles import losses


@given(seed=st.integers(0, 1000), classes=st.integers(1, 6), scale=st.sampled_from([0.1, 1.0, 10.0]))
def test_agrees_with_the_full_softmax(seed: int, classes: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    labeled, unlabeled, generated = (
        scale * torch.randn(n, classes, generator=generator, dtype=torch.float64) for n in (4, 5, 6)
    )
    labels = torch.randint(classes, (4,), generator=generator)
    expected = losses.semi_supervised(labeled, labels, unlabeled, generated)
    ours = semi_supervised_losses(labeled, labels, unlabeled, generated)
    assert [loss.item() for loss in ours] == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_real_logit_is_the_log_odds_of_real() -> None:
    logits = torch.randn(7, 10, dtype=torch.float64)
    p_generated = losses.class_probabilities(logits)[:, -1]
    assert torch.sigmoid(real_logit(logits)).numpy() == pytest.approx(1 - p_generated, rel=1e-12)


def test_extreme_logits_stay_finite_with_useful_gradients() -> None:
    logits = torch.tensor([[300.0, -300.0], [-300.0, 300.0]], requires_grad=True)
    supervised, unsupervised = semi_supervised_losses(logits, torch.tensor([1, 0]), logits, logits)
    (gradient,) = torch.autograd.grad(supervised + unsupervised, logits)
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0


def test_gradcheck() -> None:
    batches = [torch.randn(3, 4, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    labels = torch.tensor([0, 3, 1])
    assert torch.autograd.gradcheck(lambda a, b, c: sum(semi_supervised_losses(a, labels, b, c)), tuple(batches))


def test_half_precision_gives_float32_losses() -> None:
    logits = torch.randn(3, 4).half()
    for loss in semi_supervised_losses(logits, torch.tensor([0, 1, 2]), logits, logits):
        assert loss.dtype == torch.float32


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (torch.tensor([0, 4, 1]), ValueError, r"labels must lie in 0\.\.3 for 4 classes; got 0\.\.4"),
        (torch.tensor([0, -1, 1]), ValueError, r"got -1\.\.1"),
        (torch.tensor([0, 1]), ValueError, r"shape \(3,\).*got \(2,\)"),
        (torch.tensor([0.0, 1.0, 2.0]), TypeError, "int64"),
    ],
)
def test_bad_labels(labels: torch.Tensor, error: type[Exception], message: str) -> None:
    logits = torch.zeros(3, 4)
    with pytest.raises(error, match=message):
        semi_supervised_losses(logits, labels, logits, logits)


def test_labels_of_minus_100_are_not_left_out_where_values_are_not_read() -> None:
    """In compiled code and on accelerators, where cross entropy itself has to refuse them."""
    logits = torch.zeros(3, 4)
    compiled = torch.compile(semi_supervised_losses, backend="eager")
    with pytest.raises(IndexError, match="Target -100 is out of bounds"):
        compiled(logits, torch.tensor([0, -100, 1]), logits, logits)


def test_bad_shapes() -> None:
    logits = torch.zeros(3, 4)
    with pytest.raises(ValueError, match=r"\[\(3, 4\), \(3, 5\), \(3, 4\)\]"):
        semi_supervised_losses(logits, torch.zeros(3).long(), torch.zeros(3, 5), logits)
    with pytest.raises(ValueError, match=r"got \(3, 4, 1\)"):
        real_logit(torch.zeros(3, 4, 1))
