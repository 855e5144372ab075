import csv

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from improved_gan.techniques.historical_averaging import HistoricalAverage
from improved_gan.theory import games
from improved_gan.theory.games import (
    convergence_map,
    decay_exponent,
    distance_to_equilibrium,
    game_value,
    stable_weights,
    trajectory,
)


def played_by_hand(start, weight, alternating, step_size, num_steps):
    """Descent on the costs as the paper writes them: gradients by central differences, the mean from the whole past."""

    def value(x, y):
        return ((x if x < 0 else x**2) - 1) * (y - 1)

    past = [start]
    h = 1e-6
    for _ in range(num_steps):
        x, y = past[-1]
        mean_x, mean_y = np.mean(past, axis=0)

        def cost_x(u, y=y, mean=mean_x):
            return value(u, y) + weight * (u - mean) ** 2

        new_x = x - step_size * (cost_x(x + h) - cost_x(x - h)) / (2 * h)
        seen = new_x if alternating else x

        def cost_y(v, x=seen, mean=mean_y):
            return -value(x, v) + weight * (v - mean) ** 2

        past.append((new_x, y - step_size * (cost_y(y + h) - cost_y(y - h)) / (2 * h)))
    return np.array(past)


@pytest.mark.parametrize("alternating", [False, True])
@pytest.mark.parametrize("weight", [0.0, 0.1, 2.0])
@pytest.mark.parametrize("start", [(0.5, 2.5), (-1.0, 0.3)])
def test_follows_the_gradient_of_the_costs(start: tuple[float, float], weight: float, alternating: bool) -> None:
    path = trajectory(start, weight=weight, alternating=alternating, step_size=0.03, num_steps=150)
    assert path.shape == (151, 2)
    np.testing.assert_allclose(path, played_by_hand(start, weight, alternating, 0.03, 150), atol=1e-6)


def test_agrees_with_historical_average_under_sgd() -> None:
    players = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (0.5, 2.5)]
    parameter_averages = [HistoricalAverage([player]) for player in players]
    optimizer = torch.optim.SGD(players, lr=0.02)
    for _ in range(200):
        for history in parameter_averages:
            history.update()
        x, y = players
        value = (torch.where(x < 0, x, x * x) - 1) * (y - 1)
        costs = value + 0.1 * parameter_averages[0].penalty(), -value + 0.1 * parameter_averages[1].penalty()
        for player, cost in zip(players, costs, strict=True):
            (player.grad,) = torch.autograd.grad(cost, player, retain_graph=True)
        optimizer.step()
    ours = trajectory((0.5, 2.5), weight=0.1, step_size=0.02, num_steps=200)[-1]
    np.testing.assert_allclose(ours, [float(player.detach()) for player in players], rtol=1e-12)


def test_small_steps_follow_the_differential_equation() -> None:
    def flow(_, state):
        x, y = state
        return [-(1.0 if x < 0 else 2 * x) * (y - 1), (x if x < 0 else x * x) - 1]

    exact = solve_ivp(flow, (0, 5), (0.5, 2.5), rtol=1e-10, atol=1e-10).y[:, -1]
    np.testing.assert_allclose(trajectory(step_size=2e-4, num_steps=25_000)[-1], exact, atol=4e-3)


def test_historical_averaging_reaches_the_equilibrium_and_plain_descent_does_not() -> None:
    with_averaging = distance_to_equilibrium(trajectory((0.5, 2.5), weight=0.1))
    assert with_averaging[-1] == pytest.approx(0.002, abs=5e-4)
    plain = distance_to_equilibrium(trajectory((0.5, 2.5)))
    assert plain[1:].min() > 0.9
    assert plain.max() > 10  # simultaneous descent diverges
    orbit = distance_to_equilibrium(trajectory((0.5, 2.5), alternating=True))
    assert 0.9 < orbit.min() < orbit.max() < 2.5  # alternating descent orbits


@pytest.mark.parametrize("weight", [0.1, 0.3])
def test_distance_follows_the_power_law(weight: float) -> None:
    distance = distance_to_equilibrium(trajectory(weight=weight, num_steps=40_000))
    late = np.arange(len(distance)) >= 20_000
    slope = np.polyfit(np.log(np.flatnonzero(late)), np.log(distance[late]), 1)[0]
    assert -slope == pytest.approx(decay_exponent(weight), rel=0.03)


