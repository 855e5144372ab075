"""Which method suits these features and these labels? Repeated, stratified cross-validation on the labels given.

In each fold a method gets the other folds' labels, and all rows without labels, and predicts the fold. The error of a
label is its mean over the repeats, so the labels, not the fits, are the sample: intervals are Wilson's for L labels,
and two methods are compared by flipping the signs of the L differences (a paired permutation test). p-values are
adjusted by Holm's rule. With L labels p is at least 2^(1-L): a handful cannot tell anything apart, and this says so.

Source: Good, 2005, "Permutation, parametric, and bootstrap tests of hypotheses", section 3.2; Holm, 1979, "A simple
sequentially rejective multiple test procedure".
"""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import permutation_test
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import check_consistent_length

from improved_gan.estimator.classifier import SemiSupervisedGANClassifier
from improved_gan.estimator.label_spreading_classifier import LabelSpreadingClassifier
from improved_gan.estimator.labels import labeled_rows
from improved_gan.estimator.scaling import looks_like_embedding, unit_rows
from improved_gan.metrics.classification import wilson_interval

__all__ = ["METHODS", "Comparison", "Method", "compare_methods", "prepared"]

Method = Callable[[np.ndarray, np.ndarray, int], Any]  # rows, classes or -1, a seed -> a fitted model with `predict`

_LEVEL = 0.05
_MOST_FOLDS = 5
_COMPONENTS = 256  # principal components that every method gets
_GAN_COMPONENTS = 128
_COMPONENTS_OF_A_LABEL = 9.0  # times the cube root of the number of labels: the GAN's columns all count the same
_STEPS = 750  # of the GANs
_FLIPS = 9999


def _linear(rows: np.ndarray, y: np.ndarray, seed: int) -> Any:
    known = y >= 0
    return LogisticRegression(C=10.0, max_iter=500, random_state=seed).fit(rows[known], y[known])


def _neighbors(rows: np.ndarray, y: np.ndarray, seed: int) -> Any:
    known = y >= 0
    num = max(1, min(5, int(np.bincount(y[known]).min())))
    return KNeighborsClassifier(num, weights="distance").fit(rows[known], y[known])


def _spread(rows: np.ndarray, y: np.ndarray, seed: int) -> Any:
    return LabelSpreadingClassifier(scaling="none", random_state=seed).fit(rows, y)


