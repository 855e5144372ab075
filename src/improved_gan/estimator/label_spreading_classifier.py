"""`LabelSpreadingClassifier`: few labels, many unlabeled rows of features, no GAN, in seconds.

Labels are spread over a k-NN graph of all rows (`label_spreading.spread`), and a linear model, or the k nearest rows,
learns what was found, so that new rows can be classified. Beside the labels, each row has the prediction of a linear
model of the labels as a weak label of its own, and the graph smooths these:

    F = (I - alpha S)^(-1) (Y + w P)      Y the labels, P the linear model's probabilities where there is none
    m_k = sqrt(sum_i F_ik  (n_k + 100/K) / (n + 100))       the mass of class k, of which n_k of n labels are

With few labels the graph does most, with many the linear model, so one w serves from ten labels to thousands. Both
start from labels of the same total weight for each class: how many labels a class has by chance, or by the user's
choice, says little of how many rows it has. Two estimates of that number are averaged (geometrically): what has
reached the rows of each class, and the labels' frequencies, smoothed by a Dirichlet prior of 100 labels in all.

Source: Zhou et al., 2004, "Learning with local and global consistency", equation 4; masses of classes as in Zhu,
Ghahramani and Lafferty, 2003, section 4 (there equal or known; the estimate is of this project); predictions smoothed
by the graph as in Huang et al., 2020, "Combining label propagation and simple models out-performs graph neural
networks", and, as weak labels, in Zhu et al., 2003, section 5.
"""

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.decomposition import TruncatedSVD
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler, normalize
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from improved_gan.estimator.labels import KnownLabels, LabeledScoreMixin, read_labels
from improved_gan.estimator.scaling import looks_like_embedding, unit_rows
from improved_gan.estimator.weights import label_weights, to_mean_one
from improved_gan.label_spreading.knn import (
    approximate_neighbors,
    faiss_neighbors,
    nearest_neighbors,
    nearest_points,
    principal_components,
)
from improved_gan.label_spreading.spreading import most_confident_per_class, spread
from improved_gan.optional_import import optional_import

__all__ = ["LabelSpreadingClassifier"]

_EXACT = 50_000  # rows up to which "auto" compares all pairs
_LINEAR_ROWS = 50_000  # rows that the linear model learns from
_CHUNK = 1000
_UNIFORM = 100  # labels, the same number of each class, that are added to the given ones to estimate class masses
_CHOICES = {
    "scaling": ("auto", "embedding", "columns", "none"),
    "final": ("linear", "neighbors"),
    "graph": ("auto", "exact", "approximate", "faiss"),
}


