r"""
Section 5: semi-supervised learning
===================================

**Claim.** A classifier with K classes becomes a discriminator if "generated" is added as class K+1. All images then
contribute to its training: labeled images as usual, unlabeled images because they belong to one of the first K classes,
and generated images because they do not.

**Formula.** With the logit of class K+1 fixed at 0 and :math:`Z(x) = \sum_{k=1}^{K} \exp l_k(x)`,

.. math:: D(x) = \frac{Z(x)}{Z(x) + 1}, \qquad
          L_{supervised} = -E \log p(y | x, y < K + 1), \qquad
          L_{unsupervised} = -E_x \log D(x) - E_z \log(1 - D(G(z))).

**In this library.** :func:`improved_gan.techniques.semi_supervised_losses` of logits,
:class:`improved_gan.SemiSupervisedGANClassifier` for scikit-learn.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.special import log_softmax, logsumexp
from sklearn.datasets import load_digits

from improved_gan import SemiSupervisedGANClassifier
from improved_gan.techniques import semi_supervised_losses

labeled, unlabeled, generated = (torch.randn(50, 10) for _ in range(3))
labels = torch.randint(10, (50,))
supervised, unsupervised = semi_supervised_losses(labeled, labels, unlabeled, generated)
by_hand = -log_softmax(labeled.numpy(), axis=1)[np.arange(50), labels.numpy()].mean()
real, fake = (logsumexp(one.numpy(), axis=1) for one in (unlabeled, generated))
by_hand_too = (np.logaddexp(0, real) - real).mean() + np.logaddexp(0, fake).mean()
print(f"supervised   {supervised:.4f} (this library), {by_hand:.4f} (the formula)")
print(f"unsupervised {unsupervised:.4f} (this library), {by_hand_too:.4f} (the formula)")

# %%
# Handwritten digits of 8 x 8 pixels, with 20 to 200 labels among 1,297 images. The same network is trained on the
# labels only and with the generator; the error is that of 500 other digits.
images, truth = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(1297)
errors: dict[str, list[float]] = {"labels only": [], "with the generator": []}
budgets = (20, 50, 200)
for number in budgets:
    y = np.full(1297, -1)
    for label in range(10):
        chosen = order[truth[order] == label][: number // 10]
        y[chosen] = label
    for name, weight in (("labels only", 0.0), ("with the generator", 0.5)):
        model = SemiSupervisedGANClassifier(epochs=25, unsupervised_weight=weight, random_state=0)
        model.fit(images[:1297], y)
        errors[name].append(100 - 100 * model.score(images[1297:], truth[1297:]))

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for name, values in errors.items():
    axes.plot(budgets, values, "o-", label=name)
axes.set(xscale="log", xlabel="labels", ylabel="error, %", title="8 x 8 digits, one label split", ylim=(0, None))
axes.set_xticks(budgets, [str(one) for one in budgets])
axes.minorticks_off()
axes.legend()

# %%
# **The released code** weights the supervised loss by 1 and each unsupervised term by 0.5, and trains the generator
# by feature matching.
#
# **What we measured.** One split of a small data set, above; MNIST, beside the paper's numbers, is in
# :doc:`section 6 <section_6_experiments>`.
