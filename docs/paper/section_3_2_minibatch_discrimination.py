r"""
Section 3.2: minibatch discrimination
=====================================

**Claim.** If the discriminator processes each example independently, no gradient makes the generator's examples differ:
when all of them are alike, all their gradients are alike. If the discriminator also has features that measure how close
an example is to the others of its minibatch, it can detect a collapsed generator.

**Formula.** With :math:`M_i = f(x_i) T`, a learned tensor :math:`T` of A x B x C, and rows :math:`M_{i,b}`,

.. math:: c_b(x_i, x_j) = \exp(-\| M_{i,b} - M_{j,b} \|_1), \qquad o(x_i)_b = \sum_{j=1}^{n} c_b(x_i, x_j).

The input of the next layer is the concatenation of :math:`f(x_i)` and :math:`o(x_i)`.

**In this library.** :class:`improved_gan.techniques.MinibatchDiscrimination`, and
:func:`improved_gan.techniques.minibatch_similarity` computes the similarities alone,
in O(N B C) memory instead of O(N² B C).
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

from improved_gan.techniques import minibatch_similarity
from improved_gan.theory import train_on_ring

m = torch.randn(6, 4, 3)  # N = 6 examples, B = 4 kernels of C = 3
rows = m.numpy()
by_hand = np.exp(-np.abs(rows[:, None] - rows[None]).sum(-1)).sum(1)
ours = minibatch_similarity(m).numpy()
assert np.allclose(ours, by_hand)
print(f"largest difference from the formula: {np.abs(ours - by_hand).max():.1e}")

# %%
# Eight Gaussians on a ring. Small GANs of four seeds, with and without minibatch discrimination, all else equal.
seeds = range(4)
without = train_on_ring(seeds, minibatch_discrimination=False, num_evaluations=5)
with_it = train_on_ring(seeds, minibatch_discrimination=True, num_evaluations=5)

figure, axes = plt.subplots(2, 4, figsize=(10, 5.4), layout="constrained", sharex=True, sharey=True)
for row, run, name in ((axes[0], without, "without"), (axes[1], with_it, "with")):
    for seed, one in enumerate(row):
        one.scatter(*run.points[seed].T, s=1)
        one.set_title(f"seed {seed}: {run.modes_covered[-1, seed]} of 8")
    row[0].set_ylabel(f"{name} minibatch\ndiscrimination")
# With one seed of minibatch discrimination the examples lie on a ring that is too small: diverse, but not real.
print("modes covered without:", without.modes_covered[-1], " with:", with_it.modes_covered[-1])

# %%
# **The released code** leaves out the pair of an example with itself, normalizes the columns of T, learns their
# scale, and initializes T from data (``variant="released"``). The authors' ImageNet code takes means over the real and
# over the generated half of the batch, as two feature vectors
# (:func:`improved_gan.techniques.real_and_generated_similarity`).
#
# **What we measured.** The modes in the figure, on the machine that built this page. In the paper, table 3, the
# Inception score of CIFAR-10 samples falls from 8.09 to 3.87 without minibatch features; :doc:`the results </results>`
# list which parts of table 3 we have run, and at which size.