@settings(deadline=None)
@given(step_size=st.floats(1e-4, 0.49), weight=st.floats(1e-4, 1e4))
def test_stable_weights_reduce_the_distance_in_a_step(step_size: float, weight: float) -> None:
    lowest, highest = stable_weights(step_size)
    factor = abs(1 + step_size * (2j - 2 * weight))
    if lowest * 1.001 < weight < highest * 0.999:
        assert factor < 1
    elif not lowest * 0.999 < weight < highest * 1.001:
        assert factor > 1


def test_simultaneous_descent_converges_only_above_the_lowest_stable_weight() -> None:
    lowest, _ = stable_weights(0.05)
    weights = np.array([0.8, 1.25]) * lowest
    near = convergence_map(1.1, 1.1, weights, step_size=0.05, num_steps=5000)
    assert near[0] > 0.14 > near[1]
    assert convergence_map(1.1, 1.1, weights[0], step_size=0.05, num_steps=5000, alternating=True) < 0.05


def test_map_is_that_of_single_games() -> None:
    x, y, weights = np.array([-0.5, 0.5, 2.0]), np.array([[0.0], [2.5]]), np.array([0.05, 0.3])[:, None, None]
    distances = convergence_map(x, y, weights, num_steps=300, window=7)
    assert distances.shape == (2, 2, 3)
    for w, j, i in np.ndindex(2, 2, 3):
        path = trajectory((x[i], y[j, 0]), weight=weights[w, 0, 0], num_steps=300)
        assert distances[w, j, i] == distance_to_equilibrium(path)[-7:].max()


def test_fixed_points_stay_and_divergence_is_infinite() -> None:
    assert np.all(trajectory((1.0, 1.0), weight=0.5, num_steps=10) == 1)
    assert np.all(trajectory((0.0, 2.0), num_steps=10)[:, 0] == 0)
    assert np.isinf(convergence_map(50.0, -50.0, 0.0, step_size=0.4, num_steps=100, window=10))


def test_value() -> None:
    np.testing.assert_array_equal(game_value([-2.0, 0.0, 2.0], 3.0), [-6.0, -2.0, 6.0])


def test_bad_use() -> None:
    with pytest.raises(ValueError, match=r"weight >= 0.*got -1"):
        trajectory(weight=-1.0)
    with pytest.raises(ValueError, match=r"num_steps >= 1 are required; got 0.0, 0.01 and 0"):
        trajectory(num_steps=0)
    with pytest.raises(ValueError, match="window must be from 1 to num_steps = 5; got 6"):
        convergence_map(0.5, 0.5, 0.1, num_steps=5, window=6)
    with pytest.raises(ValueError, match=r"between 0 and 1/2; got 0.5"):
        stable_weights(0.5)
    with pytest.raises(ValueError, match=r"shape \(..., 2\), x and y; got \(3,\)"):
        distance_to_equilibrium([1.0, 2.0, 3.0])


@pytest.mark.slow
def test_files_and_text(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(games, "_NUM_STARTS", 10)
    monkeypatch.setattr(games, "_MAP_SIZE", 4)
    files, words = games.game_demo(tmp_path, 0)
    assert [file.name for file in files] == [
        "game.png", "game_map.png", "game.csv", "game_map.csv", "game_shares.csv",
    ]  # fmt: skip
    assert all(file.stat().st_size < 200_000 for file in files)
    assert "simultaneous, averaging 0.1      ends at distance 0.0018" in words
    rows = list(csv.DictReader((tmp_path / "game.csv").read_text().splitlines()))
    last = [float(rows[-1][column]) for column in ("x", "y")]
    np.testing.assert_allclose(last, trajectory(weight=0.1, alternating=True)[-1], rtol=1e-9)
    assert len(list(csv.DictReader((tmp_path / "game_map.csv").read_text().splitlines()))) == 6 * 4 * 4
    shares = list(csv.DictReader((tmp_path / "game_shares.csv").read_text().splitlines()))
    assert float(shares[0]["simultaneous"]) == 0
    assert max(float(row["simultaneous"]) for row in shares) == 1
