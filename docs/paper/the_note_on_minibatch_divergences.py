r"""
The note on divergences of minibatches
======================================

Ferenc Huszár's note on the paper (2016) asks what a GAN minimizes when its discriminator classifies whole minibatches
of :math:`N` independent examples, that is, compares :math:`P^N` with :math:`Q^N`.

**Claim.** The Kullback-Leibler divergence is multiplied by N, so its minimum does not change. The Jensen-Shannon
divergence saturates, first where :math:`Q` is farthest from :math:`P`, so that a :math:`Q` of low entropy is penalized
relatively more.

**Formula.**

.. math:: KL[P^N \| Q^N] = N \, KL[P \| Q], \qquad JS[P^N \| Q^N] \le \min(1, N \, JS[P \| Q]) \text{ bits}

**In this library.** :func:`improved_gan.theory.bernoulli_minibatch_divergence` computes both exactly, from the
distribution of the number of ones.
"""

import itertools

import matplotlib.pyplot as plt
import numpy as np

from improved_gan.theory import bernoulli_minibatch_divergence

p, q, n = 0.2, 0.6, 3
by_hand = 0.0
for draws in itertools.product((0, 1), repeat=n):  # all 2^N minibatches
    ones = sum(draws)
    under_p, under_q = p**ones * (1 - p) ** (n - ones), q**ones * (1 - q) ** (n - ones)
    middle = (under_p + under_q) / 2
    by_hand += (under_p * np.log2(under_p / middle) + under_q * np.log2(under_q / middle)) / 2
ours = float(bernoulli_minibatch_divergence(p, q, n))
assert np.isclose(ours, by_hand)
print(f"{ours:.6f} bits (this library), {by_hand:.6f} (the sum over all minibatches)")

# %%
# The note's figure: P is a Bernoulli distribution with probability 0.2, Q one with probability q.
q = np.linspace(0, 1, 201)
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for n in (1, 2, 3, 8):
    divergence = bernoulli_minibatch_divergence(0.2, q, n)
    left.plot(q, divergence, label=f"N = {n}")
    right.plot(q, divergence / n, label=f"N = {n}")
left.set(xlabel="q", ylabel="bits", title="JS of minibatches")
right.set(xlabel="q", ylabel="bits", title="JS of minibatches / N")
left.legend()

# %%
# **What we measured.** The curves are exact. ``improved-gan theory divergences`` draws them together with the
# Kullback-Leibler divergence, with Gaussians, and with the adversarial preference loss of the note.
