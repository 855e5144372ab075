"""`SemiSupervisedGANClassifier`: the classifier of the paper's section 5 with scikit-learn's interface."""

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted

from improved_gan.estimator import storage
from improved_gan.estimator.ensemble import FitPlan, fit_members, warn_at_chance
from improved_gan.estimator.inputs import InputSpec, validate_input, warn_of_flat_images
from improved_gan.estimator.labels import LabeledScoreMixin, read_labels
from improved_gan.estimator.settings import Settings, check_same, check_same_networks
from improved_gan.estimator.storage import EnsembleMember, Prediction
from improved_gan.estimator.weights import label_weights, warn_of_imbalance

__all__ = ["SemiSupervisedGANClassifier"]

_CHUNK = 1000


class SemiSupervisedMixin(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]  # scikit-learn has no types
    TransformerMixin,  # type: ignore[misc]
    LabeledScoreMixin,
):
    """A score that leaves out examples without a label, features with names, and log-probabilities."""

    members_: list[EnsembleMember]

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


class SemiSupervisedGANClassifier(SemiSupervisedMixin, BaseEstimator):  # type: ignore[misc]  # it has no types
    """A classifier from few labels and many unlabeled examples, by a GAN with feature matching.

    The discriminator has the K classes and "generated" as outputs and learns from labeled, unlabeled and generated
    examples; after training it is the classifier, with averaged weights. Networks and settings follow from the shape of
    X (`network_`, `recipe_` say which). X may be (N, features), (N, H, W), (N, C, H, W) or (N, H, W, C): arrays,
    memory-mapped arrays or tensors, of bytes or floating-point numbers.

    Args:
        network: "auto", "dense" or "convolutional".
        layout: "auto", or "NCHW" or "NHWC" where four axes could be read both ways.
        scaling: "auto"; "range" maps all numbers from one range to [0, 1], "columns" each column by its mean and
            standard deviation, "embedding" the same after rows have got norm 1 (both for rows of features only).
        value_range: (low, high), black and white of X; None detects it.
        classes: all classes; one without a label is then an error. None takes those in y.
        epochs: passes over the unlabeled examples; None takes about 1,500 steps, or 6,000 beyond 256 numbers each.
        batch_size: of each of the labeled, unlabeled and generated parts of a step.
        learning_rate: of both networks, None for that of the recipe; it falls to 0 over the second half of training.
        class_weight: of the labels in the supervised loss: None, "balanced", or a dict by class, as in scikit-learn.
        unsupervised_weight: of the real-or-generated loss. 0 trains the same network on the labeled examples only,
            without a generator.
        label_spreading: whether pseudo-labels are used in the first part of training, from label spreading over a
            k-NN graph (Zhou et al., 2004).
        n_estimators: members of the ensemble; class probabilities are averaged.
        validation_fraction: fraction of the labels, class by class, that is held out for early stopping and to choose
            the best weights. Only labels given to `fit` are used,
            and none that a fit before a warm start trained on. 0 trains
            to the end.
        n_iter_no_change: reports without improvement (there are 40 in a training) before it stops early.
        warm_start: whether `fit` goes on from the last fit (same shape, classes, networks and scaling). It keeps the
            optimizers.
        precision: "float32", "bfloat16" for the forward passes, or "auto", that of the recipe on this machine.
        device: "auto" takes a GPU where there is one.
        n_jobs: members that are trained at the same time, each in a process; as in scikit-learn.
        random_state: the same number gives the same model (same machine, same number of threads).
        verbose: 0 silent; 1 says what was found and chosen, and reports ten times; 2 reports more often.

    Attributes:
        classes_: (K,) the classes.
        network_, recipe_: the networks, and the recipe that their settings come from, in words.
        input_: how X was read, in words.
        n_iter_: epochs of the longest training of a member.
        history_: for each member, its reports: epoch, seconds, losses, validation.
        warnings_: the diagnostics of the last report of each member, such as a saturated discriminator, as sentences.
        members_: the trained pairs of networks.

    Source: paper, section 5; settings of the released experiments.

    >>> from sklearn.datasets import make_blobs
    >>> X, truth = make_blobs(300, centers=3, random_state=0)
    >>> y = np.where(np.arange(300) < 12, truth, -1)  # twelve labels
    >>> model = SemiSupervisedGANClassifier(epochs=30, random_state=0).fit(X, y)
    >>> model.score(X, truth) > 0.8
    True
    """

    classes_: np.ndarray
    members_: list[EnsembleMember]
    _format: InputSpec
    _trained: frozenset[str]  # content of examples whose labels a warm start has used

    def __init__(
        self,
        *,
        network: str = "auto",
        layout: str = "auto",
        scaling: str = "auto",
        value_range: tuple[float, float] | None = None,
        classes: Sequence[Any] | None = None,
        epochs: int | None = None,
        batch_size: int = 100,
        learning_rate: float | None = None,
        class_weight: Any = None,
        unsupervised_weight: float = 0.5,
        label_spreading: bool = False,
        n_estimators: int = 1,
        validation_fraction: float = 0.0,
        n_iter_no_change: int = 10,
        warm_start: bool = False,
        precision: str = "auto",
        device: str = "auto",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.network = network
        self.layout = layout
        self.scaling = scaling
        self.value_range = value_range
        self.classes = classes
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.class_weight = class_weight
        self.unsupervised_weight = unsupervised_weight
        self.label_spreading = label_spreading
        self.n_estimators = n_estimators
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.precision = precision
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any, *, unlabeled: Any = None, sample_weight: Any = None) -> Self:  # noqa: N803
        """Train.

        Args:
            X: (N, ...) examples.
            y: (N,) their classes, -1 where unknown; text with unknown labels as an array of objects.
            unlabeled: (M, ...) more examples, without labels.
            sample_weight: (N,) how much each label counts in the supervised loss, times `class_weight`; 0: unknown.

        Returns:
            itself.

        Raises:
            ValueError: data or settings that cannot work; the message says what would.
            DivergedError: training produced a number that is not finite.
        """
        settings = Settings.check(self)
        again = self.warm_start and hasattr(self, "members_")
        parts = [validate_input(self, X, reset=not again)]
        known = read_labels(y, classes=self.classes)
        check_consistent_length(parts[0], y)
        known, weights = label_weights(known, parts[0], self.class_weight, sample_weight)
        warn_of_imbalance(known, self.class_weight, sample_weight)
        if unlabeled is not None:
            parts.append(validate_input(self, unlabeled, reset=False, name="unlabeled"))
        if again:
            spec, before = self._format, [member.state for member in self.members_]
            check_same(parts, spec, before, known.classes, self.classes_, settings)
            check_same_networks(self, spec, self.members_[0].choice.network, parts[0].shape)
        else:
            spec = InputSpec.learn(parts, layout=self.layout, scaling=self.scaling, value_range=self.value_range)
            before, self._trained = [], frozenset()
        warn_of_flat_images(spec)
        random = check_random_state(self.random_state)
        seeds = [int(seed) for seed in random.randint(2**31 - 1, size=settings.n_estimators)]
        task = FitPlan.plan(parts, known, spec, settings, seed=seeds[0], trained=self._trained, weights=weights)
        if self.verbose:
            task.announce()
        fits = fit_members(task, seeds, before, n_jobs=self.n_jobs)
        warn_at_chance(fits, known, task.num_examples // min(settings.batch_size, task.num_examples))
        self.classes_, self._format, self._trained = known.classes, spec, task.trained
        self.members_ = [fit.member for fit in fits]
        self.history_, self.warnings_ = [fit.history for fit in fits], [fit.diagnostics for fit in fits]
        self.n_iter_ = max(fit.epochs for fit in fits)
        self._describe()
        return self

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """(N, K) probabilities of the classes, the mean over the members."""
        return np.asarray(np.exp(self._log_probabilities(X)))

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """(N,) the most probable class of each example."""
        best: np.ndarray = self._log_probabilities(X).argmax(1)
        return np.asarray(self.classes_[best])

    def sample(self, n_samples: int = 1, *, random_state: Any = 0) -> np.ndarray:
        """(n_samples, ...) new examples from the generators, in the shape, range and type of X.

        Each member's generator makes an equal number of them, one member after the other.

        Raises:
            ValueError: n_samples is not positive, or no GAN was trained (unsupervised_weight=0).
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise ValueError(f"n_samples must be at least 1; got {n_samples}")
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        counts = [len(part) for part in np.array_split(np.arange(n_samples), len(self.members_))]
        made = [
            self._format.restore(member.sample(num, seed=seed + index))
            for index, (member, num) in enumerate(zip(self.members_, counts, strict=True))
            if num
        ]
        return np.concatenate(made)

    def save(self, path: str | Path) -> None:
        """Write the fitted classifier to a folder: `model.safetensors` (tensors) and `config.json` (all else).

        Raises:
            ValueError: a parameter that is no JSON, or a folder that holds something else.
        """
        check_is_fitted(self)
        storage.write(Path(path), self)

    @classmethod
    def load(cls, path: str | Path) -> "SemiSupervisedGANClassifier":
        """A classifier that `save` wrote; nothing in the folder is executed.

        Raises:
            ValueError: no such folder, or damaged files.
        """
        stored = storage.read(Path(path))
        model = cls(**stored.params)
        for name, value in stored.attributes.items():
            setattr(model, name, value)
        model._format, model.members_, model._trained = stored.spec, stored.members, stored.trained
        model._describe()
        return model

    def _describe(self) -> None:
        choice = self.members_[0].choice
        self.network_, self.recipe_, self.input_ = choice.describe(), choice.recipe, self._format.describe()

    def _predictions(self, X: Any) -> Iterator[list[Prediction]]:  # noqa: N803
        """The predictions of each member, a piece of X at a time."""
        check_is_fitted(self)
        examples = validate_input(self, X, reset=False)
        self._format.check(examples)
        for start in range(0, len(examples), _CHUNK):
            images = self._format.ready(examples[start : start + _CHUNK])
            yield [member.predict(images) for member in self.members_]

    def _log_probabilities(self, X: Any) -> np.ndarray:  # noqa: N803
        """(N, K) log of the mean probability."""
        pieces = [
            logsumexp([one.log_probabilities for one in predictions], axis=0) for predictions in self._predictions(X)
        ]
        return np.concatenate(pieces) - math.log(len(self.members_))