class LabelSpreadingClassifier(LabeledScoreMixin, BaseEstimator):  # type: ignore[misc]  # it has no types
    """A classifier from few labels and many unlabeled rows, best for embeddings of a pretrained network.

    Args:
        n_neighbors: k of the graph; N - 1 where there are no more rows.
        alpha: how far labels spread, 0 < alpha < 1.
        linear_weight: w, of the linear model's predictions, where a label has 1; 0: labels only (take alpha=0.99 then).
        n_components: principal components (of sparse X: singular vectors) whose distances make the graph.
        scaling: "embedding" (rows of norm 1), "columns" (each by mean and standard deviation), "none", or "auto":
            columns for dense rows that do not look like embeddings, else embedding.
        final: what classifies new rows: "linear", a logistic regression on the most confident rows, or "neighbors".
        confident_fraction: of all rows, from the most confident of each class, that the final linear model learns from,
            beside those with a label, each with its probability as weight.
        C: inverse of both linear models' regularization.
        graph: "exact" compares all pairs of rows; "approximate" those of neighboring cells; "faiss" the same with the
            library `faiss`; "auto": exact up to 50,000 rows, beyond them faiss where it is installed, else approximate.
        classes: all classes; one without a label is then an error. None takes those in y.
        priors: (K,) the fraction of each class among all rows, in the order of `classes_`, where it is known; None
            estimates it.
        class_weight: of the labels: None, "balanced", or a dict by class. It changes the final linear model only.
        random_state: of singular vectors and cells.

    Attributes:
        classes_: (K,) the classes.
        transduction_: (N,) the classes found for the rows of fit.
        label_distributions_: (N, K) their probabilities.
        input_: how X was scaled, in words.
        graph_: how neighbors were found.

    >>> from sklearn.datasets import make_blobs
    >>> X, truth = make_blobs(300, centers=3, random_state=1)
    >>> y = np.full(300, -1)
    >>> y[:12] = truth[:12]
    >>> LabelSpreadingClassifier().fit(X, y).score(X, truth) > 0.95
    True
    """

    def __init__(
        self,
        *,
        n_neighbors: int = 10,
        alpha: float = 0.9,
        linear_weight: float = 0.3,
        n_components: int = 128,
        scaling: str = "auto",
        final: str = "linear",
        confident_fraction: float = 1.0,
        C: float = 10.0,  # noqa: N803  scikit-learn's name
        graph: str = "auto",
        classes: Any = None,
        priors: Any = None,
        class_weight: Any = None,
        random_state: Any = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.alpha = alpha
        self.linear_weight = linear_weight
        self.n_components = n_components
        self.scaling = scaling
        self.final = final
        self.confident_fraction = confident_fraction
        self.C = C
        self.graph = graph
        self.classes = classes
        self.priors = priors
        self.class_weight = class_weight
        self.random_state = random_state

    def fit(self, X: Any, y: Any, *, unlabeled: Any = None, sample_weight: Any = None) -> Self:  # noqa: N803
        """Spread the labels, then fit the final classifier.

        Args:
            X: (N, A) rows, dense or sparse.
            y: (N,) their classes, -1 where unknown; text with unknown labels as an array of objects.
            unlabeled: (M, A) more rows, without labels.
            sample_weight: (N,) how much each label counts; 0: unknown.

        Raises:
            ValueError: data or parameters that cannot work; the message says what would.
        """
        _check(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=_dtypes(X))  # noqa: N806
        known = read_labels(y, classes=self.classes)
        check_consistent_length(X, y)
        counted, counts = _weights(known, X.shape[0], None, sample_weight)  # a class's weight is no number of rows
        known, weights = _weights(known, X.shape[0], self.class_weight, sample_weight)
        counts = counts[np.isin(counted.rows, known.rows)]  # a product of tiny weights may be 0
        if unlabeled is not None:
            more = validate_data(self, unlabeled, accept_sparse="csr", dtype=_dtypes(unlabeled), reset=False)
            X = _stacked(X, more)  # noqa: N806
        self._find_scaling(X)
        scaled = self._scaled(X)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        points = _points(scaled, self.n_components, seed)
        start = self._start(scaled, known, _balanced(counts, known))
        probabilities = self._spread(points, start, seed, self._masses(known, counts))
        self.classes_ = known.classes
        self.label_distributions_ = probabilities.numpy()
        self.transduction_ = known.classes[self.label_distributions_.argmax(1)]
        self._fit_final(scaled, probabilities, known, weights)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """(N, K) probabilities of the classes."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=_dtypes(X), reset=False)  # noqa: N806
        parts = (self._scaled(X[start : start + _CHUNK]) for start in range(0, X.shape[0], _CHUNK))
        if self.final == "linear":
            return np.concatenate([self._linear.predict_proba(part) for part in parts])
        return np.concatenate([self._by_neighbors(part) for part in parts])

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """(N,) the most probable class of each row."""
        best = self.predict_proba(X).argmax(1)
        return np.asarray(self.classes_[best])

    def _find_scaling(self, X: Any) -> None:  # noqa: N803
        """Choose the scaling, and learn means and standard deviations for "columns"."""
        kind = self.scaling
        if kind == "auto":
            kind = "embedding" if sparse.issparse(X) or looks_like_embedding(X) else "columns"
        self._scaling = kind
        if kind == "columns":
            self._scaler = StandardScaler(with_mean=not sparse.issparse(X)).fit(X)
        columns = "each column by mean and standard deviation"
        words = {"embedding": "rows of norm 1", "columns": columns, "none": "as given"}
        self.input_ = f"rows of {X.shape[1]} features, {X.dtype}, {words[kind]}"

    def _scaled(self, X: Any) -> Any:  # noqa: N803
        if self._scaling == "columns":
            dense = sparse.issparse(X) and self._scaler.with_mean
            return self._scaler.transform(X.toarray() if dense else X)
        if self._scaling == "none":
            return X
        return normalize(X) if sparse.issparse(X) else unit_rows(X)

    def _start(self, scaled: Any, known: KnownLabels, weights: np.ndarray) -> Tensor:
        """(N, K) what each row starts with: the (L,) weight of its label, or the linear model's prediction."""
        start = np.zeros((scaled.shape[0], len(known.classes)))
        if self.linear_weight:
            model = self._linear_model().fit(scaled[known.rows], known.codes, sample_weight=weights)
            for first in range(0, len(start), _CHUNK):
                start[first : first + _CHUNK] = self.linear_weight * model.predict_proba(scaled[first : first + _CHUNK])
        start[known.rows] = 0
        start[known.rows, known.codes] = weights
        return torch.from_numpy(start)

    def _linear_model(self) -> LogisticRegression:
        return LogisticRegression(C=self.C, max_iter=500, tol=1e-3)

    def _masses(self, known: KnownLabels, weights: np.ndarray) -> Callable[[Tensor], Tensor]:
        """From what has reached each class's rows to the mass of the class."""
        num = len(known.classes)
        if self.priors is not None:
            try:
                priors = np.asarray(self.priors, dtype=np.float64)
            except (TypeError, ValueError):
                priors = np.empty(0)
            if priors.shape != (num,) or not (np.isfinite(priors).all() and (priors > 0).all()):
                raise ValueError(f"priors must be {num} positive numbers, one a class; got {self.priors!r}")
            return lambda _: torch.from_numpy(to_mean_one(priors) / num)
        scale = len(weights) / weights.sum()
        counts = torch.from_numpy(np.bincount(known.codes, weights * scale, minlength=num) + _UNIFORM / num)
        return lambda reached: (reached / reached.sum() * counts / counts.sum()).sqrt()

    def _spread(self, points: Tensor, start: Tensor, seed: int, masses: Callable[[Tensor], Tensor]) -> Tensor:
        """(N, K) class probabilities; equal rows are one node of the graph, with the sum of what they start with."""
        distinct, inverse = _distinct(points)
        if len(distinct) < 2:
            raise ValueError("all rows of X are the same: nothing can be learned from them; give rows that differ")
        start = torch.zeros(len(distinct), start.shape[1], dtype=torch.float64).index_add_(0, inverse, start)
        neighbors, distances = self._neighbors(distinct, seed)
        return spread(neighbors, distances, start, alpha=float(self.alpha), masses=masses)[inverse]

    def _neighbors(self, points: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        num = min(int(self.n_neighbors), len(points) - 1)
        self.graph_ = self.graph
        if self.graph == "auto":
            self.graph_ = "exact" if len(points) <= _EXACT else "faiss" if _faiss(required=False) else "approximate"
        if self.graph_ == "exact":
            return nearest_neighbors(points, num)
        if self.graph_ == "faiss" and _faiss():
            return faiss_neighbors(points, num)
        return approximate_neighbors(points, num, seed=seed)

    def _fit_final(self, scaled: Any, probabilities: Tensor, known: KnownLabels, weights: np.ndarray) -> None:
        if self.final == "neighbors":
            self._fit_center = 0.0 if sparse.issparse(scaled) else scaled.mean(0, dtype=np.float64)
            self._fit_points = torch.from_numpy(_dense(scaled, self._fit_center))
            return
        fraction = min(self.confident_fraction, _LINEAR_ROWS / len(probabilities))
        confident = most_confident_per_class(probabilities, fraction).numpy()
        confident = np.setdiff1d(confident, known.rows)
        rows = np.concatenate([known.rows, confident])
        codes = np.concatenate([known.codes, probabilities.argmax(1).numpy()[confident]])
        certainty = probabilities.amax(1).numpy()[confident]
        self._linear = self._linear_model().fit(scaled[rows], codes, sample_weight=np.concatenate([weights, certainty]))

    def _by_neighbors(self, part: Any) -> np.ndarray:
        """The mean of the distributions of the nearest rows of fit, weighted as in the graph."""
        queries = torch.from_numpy(_dense(part, self._fit_center))
        rows, near = nearest_points(queries, self._fit_points, min(self.n_neighbors, len(self._fit_points)))
        weights = torch.exp(-4 * near.double() / near[:, -1:].double().clamp_min(1e-300))
        mean = (weights[:, :, None] * torch.from_numpy(self.label_distributions_)[rows]).sum(1)
        return np.asarray(mean / mean.sum(1, keepdim=True))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _check(model: LabelSpreadingClassifier) -> None:
    for name, allowed in _CHOICES.items():
        if getattr(model, name) not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {getattr(model, name)!r}")
    for name in ("n_neighbors", "n_components"):
        value = getattr(model, name)
        if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1; got {value!r}")
    weight = model.linear_weight
    if not isinstance(weight, Real) or not 0 <= float(weight) < float("inf"):
        raise ValueError(f"linear_weight must be a number of at least 0; got {weight!r}")
    for name, high in (("alpha", 1.0), ("confident_fraction", 1.0), ("C", float("inf"))):
        value = getattr(model, name)
        closed = name == "confident_fraction"
        if not isinstance(value, Real) or not (0 < float(value) < high or (closed and value == high)):
            raise ValueError(f"{name} must lie in 0 < {name} {'<=' if closed else '<'} {high:g}; got {value!r}")


def _balanced(weights: np.ndarray, known: KnownLabels) -> np.ndarray:
    """(L,) weights of mean 1 whose sum is the same for each class."""
    sums = np.bincount(known.codes, weights)
    return np.asarray(weights / sums[known.codes] * len(weights) / len(sums))


def _weights(known: KnownLabels, num: int, *weights: Any) -> tuple[KnownLabels, np.ndarray]:
    """`label_weights` of `num` rows, 1 where all count the same."""
    known, found = label_weights(known, np.empty((num, 1)), *weights)
    return known, np.ones(len(known.rows)) if found is None else found


def _stacked(first: Any, second: Any) -> Any:
    if sparse.issparse(first):
        return sparse.vstack([first, second], "csr")
    return np.concatenate([first, second.toarray() if sparse.issparse(second) else second])


def _dtypes(examples: Any) -> list[type]:
    """For `validate_data`: floats as they are; integers become the first, which must have their digits."""
    kinds = getattr(examples, "dtypes", [getattr(examples, "dtype", None)])  # a table has those of its columns
    small = ("bool", "int8", "uint8", "int16", "uint16")
    first = np.float32 if all(str(one).removeprefix("torch.") in small for one in kinds) else np.float64
    return [first, np.float64, np.float32, np.float16]


def _dense(rows: Any, center: np.ndarray | float) -> np.ndarray:
    """(N, A) float32, without the center (A,) of the rows of fit: far from 0 float32 has too few digits."""
    rows = rows.toarray() if sparse.issparse(rows) else rows
    dense: np.ndarray = np.empty(rows.shape, dtype=np.float32)
    np.subtract(rows, center, out=dense, casting="same_kind")  # in blocks, without a table in float64
    return dense


def _points(scaled: Any, num: int, seed: int) -> Tensor:
    """(N, A) -> (N, num) float32 coordinates whose distances make the graph."""
    if sparse.issparse(scaled) and scaled.shape[1] > num:
        found = TruncatedSVD(num, random_state=seed).fit_transform(scaled)
        return torch.from_numpy(np.ascontiguousarray(found, dtype=np.float32))
    values = torch.from_numpy(scaled.toarray() if sparse.issparse(scaled) else scaled)
    return principal_components(values, num).contiguous()


def _distinct(points: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct rows, and (N,) which of them each row is."""
    values = np.ascontiguousarray(points.numpy() + np.float32(0))  # no -0.0
    keys = values.view(np.dtype((np.void, values.dtype.itemsize * values.shape[1]))).ravel()
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return points[torch.from_numpy(first)], torch.from_numpy(inverse.astype(np.int64))


def _faiss(*, required: bool = True) -> Any:
    """The library, or None."""
    try:
        return optional_import("faiss")
    except ImportError as error:
        if required:
            raise ValueError("graph='faiss' needs that library: pip install 'improved-gan[faiss]'") from error
        return None
