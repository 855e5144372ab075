r"""
Sections 2 and 3: a game of two players
=======================================

**Claim.** A GAN is a game of two players, each of which has its own cost. To train it is to find a Nash equilibrium, a
point at which neither player can lower its own cost. Gradient descent minimizes one function, and on a game it may not
converge: if one player minimizes :math:`xy` over :math:`x` and the other :math:`-xy` over :math:`y`, gradient descent
follows a circle around the equilibrium :math:`x = y = 0` (section 3).

**Formula.** The discriminator and the generator minimize

.. math:: J^{(D)} = -E_x \log D(x) - E_z \log(1 - D(G(z))), \qquad J^{(G)} = -E_z \log D(G(z)).

**In this library.** :func:`improved_gan.techniques.adversarial_discriminator_loss` and
:func:`improved_gan.techniques.non_saturating_generator_loss` take logits, so that the logarithm of 0 is never computed.
"""

import math

import matplotlib.pyplot as plt
import numpy as np
import torch

from improved_gan.techniques import adversarial_discriminator_loss, non_saturating_generator_loss

logits = torch.zeros(8)  # D(x) = 1/2 for each image, as at the equilibrium
print(f"discriminator {adversarial_discriminator_loss(logits, logits):.4f} = 2 log 2 = {2 * math.log(2):.4f}")
print(f"generator     {non_saturating_generator_loss(logits):.4f} = log 2 = {math.log(2):.4f}")

# %%
# The paper's smallest example. Each step of simultaneous gradient descent multiplies the distance to the equilibrium by
# :math:`\sqrt{1 + \eta^2} > 1`: the orbit grows. Alternating descent stays on a closed curve. Neither converges.
step_size, steps = 0.1, 300
simultaneous, alternating = (np.empty((steps + 1, 2)) for _ in range(2))
simultaneous[0] = alternating[0] = 1.0, 1.0
for t in range(steps):
    x, y = simultaneous[t]
    simultaneous[t + 1] = x - step_size * y, y + step_size * x
    x, y = alternating[t]
    x = x - step_size * y
    alternating[t + 1] = x, y + step_size * x

radius = np.linalg.norm(simultaneous, axis=1)
assert np.allclose(radius, radius[0] * math.sqrt(1 + step_size**2) ** np.arange(steps + 1))

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for path, name in ((simultaneous, "simultaneous steps"), (alternating, "alternating steps")):
    left.plot(*path.T, linewidth=1, label=name)
    right.plot(np.linalg.norm(path, axis=1), label=name)
left.plot(0, 0, "k*", markersize=10)
left.set(xlabel="x", ylabel="y", title="parameters of the players", aspect="equal")
right.set(xlabel="step", ylabel="distance", title="distance to the equilibrium (0, 0)", ylim=(0, None))
left.legend()

# %%
# **The released code** has an adversarial loss for the generator only with minibatch discrimination, in the zero-sum
# form :math:`-\mathrm{softplus}(L)`, see :func:`improved_gan.techniques.minimax_generator_loss`; elsewhere the
# generator's loss is feature matching (:doc:`section 3.1 <section_3_1_feature_matching>`).
#
# **What we measured.** The figure above; the paper has no number here.
