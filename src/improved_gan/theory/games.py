"""The paper's toy game, with and without historical averaging (paper, section 3.3).

Two players share the value

    V(x, y) = (f(x) - 1)(y - 1),    f(x) = x for x < 0 and x^2 otherwise;

one minimizes V over x, the other maximizes it over y. The equilibrium is (1, 1). Gradient descent orbits around it;
with historical averaging each player's cost has the additional term

    w || theta - (1/t) sum_{i<=t} theta[i] ||^2,    theta[i] the player's parameter at step i (no gradient through it),

and both converge to it. Near the equilibrium the game is linear, and two results follow: the weights w for which a step
of descent reduces the distance (`stable_weights`), and the rate of convergence, t^(-1/(1 + w^2)) (`decay_exponent`).
f'(0) is taken from the right, so a start with x = 0 stays there.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "EQUILIBRIUM",
    "convergence_map",
    "decay_exponent",
    "distance_to_equilibrium",
    "game_value",
    "stable_weights",
    "trajectory",
]

Floats = NDArray[np.float64]

EQUILIBRIUM = (1.0, 1.0)


def game_value(x: ArrayLike, y: ArrayLike) -> Floats:
    """V(x, y), the amount that the player of x pays to the player of y.

    Args:
        x: (...) parameter of the player who lowers V.
        y: (...) parameter of the player who raises V, broadcast against x.

    Returns:
        (...) the value.

    Source: paper, section 3.3.

    >>> float(game_value(3.0, 2.0))
    8.0
    """
    return np.asarray((_payoff(np.asarray(x, np.float64)) - 1) * (np.asarray(y, np.float64) - 1))


def trajectory(
    start: tuple[float, float] = (0.5, 2.5),
    *,
    weight: float = 0.0,
    alternating: bool = False,
    step_size: float = 0.01,
    num_steps: int = 20_000,
) -> Floats:
    """The trajectory of both players under gradient descent.

    Args:
        start: (x, y) at step 0.
        weight: w of historical averaging; 0 is plain gradient descent.
        alternating: the gradient for y uses the updated x; otherwise both are updated simultaneously.
        step_size: of both players.
        num_steps: T.

    Returns:
        (T+1, 2) x and y at each step, the start included; infinite or nan where the game diverged.

    Raises:
        ValueError: a negative weight, a step size that is not positive, or no steps.

    Source: paper, section 3.3.

    >>> path = trajectory(weight=0.1)
    >>> print(path[-1].round(2))
    [1. 1.]
    """
    steps = _play(start[0], start[1], weight, alternating=alternating, step_size=step_size, num_steps=num_steps)
    return np.array([(float(x), float(y)) for x, y in steps])


def distance_to_equilibrium(points: ArrayLike) -> Floats:
    """(..., 2) points x, y to (...) Euclidean distances from (1, 1); infinite where the game diverged.

    >>> print(distance_to_equilibrium([[1.0, 1.0], [4.0, 5.0]]))
    [0. 5.]
    """
    points = np.asarray(points, np.float64)
    if points.ndim == 0 or points.shape[-1] != 2:
        raise ValueError(f"points must have shape (..., 2), x and y; got {points.shape}")
    return _distance(points[..., 0], points[..., 1])


def convergence_map(
    x: ArrayLike,
    y: ArrayLike,
    weight: ArrayLike,
    *,
    alternating: bool = False,
    step_size: float = 0.01,
    num_steps: int = 20_000,
    window: int = 1000,
) -> Floats:
    """The final distance of many games to the equilibrium, computed together.

    Args:
        x: (...) starting values of x.
        y: (...) starting values of y, broadcast against x.
        weight: (...) weights of historical averaging, broadcast against both.
        alternating: as in `trajectory`, like the next two.
        step_size: of both players.
        num_steps: T.
        window: number of last steps that count: about three orbits with the default step size.

    Returns:
        (...) the largest distance to (1, 1) within the window: small only where the game has converged.

    Raises:
        ValueError: as for `trajectory`, or a window longer than the game.

    >>> distances = convergence_map(0.5, 2.5, [0.0, 0.1])
    >>> print(distances < 0.05)
    [False  True]
    """
    if not 1 <= window <= num_steps:
        raise ValueError(f"window must be from 1 to num_steps = {num_steps}; got {window}")
    farthest = np.zeros(np.broadcast_shapes(np.shape(x), np.shape(y), np.shape(weight)))
    games = _play(x, y, weight, alternating=alternating, step_size=step_size, num_steps=num_steps)
    for step, (x_now, y_now) in enumerate(games):
        if step > num_steps - window:
            np.maximum(farthest, _distance(x_now, y_now), out=farthest)
    return farthest


def stable_weights(step_size: float) -> tuple[float, float]:
    """(lowest, highest) weight with which simultaneous descent is locally stable at the equilibrium.

    With a fixed mean a step multiplies the distance by |1 + eta (2i - 2w)|, below 1 if w > eta (1 + w^2). Alternating
    descent multiplies it by |1 - 2 eta w|: it is stable for any weight from 0 to 1/eta.

    Raises:
        ValueError: eta is not between 0 and 1/2; above it no weight is stable.

    >>> lowest, highest = stable_weights(0.01)
    >>> print(f"{lowest:.4f} to {highest:.1f}")
    0.0100 to 100.0
    """
    if not 0 < step_size < 0.5:
        raise ValueError(f"step_size must be between 0 and 1/2; got {step_size}")
    root = float(np.sqrt(1 - 4 * step_size**2))
    return 2 * step_size / (1 + root), (1 + root) / (2 * step_size)


def decay_exponent(weight: float) -> float:
    """The exponent a of distance ~ t^-a, after the fast oscillation has decayed.

    For z = (x - 1) + i(y - 1) and its mean m, the fast dynamics is stationary where 2i z = 2w (z - m); with
    dm/dt = (z - m)/t it follows that |m| ~ t^(-1/(1 + w^2)) and |z| = |m| w / sqrt(1 + w^2): a large w is slow.

    >>> decay_exponent(1.0)
    0.5
    """
    return 1 / (1 + weight**2)


def _play(
    start_x: ArrayLike, start_y: ArrayLike, weights: ArrayLike, *, alternating: bool, step_size: float, num_steps: int
) -> Iterator[tuple[Floats, Floats]]:
    """The state of all games at each step, the start included; the penalty's gradient is 2w (theta - mean)."""
    shape = np.broadcast_shapes(np.shape(start_x), np.shape(start_y), np.shape(weights))
    x, y, weight = (np.broadcast_to(np.asarray(v, np.float64), shape).copy() for v in (start_x, start_y, weights))
    if not (np.all(weight >= 0) and step_size > 0 and num_steps >= 1):
        raise ValueError(
            f"weight >= 0, step_size > 0 and num_steps >= 1 are required; got {weight}, {step_size} and {num_steps}"
        )
    mean_x, mean_y = x.copy(), y.copy()
    yield x, y
    with np.errstate(over="ignore", invalid="ignore"):
        for count in range(1, num_steps + 1):
            slope = np.where(x < 0, 1.0, 2 * x)
            next_x = x - step_size * (slope * (y - 1) + 2 * weight * (x - mean_x))
            current_x = next_x if alternating else x
            y = y + step_size * (_payoff(current_x) - 1 - 2 * weight * (y - mean_y))
            x = next_x
            # the uniform mean of theta[1..t], the current parameter included
            mean_x = mean_x + (x - mean_x) / (count + 1)
            mean_y = mean_y + (y - mean_y) / (count + 1)
            yield x, y


def _payoff(x: Floats) -> Floats:
    """f(x)."""
    return np.where(x < 0, x, x * x)


def _distance(x: Floats, y: Floats) -> Floats:
    with np.errstate(over="ignore", invalid="ignore"):
        distance = np.hypot(x - EQUILIBRIUM[0], y - EQUILIBRIUM[1])
    return np.where(np.isnan(distance), np.inf, distance)
