import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from improved_gan import distributed
from improved_gan.label_spreading.virtual_adversarial import (
    conditional_entropy,
    marginal_entropy,
    prediction_kl,
    virtual_adversarial_direction,
    virtual_adversarial_loss,
)
from tests.ranks import TwoRanks


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 20), nn.Tanh(), nn.Linear(20, 4)).double()


def divergence(logits: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    return nn.functional.kl_div(others.log_softmax(1), logits.softmax(1), reduction="none").sum(1)


def test_of_a_linear_classifier_the_direction_is_known() -> None:
    """Near an image the divergence is r^T W^T (diag p - p p^T) W r / 2: with two classes, one direction matters."""
    weight = torch.tensor([[1.0, 2.0, -2.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    images = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = virtual_adversarial_direction(lambda x: x @ weight.T, images, images @ weight.T, probe=1e-3)
    torch.testing.assert_close(found.abs(), (weight[0].abs() / 3).expand(5, 3), atol=1e-6, rtol=0)


def test_one_iteration_beats_almost_every_random_direction() -> None:
    torch.manual_seed(1)
    classify, images = network(), torch.randn(20, 6, dtype=torch.float64)
    logits = classify(images).detach()
    found = virtual_adversarial_direction(classify, images, logits, probe=1e-2)
    worst = divergence(logits, classify(images + 0.1 * found))
    beaten = torch.zeros(20)
    for _ in range(200):
        random = nn.functional.normalize(torch.randn_like(images), dim=1)
        beaten += worst > divergence(logits, classify(images + 0.1 * random))
    assert beaten.median() > 160


def test_the_loss_is_the_divergence_at_the_step_and_its_gradient_skips_the_target() -> None:
    classify, images = network(), torch.randn(8, 6, dtype=torch.float64)
    logits = classify(images).detach()
    direction = virtual_adversarial_direction(classify, images, logits)
    radius = torch.linspace(0, 2, 8, dtype=torch.float64)
    loss = virtual_adversarial_loss(classify, images, radius=radius, direction=direction)
    expected = divergence(logits, classify(images + radius[:, None] * direction)).mean()
    torch.testing.assert_close(loss.double(), expected, atol=1e-6, rtol=1e-5)
    ours = torch.autograd.grad(loss, list(classify.parameters()))
    theirs = torch.autograd.grad(expected, list(classify.parameters()))
    torch.testing.assert_close(list(ours), list(theirs), atol=1e-6, rtol=1e-4)


def test_images_of_any_shape_and_parameters_without_gradients() -> None:
    classify = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    loss = virtual_adversarial_loss(classify, torch.rand(5, 3, 2, 2), radius=1.5)
    assert all(parameter.grad is None for parameter in classify.parameters())
    loss.backward()
    assert all(parameter.grad is not None for parameter in classify.parameters())


def test_nothing_changes_at_radius_zero_or_where_the_network_is_constant() -> None:
    classify, images = network(), torch.randn(4, 6, dtype=torch.float64)
    assert virtual_adversarial_loss(classify, images, radius=0.0).abs() < 1e-12
    flat = virtual_adversarial_loss(lambda x: 0 * x[:, :2], images, radius=1.0)
    assert flat == 0


@pytest.mark.parametrize("radius", [-1.0, torch.ones(3), torch.ones(4, 1)])
def test_a_bad_radius(radius: float | torch.Tensor) -> None:
    with pytest.raises(ValueError, match="radius"):
        virtual_adversarial_loss(lambda x: x, torch.randn(4, 2), radius=radius)


def test_conditional_entropy_of_known_distributions() -> None:
    probabilities = torch.tensor([[0.5, 0.25, 0.25], [1 - 2e-9, 1e-9, 1e-9]])
    expected = (0.5 * math.log(2) + 0.5 * math.log(4) + 0.0) / 2
    assert conditional_entropy(probabilities.log()).item() == pytest.approx(expected, abs=1e-6)


def test_marginal_entropy_is_that_of_the_mean_prediction_and_largest_where_all_classes_are_used() -> None:
    probabilities = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]])
    expected = torch.distributions.Categorical(torch.tensor([0.4, 0.2, 0.4])).entropy()
    torch.testing.assert_close(marginal_entropy(probabilities.log()), expected)
    one_class = torch.tensor([[0.0, -torch.inf, -torch.inf]] * 2)
    assert marginal_entropy(one_class) == 0


def test_prediction_kl_is_the_mean_divergence_and_its_first_argument_a_constant() -> None:
    torch.manual_seed(0)
    logits, others = (torch.randn(6, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    loss = prediction_kl(logits, others)
    expected = F.kl_div(others.log_softmax(1), logits.softmax(1), reduction="batchmean")
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    assert logits.grad is None
    assert others.grad is not None
    expected_gradient = (others.softmax(1) - logits.softmax(1)).detach() / 6
    torch.testing.assert_close(others.grad, expected_gradient, atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_directions_in_half_precision(dtype: torch.dtype) -> None:
    """Of length 1 also where squares would overflow (300^2 > 65,504), and 0 where nothing changes anything."""
    weight = torch.zeros(2, 500, dtype=dtype)
    weight[0], weight[1] = 0.02, -0.02
    images = torch.zeros(3, 500, dtype=dtype)
    found = virtual_adversarial_direction(lambda x: x @ weight.T, images, images @ weight.T, probe=300.0)
    assert found.dtype == dtype
    assert found.float().norm(dim=1).sub(1).abs().max() < 0.01
    nothing = virtual_adversarial_direction(lambda x: x @ (0 * weight.T), images, images @ weight.T)
    assert nothing.eq(0).all()


def entropy_of_rank() -> tuple[torch.Tensor, torch.Tensor]:
    """Of uneven parts, and this rank's gradient."""
    rows = torch.randn(6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    own = slice(0, 6) if distributed.world_size() == 1 else (slice(0, 2), slice(2, 6))[distributed.rank()]
    logits = rows[own].requires_grad_()
    value = marginal_entropy(logits)
    value.backward()
    return value.detach(), logits.grad


def test_the_mean_prediction_is_that_of_all_ranks(two_ranks: TwoRanks) -> None:
    value, gradient = entropy_of_rank()
    halves = two_ranks(entropy_of_rank)
    for ours, _ in halves:
        torch.testing.assert_close(ours, value)
    torch.testing.assert_close(torch.cat([half for _, half in halves]) / 2, gradient)