def _gan(rows: np.ndarray, y: np.ndarray, seed: int, *, spread: bool = False) -> Any:
    """On fewer components with fewer labels. With `spread` all rows have one, weighted by its probability."""
    weights, num = None, min(_GAN_COMPONENTS, round(_COMPONENTS_OF_A_LABEL * int((y >= 0).sum()) ** (1 / 3)))
    if spread:
        found, num = _spread(rows, y, seed), _GAN_COMPONENTS
        weights = np.where(y >= 0, 1.0, found.label_distributions_.max(1))
        y = np.where(y >= 0, y, found.transduction_)
    batches = max(1, len(rows) // 100)
    epochs = max(1, round(_STEPS / batches))
    model = SemiSupervisedGANClassifier(scaling="columns", epochs=epochs, device="cpu", random_state=seed)
    return make_pipeline(FunctionTransformer(_first_components, kw_args={"num": num}), model).fit(
        rows, y, semisupervisedganclassifier__sample_weight=weights
    )


def _first_components(rows: np.ndarray, num: int) -> np.ndarray:
    return rows[:, :num]


METHODS: dict[str, Method] = {
    "linear probe": _linear,
    "k-NN": _neighbors,
    "label spreading": _spread,
    "GAN": _gan,
    "GAN from spread labels": partial(_gan, spread=True),
}


def prepared(features: np.ndarray, *, learned_from: np.ndarray | None = None) -> np.ndarray:
    """(N, A) features or pixels -> (N, min(A, 256)) float32: scaled, centered, principal components.

    Embeddings get rows of norm 1 about their mean; other tables columns of standard deviation 1, divided by the root of
    A, so that rows have norms of about 1 too.

    Args:
        features: of all rows.
        learned_from: (M,) indices of the rows from which means, standard deviations and components are learned, so that
            test rows take no part; None: all.

    >>> prepared(np.eye(3)).shape
    (3, 3)
    """
    known = np.arange(len(features)) if learned_from is None else learned_from
    if looks_like_embedding(features):
        rows = unit_rows(features)
        rows -= rows[known].mean(0, dtype=np.float64)  # features after a ReLU all point one way
        rows = unit_rows(rows)
    else:
        # Float64 is centered before it is rounded: a column may vary far less than its mean is.
        values = np.asarray(features, dtype=np.result_type(features.dtype, np.float32))
        some = values[known]
        mean, std = some.mean(0, dtype=np.float64), some.std(0, dtype=np.float64)
        std = np.where(some.min(0) < some.max(0), std, 1)  # rounded, that of a constant column may be above 0
        rows = (values - mean) / np.where(std > 0, std, 1) / np.sqrt(values.shape[1])
    rows = np.asarray(rows, dtype=np.float32)
    num, columns = rows[known].shape
    few = columns <= num and columns <= 2048  # whose covariance is faster than the rows
    model = PCA(min(_COMPONENTS, num, columns), svd_solver="covariance_eigh" if few else "auto", random_state=0)
    return np.asarray(model.fit(rows[known]).transform(rows))


@dataclass(frozen=True)
class Comparison:
    """What each method got wrong.

    Attributes:
        methods: M names.
        wrong: (M, L) the fraction of the repeats in which a label was predicted wrongly.
        seconds: (M,) of one fit and its predictions, the mean.
        num_folds, num_repeats: of the cross-validation.
        num_unlabeled: rows without a label that the methods had beside the labeled ones.
    """

    methods: tuple[str, ...]
    wrong: np.ndarray
    seconds: np.ndarray
    num_folds: int
    num_repeats: int
    num_unlabeled: int

    @property
    def errors(self) -> np.ndarray:
        """(M,) mean error of each method."""
        return np.asarray(self.wrong.mean(1))

    @property
    def best(self) -> int:
        """The method with the lowest error, the faster one of equals."""
        return int(np.lexsort((self.seconds, self.errors.round(12)))[0])

    def interval(self, method: int) -> tuple[float, float]:
        """95% confidence interval of a method's error."""
        num = self.wrong.shape[1]
        return wilson_interval(round(float(self.errors[method]) * num), num)

    def p_values(self) -> np.ndarray:
        """(M,) of the paired test of each method against the best, adjusted by Holm's rule; 1 for the best itself."""
        raw = np.array([_p_value(row - self.wrong[self.best]) for row in self.wrong])
        others = [place for place in np.argsort(raw, kind="stable") if place != self.best]
        adjusted, largest = np.ones(len(raw)), 0.0
        for rank, place in enumerate(others):
            largest = max(largest, min(1.0, raw[place] * (len(others) - rank)))
            adjusted[place] = largest
        return adjusted

    def verdict(self) -> str:
        """The recommended method, or that the labels do not suffice to tell; one sentence or two."""
        best, values = self.best, self.p_values()
        alike = [place for place in range(len(values)) if place != best and values[place] >= _LEVEL]
        name, num = self.methods[best], self.wrong.shape[1]
        if len(values) == 1:
            return f"Only {name} was tried: there is nothing to recommend it over."
        if not alike:
            return f"Recommended: {name}. Its error is lower than that of each other method (p < {_LEVEL:g})."
        names = ", ".join(self.methods[place] for place in alike)
        fastest = min([best, *alike], key=lambda place: self.seconds[place])
        return (
            f"{num} labels do not suffice to tell {name} (the lowest error) from {names}. Label more images and "
            f"compare again; until then take {self.methods[fastest]}, the fastest of these."
        )


def _p_value(differences: np.ndarray) -> float:
    """Two-sided; labels that both methods get equally wrong say nothing."""
    told = differences[np.abs(differences) > 1e-12]
    if len(told) < 2:
        return 1.0
    found = permutation_test(
        (told,),
        lambda values, axis: np.mean(values, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=_FLIPS,
        batch=200,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def compare_methods(
    features: np.ndarray,
    y: Any,
    *,
    methods: Mapping[str, Method] = METHODS,
    num_repeats: int = 3,
    seed: int = 0,
    jobs: int = 1,
) -> Comparison:
    """Cross-validate the methods on the labels given.

    Args:
        features: (N, A) embeddings, or other rows of numbers.
        y: (N,) classes, -1 where unknown; at least two labels of each class.
        methods: by name; each takes (N, min(A, 256)) rows, (N,) class numbers or -1, and a seed, and returns a fitted
            model with `predict`.
        num_repeats: of the division into folds; there are as many folds as the rarest class has labels, at most 5.
        seed: of the divisions and the methods.
        jobs: fits at the same time, each in a process.

    Raises:
        ValueError: fewer than two classes, a class with one label, or another number of labels than rows.

    >>> rows = np.concatenate([np.zeros((10, 2)), np.ones((10, 2))]) + 0.01 * np.random.RandomState(0).randn(20, 2)
    >>> few = {name: METHODS[name] for name in ("linear probe", "k-NN")}
    >>> compare_methods(rows, np.repeat([0, 1], 10), methods=few).errors
    array([0., 0.])
    """
    check_consistent_length(features, y)
    known, codes, num_folds = _codes(y)
    rows = prepared(features)
    # With seed + repeat the next seed would divide the labels as this one does, but for one repeat.
    seeds = [int(one) for one in np.random.SeedSequence(seed).generate_state(num_repeats)]
    tasks = [
        (name, held, own)
        for own in seeds
        for _, held in StratifiedKFold(num_folds, shuffle=True, random_state=own).split(known, codes)
        for name in methods
    ]
    fits = Parallel(n_jobs=jobs)(
        delayed(_fold)(methods[name], rows, known, codes, held, number) for name, held, number in tasks
    )
    names = tuple(methods)
    wrong, seconds = np.zeros((len(names), len(known))), np.zeros(len(names))
    for (name, held, _), (mistakes, taken) in zip(tasks, fits, strict=True):
        wrong[names.index(name), held] += mistakes / num_repeats
        seconds[names.index(name)] += taken / (num_repeats * num_folds)
    return Comparison(names, wrong, seconds, num_folds, num_repeats, len(rows) - len(known))


def _codes(y: Any) -> tuple[np.ndarray, np.ndarray, int]:
    """Labeled rows, their class numbers, and how many folds they allow."""
    known, labels = labeled_rows(y)
    classes, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(classes) < 2:
        raise ValueError(f"a comparison needs labels of two classes or more; got {len(classes)}")
    if counts.min() < 2:
        rare = ", ".join(map(str, classes[counts < 2][:5]))
        raise ValueError(
            f"cross-validation needs two labels of each class, but {rare} has one: label more of it, or leave it out"
        )
    return known, codes, int(min(_MOST_FOLDS, counts.min()))


def _fold(
    method: Method, rows: np.ndarray, known: np.ndarray, codes: np.ndarray, held: Sequence[int], seed: int
) -> tuple[np.ndarray, float]:
    """(H,) which of the held-out labels are predicted wrongly, and the seconds it took."""
    y = np.full(len(rows), -1)
    y[known] = codes
    y[known[held]] = -1
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        predicted = method(rows, y, seed).predict(rows[known[held]])
    return predicted != codes[held], time.perf_counter() - started
