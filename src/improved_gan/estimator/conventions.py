"""What scikit-learn expects of a classifier that is also a transformer, where its own mixins do not handle -1."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import _safe_indexing, check_consistent_length

from improved_gan.estimator.arrays import as_array
from improved_gan.estimator.ensemble_member import EnsembleMember, Prediction
from improved_gan.estimator.labels import labeled_rows

__all__ = ["SemiSupervisedMixin"]


class SemiSupervisedMixin(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]  # scikit-learn has no types
    TransformerMixin,  # type: ignore[misc]
    ClassifierMixin,  # type: ignore[misc]
):
    """A score that leaves out examples without a label, features with names, and log-probabilities."""

    members_: list[EnsembleMember]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:  # noqa: N803
        """Accuracy on the examples whose label is known; those with -1 are left out.

        Args:
            X: (N, ...) examples.
            y: (N,) their classes, -1 where unknown.
            sample_weight: (N,) or None.

        Raises:
            ValueError: no label is known.
        """
        values = as_array(X)
        check_consistent_length(values, y, sample_weight)
        rows, truth = labeled_rows(y)
        if not len(rows):
            raise ValueError("y has no known label, only -1, so there is nothing to score: give labeled examples")
        weights = None if sample_weight is None else np.asarray(sample_weight)[rows]
        chosen = values if len(rows) == len(values) else _safe_indexing(values, rows)
        return float(accuracy_score(truth, self.predict(chosen), sample_weight=weights))

    def decision_function(self, X: Any) -> np.ndarray:  # noqa: N803
        """(N, K) log-probabilities of the classes; for two classes (N,), their difference: positive for the second."""
        scores = self._log_probabilities(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def transform(self, X: Any) -> np.ndarray:  # noqa: N803
        """(N, A) features: the intermediate layer f(x) that the generator matches, of all members, concatenated."""
        return np.concatenate(
            [np.hstack([one.features for one in predictions]) for predictions in self._predictions(X)]
        )

    def real_score(self, X: Any) -> np.ndarray:  # noqa: N803
        """(N,) log D/(1 - D), above 0 for examples classified as real; the mean over the members."""
        return np.concatenate(
            [np.mean([one.real_score for one in predictions], axis=0) for predictions in self._predictions(X)]
        )

    @abstractmethod
    def _log_probabilities(self, X: Any) -> np.ndarray:  # noqa: N803
        """(N, K) log of the mean probability."""

    @abstractmethod
    def _predictions(self, X: Any) -> Iterator[list[Prediction]]:  # noqa: N803
        """The predictions of each member, a piece of X at a time."""

    @property
    def _n_features_out(self) -> int:
        """Columns of `transform`; an AttributeError before fit, as scikit-learn wants it."""
        return sum(member.num_features for member in self.members_)
