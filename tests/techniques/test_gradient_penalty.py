import numpy as np
import pytest
import torch
from torch import Tensor, nn

from improved_gan.techniques import MinibatchDiscrimination, gradient_penalty

WEIGHT = torch.randn(6, dtype=torch.float64)


def quadratic(points: Tensor) -> Tensor:
    """D(x) = 1/2 |x|^2 + w x, so that grad D = x + w."""
    flat = points.flatten(1)
    return 0.5 * flat.square().sum(1) + flat @ WEIGHT


def test_agrees_with_the_closed_form() -> None:
    points = torch.randn(5, 2, 3, dtype=torch.float64)
    expected = 0.5 * 3.0 * ((points.flatten(1) + WEIGHT).numpy() ** 2).sum(1).mean()
    np.testing.assert_allclose(gradient_penalty(quadratic, points, gamma=3.0).item(), expected, rtol=1e-12)
    both = gradient_penalty(lambda x: [quadratic(x), 2 * quadratic(x)], points, gamma=3.0)
    np.testing.assert_allclose(both.item(), expected * (1 + 4) / 2, rtol=1e-12)
    both = gradient_penalty(lambda x: [quadratic(x), 2 * quadratic(x)], points, gamma=3.0, reduction="sum")
    np.testing.assert_allclose(both.item(), expected * 5, rtol=1e-12)


def test_the_lazy_form_has_the_same_mean_over_steps() -> None:
    points, calls = torch.randn(5, 2, 3, dtype=torch.float64), []
    counted = lambda x: (calls.append(1), quadratic(x))[1]  # noqa: E731
    lazy = [gradient_penalty(counted, points, step=step, every=4) for step in range(8)]
    assert len(calls) == 2
    torch.testing.assert_close(torch.stack(lazy).mean(), gradient_penalty(quadratic, points))
    assert [bool(one > 0) for one in lazy] == [True, False, False, False] * 2


def test_the_gradient_reaches_the_parameters_and_not_the_inputs() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1), nn.Flatten(0))
    points = torch.randn(5, 3)
    with torch.no_grad():
        value = gradient_penalty(network, points)  # also where gradients are off: for a report
    gradient_penalty(network, points).backward()
    assert value > 0
    assert network[0].weight.grad.abs().sum() > 0
    assert points.grad is None
    assert not points.requires_grad


def test_a_discriminator_that_compares_rows_can_be_penalized() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(MinibatchDiscrimination(3, 2, 2), nn.Linear(5, 1), nn.Flatten(0)).double()
    points = torch.randn(4, 3, dtype=torch.float64)
    found = gradient_penalty(network, points, gamma=2.0)
    moved = points.clone()
    squares = 0.0
    for index in np.ndindex(4, 3):  # central differences of the sum of the logits
        moved[index] += 1e-6
        upper = network(moved).sum().item()
        moved[index] -= 2e-6
        squares += ((upper - network(moved).sum().item()) / 2e-6) ** 2
        moved[index] += 1e-6
    assert found.item() == pytest.approx(squares / 4, rel=1e-6)


def test_half_precision_squares_in_float32() -> None:
    points = torch.ones(4, 100, dtype=torch.float16)
    assert gradient_penalty(lambda x: (30 * x).sum(1), points, gamma=2.0).item() == 90_000  # beyond float16


def test_bad_use() -> None:
    points = torch.zeros(2, 1, 4, 4)
    with pytest.raises(ValueError, match=r"\(2,\); got \(32,\)\. Take the mean over patches"):
        gradient_penalty(lambda x: x.flatten(), points)
    with pytest.raises(ValueError, match=r"logits must have shape \(N,\).*got \(2, 1\)"):
        gradient_penalty(lambda x: x.flatten(1)[:, :1], points)
    with pytest.raises(ValueError, match=r"got \(0, 3\) of torch.float32"):
        gradient_penalty(lambda x: x.sum(1), torch.zeros(0, 3))
    with pytest.raises(ValueError, match=r"got \(2, 3\) of torch.uint8"):
        gradient_penalty(lambda x: x.sum(1), torch.zeros(2, 3, dtype=torch.uint8))
    for options in ({"gamma": -1.0}, {"every": 0}, {"step": -1}):
        with pytest.raises(ValueError, match="every at least 1; got"):
            gradient_penalty(lambda x: x.sum(1), torch.zeros(2, 3), **options)
