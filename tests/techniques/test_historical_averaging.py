import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from improved_gan.techniques import HistoricalAverage


def walk(parameters: list[nn.Parameter], history: HistoricalAverage, steps: int) -> list[np.ndarray]:
    """Random steps; the values after each, flat."""
    past = []
    for _ in range(steps):
        with torch.no_grad():
            for parameter in parameters:
                parameter.add_(torch.randn_like(parameter))
        history.update()
        past.append(np.concatenate([p.detach().double().numpy().ravel() for p in parameters]))
    return past


@pytest.mark.parametrize("steps", [1, 2, 30])
def test_penalty_and_gradient_agree_with_numpy(steps: int) -> None:
    parameters = [nn.Parameter(torch.randn(3, 2).double()), nn.Parameter(torch.randn(4).double())]
    history = HistoricalAverage(parameters)
    past = walk(parameters, history, steps)
    with torch.no_grad():
        parameters[0].mul_(1.5)
    now = np.concatenate([p.detach().numpy().ravel() for p in parameters])
    difference = now - np.mean(past, 0)
    penalty = history.penalty()
    assert penalty.shape == ()
    assert penalty.item() == pytest.approx((difference**2).sum(), rel=1e-12)
    penalty.backward()  # the mean is constant for the gradient
    np.testing.assert_allclose(np.concatenate([p.grad.numpy().ravel() for p in parameters]), 2 * difference)


def test_a_million_steps() -> None:
    player = nn.Parameter(torch.zeros(1))
    history = HistoricalAverage([player])
    history.num_updates.fill_(10**6 - 1)
    history.mean_0.fill_(1.0)
    with torch.no_grad():
        player.fill_(1.001)
    for _ in range(1000):
        history.update()
    # In float32 each update of 1e-9 would vanish beside 1.
    value, n = np.float32(1.001).astype(np.float64), 10**6 - 1
    expected = (n * 1.0 + 1000 * value) / (n + 1000)
    assert history.means()[0].item() == pytest.approx(expected, rel=1e-14)


def test_online_mean_is_exact_from_the_first_step_to_a_million() -> None:
    history = HistoricalAverage([player := nn.Parameter(torch.zeros(1, dtype=torch.float64))])
    values = np.random.default_rng(0).normal(size=3_000) + 5
    for value in values:
        player.data.fill_(value)
        history.update()
    assert history.means()[0].item() == pytest.approx(math.fsum(values) / len(values), rel=1e-15)


def test_no_penalty_before_the_first_update() -> None:
    player = nn.Parameter(torch.ones(2))
    history = HistoricalAverage([player])
    with torch.no_grad():
        player.add_(1)
    history.penalty().backward()
    assert history.penalty() == 0
    assert player.grad.eq(0).all()


def test_both_networks_in_one_step() -> None:
    """The paper's toy game, (f(x) - 1)(y - 1), f(x) = x for x < 0 and x^2 otherwise: the penalty stops the orbit."""

    def distance(weight: float) -> float:
        x, y = nn.Parameter(torch.tensor(0.5)), nn.Parameter(torch.tensor(2.5))
        players = [(x, HistoricalAverage([x]), 1.0), (y, HistoricalAverage([y]), -1.0)]
        for _ in range(500):
            value = (torch.where(x < 0, x, x**2) - 1) * (y - 1)
            gradients = [
                torch.autograd.grad(sign * value + weight * history.penalty(), player, retain_graph=True)[0]
                for player, history, sign in players
            ]
            with torch.no_grad():
                for (player, history, _), gradient in zip(players, gradients, strict=True):
                    player -= 0.05 * gradient
                    history.update()
        return math.hypot(x.item() - 1, y.item() - 1)

    assert distance(0.5) < 0.2 < 0.8 < distance(0.0)


def test_state_survives_checkpoint_copy_and_moves() -> None:
    network = nn.Linear(3, 2)
    history = HistoricalAverage(network.parameters())
    walk(list(network.parameters()), history, 3)
    again = HistoricalAverage(network.parameters())
    again.load_state_dict(history.state_dict())
    assert again.penalty() == history.penalty() > 0
    both = copy.deepcopy(nn.ModuleDict({"network": network, "history": history}))
    with torch.no_grad():
        network.weight.zero_()
    assert both["history"].penalty() != history.penalty()  # the copy averages the copied network
    alone = copy.deepcopy(history)  # and a copy by itself the same network
    assert torch.equal(*(torch.autograd.grad(one.penalty(), network.weight)[0] for one in (alone, history)))
    moved = nn.ModuleDict({"network": network, "history": history}).half()
    assert moved["history"].mean_0.dtype == torch.float32
    assert moved["history"].penalty().dtype == torch.float32
    assert list(history.parameters()) == []


# PyTorch's own tracing of any autograd function warns of itself.
@pytest.mark.filterwarnings("ignore:.*Function'> should not be instantiated:DeprecationWarning")
def test_the_penalty_compiles_in_one_graph() -> None:
    network = nn.Linear(3, 2)
    history = HistoricalAverage(network.parameters())
    walk(list(network.parameters()), history, 3)
    compiled = torch.compile(history.penalty, fullgraph=True, backend="aot_eager")
    both = [torch.autograd.grad(penalty(), network.weight)[0] for penalty in (compiled, history.penalty)]
    torch.testing.assert_close(*both)


def test_no_parameters() -> None:
    with pytest.raises(ValueError, match="no parameters to average"):
        HistoricalAverage([])


def test_swapped_arguments_are_refused_with_a_remedy() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    with pytest.raises(TypeError, match=r"HistoricalAverage\(network\.parameters\(\)\); got Sequential.*WeightEMA"):
        HistoricalAverage(network)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"got one of \(2, 2\): put it in a list"):
        HistoricalAverage(network[0].weight)
    with pytest.raises(TypeError, match="got tuple among them"):
        HistoricalAverage(network.named_parameters())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="got str among them"):
        HistoricalAverage(network.state_dict())  # type: ignore[arg-type]
    assert len(HistoricalAverage(nn.ParameterList(network.parameters())).means()) == 4
