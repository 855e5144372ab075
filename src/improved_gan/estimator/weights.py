"""Weights of labeled examples in the supervised loss: scikit-learn's `class_weight` times `sample_weight`.

    L_supervised = -sum_i w_i log p(y_i | x_i, y < K+1) / sum_i w_i     over the labeled examples

Only the ratios of the weights matter; they are scaled to mean 1, so that a batch's loss is mean(w_i l_i). The
real-or-generated loss, which does not depend on classes, and the pseudo-labels of `label_spreading` have no weights.
"""

import warnings
from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import _check_sample_weight

from improved_gan.estimator.labels import KnownLabels

__all__ = ["label_weights", "to_mean_one", "warn_of_imbalance"]

_IMBALANCED = 5  # times as many labels of one class as of another


def label_weights(
    known: KnownLabels, examples: np.ndarray, class_weight: Any, sample_weight: Any
) -> tuple[KnownLabels, np.ndarray | None]:
    """The labels that count, and their weights (L,); None where all count the same.

    A label of weight 0 is taken for unknown: its example stays among the unlabeled ones.

    Args:
        known: the labels.
        examples: X, (N, ...).
        class_weight: None, "balanced" (N / (K N_k)), or weights by class; classes left out have 1.
        sample_weight: None or (N,), at least 0; those of examples without a label do not matter.

    Raises:
        ValueError: a weight that is negative or not finite, or a class whose labels all have weight 0.

    >>> known = KnownLabels(np.array([0, 1, 2]), np.array([0, 0, 1]), np.array(["a", "b"]))
    >>> label_weights(known, np.zeros((4, 2)), "balanced", None)[1]
    array([0.75, 0.75, 1.5 ])
    """
    if class_weight is None and sample_weight is None:
        return known, None
    labels = known.classes[known.codes]
    weights = np.asarray(compute_sample_weight(class_weight, labels), dtype=np.float64)
    if sample_weight is not None:
        weights = weights * _check_sample_weight(sample_weight, examples, dtype=np.float64)[known.rows]
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(
            f"the weights of labeled examples must be finite and at least 0; got {weights.min()} to {weights.max()}"
        )
    kept = weights > 0
    gone = np.setdiff1d(known.codes, known.codes[kept])
    if len(gone):
        raise ValueError(
            f"all labels of {', '.join(map(repr, known.classes[gone].tolist()))} have weight 0: give at least one "
            "label of each class a positive weight, or leave the class out of y"
        )
    counting = KnownLabels(known.rows[kept], known.codes[kept], known.classes)
    weights = weights[kept]
    return counting, None if (weights == weights[0]).all() else to_mean_one(weights)


def to_mean_one(weights: np.ndarray) -> np.ndarray:
    """Weights (L,), finite and at least 0, not all 0, scaled to mean 1.

    >>> to_mean_one(np.array([1e308, 1.5e308]))
    array([0.8, 1.2])
    """
    relative = weights / weights.max()  # the sum of large weights may overflow, the inverse of small ones, too
    scaled: np.ndarray = relative * (len(relative) / relative.sum())
    return scaled


def warn_of_imbalance(known: KnownLabels, class_weight: Any = None, sample_weight: Any = None) -> None:
    """Warn, unless weights are given, of a class with far fewer labels than another."""
    counts = np.bincount(known.codes)
    most, least = int(counts.argmax()), int(counts.argmin())
    unweighted = class_weight is None and sample_weight is None
    if unweighted and counts[most] >= _IMBALANCED * counts[least]:
        common, rare = (known.classes[[one]].tolist()[0] for one in (most, least))
        warnings.warn(
            f"the labels are imbalanced: {counts[most]} of class {common!r} and {counts[least]} of class {rare!r}, "
            "which may hardly ever be predicted. Set class_weight='balanced', or label more examples of it",
            UserWarning,
            stacklevel=3,
        )
