r"""
Section 4: assessment of image quality
======================================

**Claim.** Images are good if a classifier assigns each of them to one class with high probability, and if the images
together contain many classes. The Inception score measures both with one number, on at least 50,000 images, and
correlates with human judgment.

**Formula.**

.. math:: \exp(E_x KL(p(y|x) \| p(y)))

The score lies between 1 and the number of classes: it is the exponential of the mutual information of image and class.

**In this library.** :func:`improved_gan.metrics.inception_score` of an array of probabilities,
:class:`improved_gan.metrics.InceptionScore` for a stream of images, ``improved-gan evaluate`` for a folder.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from improved_gan.metrics import inception_score

images, labels = load_digits(return_X_y=True)
classifier = LogisticRegression(max_iter=500).fit(images[:1200] / 16, labels[:1200])
held_out, truth = images[1200:] / 16, labels[1200:]

p = classifier.predict_proba(held_out)
by_hand = np.exp(np.mean(np.sum(p * (np.log(p) - np.log(p.mean(0))), axis=1)))
ours = inception_score(torch.from_numpy(p), splits=1).mean
assert np.isclose(ours, by_hand)
print(f"{ours:.4f} (this library), {by_hand:.4f} (the formula)")

# %%
# The example uses digits in place of photographs and a logistic regression in place of the Inception network. The five
# sets are real digits, digits with noise, four of the ten classes, copies of one image, and pure noise.
random = np.random.default_rng(0)
sets = {
    "real": held_out,
    "noise of 0.3 added": held_out + random.normal(0, 0.3, held_out.shape),
    "classes 0 to 3 only": held_out[truth < 4],
    "one image": np.repeat(held_out[:1], 597, axis=0),
    "noise only": random.uniform(0, 1, held_out.shape),
}
scores = {}
for name, one in sets.items():
    scores[name] = inception_score(torch.from_numpy(classifier.predict_proba(one)), splits=1).mean
figure, axes = plt.subplots(figsize=(8, 3.2), layout="constrained")
axes.barh(list(scores), list(scores.values()))
axes.axvline(1, color="black", linewidth=1)
axes.invert_yaxis()
axes.set(xlabel="score, from 1 to 10 classes", title="a classifier of digits as judge", xlim=(0, 7.5))
for row, value in enumerate(scores.values()):
    axes.text(value, row, f" {value:.2f}", va="center")

# %%
# The score of noise shows a weakness: far from its training data the classifier is overconfident. The score also
# depends on the number of images and splits, so report both with it.
#
# **The released code** computes the softmax over 1008 outputs of the 2015 network without the bias of the logits, and
# averages over ten splits; :doc:`the page on metrics </metrics/README>` has the details, and
# :doc:`where other libraries differ </metrics/parity>`.
#
# **Human evaluation.** In the paper 52.4% of the annotators' votes on MNIST and 78.7% on CIFAR-10 were correct; with
# feedback about their mistakes annotators became much better. :doc:`One command </turing_test>` starts such a study.
