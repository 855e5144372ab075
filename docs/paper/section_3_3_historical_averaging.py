r"""
Section 3.3: historical averaging
=================================

**Claim.** If each player's cost has a penalty on the distance of its parameters from their historical average, gradient
descent converges to the equilibrium of a low-dimensional game that it otherwise orbits.

**Formula.** The term, with :math:`\theta[i]` the parameters at step :math:`i`, is

.. math:: \| \theta - \frac{1}{t} \sum_{i=1}^{t} \theta[i] \|^2.

The paper's game has the value :math:`(f(x) - 1)(y - 1)`, with :math:`f(x) = x` for :math:`x < 0` and :math:`x^2`
otherwise; one player controls :math:`x`, the other :math:`y`. Its equilibrium is (1, 1).

**In this library.** :class:`improved_gan.techniques.HistoricalAverage` keeps the running mean of a network's
parameters and returns the penalty; its memory does not grow with t.
"""

import matplotlib.pyplot as plt
import torch
from torch import nn

from improved_gan.techniques import HistoricalAverage
from improved_gan.theory import distance_to_equilibrium, trajectory

network = nn.Linear(1, 1, bias=False)
average = HistoricalAverage(network.parameters())
past = []
for value in (1.0, 2.0, 6.0):
    with torch.no_grad():
        network.weight.fill_(value)
    average.update()
    past.append(value)
by_hand = (value - sum(past) / len(past)) ** 2
print(f"{average.penalty().item():.4f} (this library), {by_hand:.4f} (the formula)")

# %%
# The game, without the term (weight 0) and with it (weight 0.1).
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for weight in (0.0, 0.1):
    path = trajectory(weight=weight)
    left.plot(*path[:3000].T, linewidth=1, label=f"weight {weight}")
    right.loglog(distance_to_equilibrium(path), label=f"weight {weight}")
left.plot(1, 1, "k*", markersize=10)
left.set(xlabel="x", ylabel="y", title="the first 3,000 steps")
right.set(xlabel="step", ylabel="distance to (1, 1)", title="distance to the equilibrium")
left.legend()

# %%
# Near the equilibrium the distance falls like :math:`t^{-1/(1 + w^2)}`
# (:func:`improved_gan.theory.decay_exponent`): slowly, because the mean over the whole past moves slowly.
#
# **The released code** has no historical averaging. The paper uses it in one column of table 3, in place of labels.
#
# **What we measured.** The figure above. ``improved-gan theory game`` also plots from which starting points descent
# converges, for a range of weights.
