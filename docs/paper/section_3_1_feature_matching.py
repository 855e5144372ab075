r"""
Section 3.1: feature matching
=============================

**Claim.** A generator that maximizes the output of the current discriminator may overtrain on it. With feature matching
the generator has another objective: its samples should have the same mean as real data in an intermediate layer
:math:`f` of the discriminator.

**Formula.**

.. math:: L_G = \| E_x f(x) - E_z f(G(z)) \|_2^2

**In this library.** :func:`improved_gan.techniques.feature_matching_loss`, of a batch of real and a batch of generated
examples. The lines below also compute the formula in NumPy.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

import dcgan
import dcgan_feature_matching
from improved_gan.techniques import feature_matching_loss

real, generated = torch.randn(100, 16), torch.randn(80, 16) + 0.5
loss = feature_matching_loss(real, generated)
by_hand = np.sum((real.numpy().mean(0) - generated.numpy().mean(0)) ** 2)
assert np.isclose(loss, by_hand)
print(f"{loss:.4f} (this library), {by_hand:.4f} (the formula)")

# %%
# Two DCGANs on 8 x 8 digits that differ in the generator's loss only. The curves show how far apart the mean features
# of real and of generated digits are, in the discriminator that is trained with the generator. With feature matching
# the generator minimizes this distance; the adversarial loss does not limit it.
images = dcgan.digits()[0][:1297]


def distances(gan: dcgan.Gan, steps: int = 300) -> list[float]:
    """Train, and measure the distance of the mean features after each step."""
    found = []
    features = gan.discriminator[:-2]
    for _, _ in zip(range(steps), dcgan.training(gan, images), strict=False):
        with torch.no_grad():
            difference = features(images[:500]).mean(0) - features(gan.generator(torch.randn(500, 64))).mean(0)
        found.append(float(difference.norm()))
    return found


torch.manual_seed(0)
plain = distances(dcgan.Gan())
torch.manual_seed(0)
matching = distances(dcgan_feature_matching.make_gan())
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.semilogy(plain, label="adversarial loss")
axes.semilogy(matching, label="feature matching")
axes.set(xlabel="step", ylabel="distance of mean features", title="8 x 8 digits, seed 0")
axes.legend()

# %%
# **The released code** takes the mean over the features instead of the sum, squared for MNIST
# (``variant="released-mnist"``) and absolute for CIFAR-10 and SVHN (``variant="released-cifar10"``), at the layer two
# below the logits for MNIST and at the globally pooled layer for CIFAR-10. The real batch is not the one on which the
# discriminator has just been updated.
#
# **What we measured.** Feature matching trains the classifiers of table 1;
# :doc:`the results </results>` compare our figures with the paper's.
