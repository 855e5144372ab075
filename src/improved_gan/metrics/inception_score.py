"""The Inception score (paper, section 4): exp(E_x KL(p(y|x) || p(y))), p(y) the mean of p(y|x) over the images.

Images are cut into contiguous splits, split s the images floor(s n / S) .. floor((s+1) n / S); reported are the mean
and the population standard deviation over the splits. All in float64, with p log p = 0 at p = 0. Images must be in
random order: sorted by class, each split is one class and scores 1.

    mean, std = inception_score(probabilities)            # everything at once
    score = InceptionScore(num_classes=10, num_images=50_000)   # batch by batch, in constant memory
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from improved_gan.distributed import gather_rows
from improved_gan.metrics.bootstrap import poisson_weights, position_hash
from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.score_report import ScoreReport, information, report

__all__ = ["InceptionScore", "Score", "inception_score"]

_ROW_SUM_TOLERANCE = 1e-2  # rows that come from half precision sum to 1 only so far


class Score(NamedTuple):
    """Mean and population standard deviation over the splits."""

    mean: float
    std: float


def inception_score(probabilities: Tensor, splits: int = 10) -> Score:
    """The Inception score of class probabilities.

    Args:
        probabilities: (N, K) p(y|x), one row an image, in random order; any floating point. From logits take
            `logits.double().softmax(1)`: rounding to float32 first costs digits.
        splits: S, contiguous parts.

    Raises:
        MetricError: not (N, K), fewer images than splits, not finite, negative, or rows that do not sum to 1.

    Source: paper, section 4; splits and standard deviation as in the released code.

    >>> inception_score(torch.eye(4).repeat(5, 1), splits=5)
    Score(mean=4.0, std=0.0)
    """
    probabilities = _checked(probabilities)
    num_images = len(probabilities)
    _check_splits(splits, num_images)
    scores = []
    for split in range(splits):
        part = probabilities[split * num_images // splits : (split + 1) * num_images // splits]
        marginal = part.mean(0)
        information = torch.special.xlogy(part, part).sum(1).mean() - torch.special.xlogy(marginal, marginal).sum()
        scores.append(information.exp())
    stacked = torch.stack(scores)
    return Score(float(stacked.mean()), float(stacked.std(correction=0)))


class InceptionScore:
    """The Inception score from sums: any number of images in the same memory, in any batches, ranks and files.

    Equal to `inception_score` to 1e-12. Memory: about S (B + 1) (K + 2) numbers, 16 MB at K = 1008, S = 10, B = 200.

    Args:
        num_classes: K.
        num_images: N in all, over all batches, ranks and files: it decides where the splits end.
        splits: S.
        replicates: B of the bootstrap; 0 for no interval. The weights depend only on an image's position and on `seed`.
        seed: of the bootstrap.

    Raises:
        MetricError: fewer images than splits, no class, or a negative number of replicates.

    Source: paper, section 4.

    >>> score = InceptionScore(num_classes=2, num_images=4, splits=1)
    >>> score.update(torch.eye(2))
    >>> score.update(torch.eye(2))
    >>> score.compute().mean
    2.0
    """

    def __init__(
        self, num_classes: int, num_images: int, *, splits: int = 10, replicates: int = 200, seed: int = 0
    ) -> None:
        _check_splits(splits, num_images)
        if num_classes < 1 or replicates < 0:
            raise MetricError(f"num_classes must be at least 1 and replicates 0; got {num_classes} and {replicates}")
        self.num_classes, self.num_images, self.splits = num_classes, num_images, splits
        self.replicates, self.seed = replicates, seed
        self._next = 0
        self._bounds = torch.tensor([(split + 1) * num_images // splits for split in range(splits)])
        # Rows of `sums`: for each split the plain sums, then those of each bootstrap replicate. Columns: the number of
        # images (with weights), sum p log p, and sum p of each class.
        self.sums = torch.zeros(splits, 1 + replicates, 2 + num_classes, dtype=torch.float64)
        # Over all images: sum p^2 (for the extrapolation), how often each class is the argmax, sum of max p.
        self.squares = torch.zeros(num_classes, dtype=torch.float64)
        self.argmax_class = torch.zeros(num_classes, dtype=torch.float64)
        self.confidence = torch.zeros((), dtype=torch.float64)
        self.positions = torch.zeros((), dtype=torch.int64)  # a sum of hashes: which positions were given

    def update(self, probabilities: Tensor, positions: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            probabilities: (M, K) p(y|x).
            positions: (M,) each image's position 0..N-1 in the order that is cut into splits; default: after the last
                batch.

        Raises:
            MetricError: wrong shape, not finite, not probabilities, or a position outside 0..N-1 or twice.
        """
        probabilities = _checked(probabilities)
        if probabilities.shape[1] != self.num_classes:
            raise MetricError(f"probabilities must have {self.num_classes} classes; got {probabilities.shape[1]}")
        if positions is None:
            positions = torch.arange(self._next, self._next + len(probabilities))
        positions = positions.cpu()
        if positions.shape != probabilities.shape[:1]:
            raise MetricError(f"positions must be ({len(probabilities)},), one an image; got {tuple(positions.shape)}")
        low, high = (int(positions.min()), int(positions.max())) if len(positions) else (0, 0)
        if not 0 <= low <= high < self.num_images:
            raise MetricError(f"positions must lie in 0..{self.num_images - 1}; got {low}..{high}")
        found, times = torch.unique(positions, return_counts=True)
        if (times > 1).any():
            twice = ", ".join(map(str, found[times > 1][:5].tolist()))
            raise MetricError(f"the same position was given twice ({twice}): each image has one of its own")
        self._next = int(positions[-1]) + 1 if len(positions) else self._next
        row = torch.cat(
            [
                torch.ones(len(probabilities), 1, dtype=torch.float64),
                torch.special.xlogy(probabilities, probabilities).sum(1, keepdim=True),
                probabilities,
            ],
            dim=1,
        )
        weights = poisson_weights(positions, self.replicates, seed=self.seed)
        splits = torch.searchsorted(self._bounds, positions, right=True)
        for split in torch.unique(splits).tolist():
            inside = splits == split
            self.sums[split, 0] += row[inside].sum(0)
            self.sums[split, 1:] += weights[inside].T @ row[inside]
        self.squares += probabilities.square().sum(0)
        self.argmax_class += torch.bincount(probabilities.argmax(1), minlength=self.num_classes)
        self.confidence += probabilities.max(1).values.sum() if len(probabilities) else 0
        self.positions += position_hash(positions).sum()

    def reset(self) -> None:
        """Forget all images."""
        for value in self._state().values():
            value.zero_()
        self._next = 0

    def merge(self, other: "InceptionScore") -> None:
        """Add the sums of another instance over the same N images (another rank, another file).

        Raises:
            MetricError: the two were made with other settings.
        """
        if self._settings() != other._settings():
            raise MetricError(f"only scores of the same settings merge: {self._settings()} and {other._settings()}")
        for name, value in self._state().items():
            value += other._state()[name]

    def merge_ranks(self) -> None:
        """Add the sums of all ranks, in order of rank, so that each rank has the total."""
        for value in self._state().values():
            value.copy_(gather_rows(value[None]).sum(0))

    def state_dict(self) -> dict[str, Tensor]:
        """The sums, to be stored."""
        return {name: value.clone() for name, value in self._state().items()}

    def _state(self) -> dict[str, Tensor]:
        return {
            "sums": self.sums,
            "squares": self.squares,
            "argmax_class": self.argmax_class,
            "confidence": self.confidence,
            "positions": self.positions,
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Load the sums from `state_dict` of one with the same settings.

        Raises:
            MetricError: of another metric, or other settings.
        """
        check_names(state, self._state())
        for name, value in self._state().items():
            if state[name].shape != value.shape:
                raise MetricError(
                    f"{name} must be {tuple(value.shape)}; got {tuple(state[name].shape)}: other settings"
                )
            value.copy_(state[name])
        self._next = int(self.sums[:, 0, 0].sum())

    def compute(self) -> ScoreReport:
        """Mean, standard deviation, interval, entropies, extrapolation, classes never produced, and warnings.

        Raises:
            MetricError: not every one of the N images was given exactly once.
        """
        seen = self.sums[:, 0, 0]
        expected = torch.diff(self._bounds, prepend=torch.zeros(1, dtype=torch.int64)).double()
        if not torch.equal(seen, expected):
            raise MetricError(
                f"each of the {self.num_images} images must be given once; the splits got "
                f"{[int(one) for one in seen]} of {[int(one) for one in expected]}"
            )
        if int(self.positions) != int(position_hash(torch.arange(self.num_images)).sum()):
            raise MetricError(f"some of the {self.num_images} positions were given twice, and others not at all")
        return report(self.sums, self.squares, self.argmax_class, self.confidence)

    def replicate_means(self) -> Tensor:
        """(B,) the mean score over the splits in each bootstrap replicate."""
        return information(self.sums[:, 1:]).exp().mean(0)

    def _settings(self) -> dict[str, int]:
        return {
            "num_classes": self.num_classes,
            "num_images": self.num_images,
            "splits": self.splits,
            "replicates": self.replicates,
            "seed": self.seed,
        }


def check_names(state: Mapping[str, Tensor], own: Collection[str]) -> None:
    """Whether a state is one of the same kind of metric.

    Raises:
        MetricError: other names.
    """
    if set(state) != set(own):
        raise MetricError(f"a state of this metric holds {', '.join(own)}; got {', '.join(state) or 'nothing'}")


def _checked(probabilities: Tensor) -> Tensor:
    """As float64 after a look at shape and values."""
    if probabilities.dim() != 2 or probabilities.shape[1] == 0:
        raise MetricError(f"probabilities must be (N, K), one row an image; got {tuple(probabilities.shape)}")
    probabilities = probabilities.detach().cpu().double()  # in this order: some devices lack float64
    bad = ~probabilities.isfinite().all(1)
    if bad.any():
        raise MetricError(
            f"{int(bad.sum())} of {len(bad)} rows hold NaN or infinity: the network fails on these images"
        )
    if len(probabilities) and (probabilities.min() < 0 or (probabilities.sum(1) - 1).abs().max() > _ROW_SUM_TOLERANCE):
        raise MetricError("rows must be probabilities that sum to 1; from logits take logits.double().softmax(1)")
    return probabilities


def _check_splits(splits: int, num_images: int) -> None:
    if splits < 1 or num_images < splits:
        raise MetricError(f"{splits} splits need at least {max(splits, 1)} images; got {num_images}: take fewer splits")
