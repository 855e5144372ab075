"""Metrics of features for training loops: `update` with batches, `compute`, `reset`, and merging over ranks.

`FrechetDistance` keeps sums only. `FeatureMetric` keeps the features and applies any function of two sets of features:
KID, CMMD, precision and recall, density and coverage. `InceptionScore` has the same methods. They are plain objects
that a loop of PyTorch, Lightning or Ignite calls; `torchmetrics_adapter` puts them into a `MetricCollection`.

    distance = FrechetDistance(num_features=2048)
    for images in real_loader: distance.update(network(images), real=True)
    for images in samples: distance.update(network(images), real=False)
    distance.merge_ranks()   # where there are several
    distance.compute()
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from improved_gan.distributed import gather_rows
from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.frechet_distance import FeatureStatistics, frechet_distance
from improved_gan.metrics.inception_score import check_names
from improved_gan.metrics.nearest_neighbors import check_features

__all__ = ["FeatureMetric", "FrechetDistance"]

T = TypeVar("T")


class FrechetDistance:
    """The Fréchet distance (FID) from sums: constant memory, any batches.

    Args:
        num_features: A.

    >>> distance = FrechetDistance(1)
    >>> distance.update(torch.tensor([[0.0], [2.0]]), real=True)
    >>> distance.update(torch.tensor([[3.0], [5.0]]), real=False)
    >>> distance.compute()
    9.0
    """

    def __init__(self, num_features: int) -> None:
        self.num_features = num_features
        self.reset()

    def reset(self, *, real: bool = True) -> None:
        """Forget the samples, and the real images unless `real` is False (they are the same in each epoch)."""
        self._generated = FeatureStatistics(self.num_features)
        if real:
            self._real = FeatureStatistics(self.num_features)

    def update(self, features: Tensor, *, real: bool) -> None:
        """Add a batch (M, A) of real images or samples, on any device.

        Raises:
            MetricError: another number of features, or numbers that are not finite.
        """
        (self._real if real else self._generated).update(features)

    def compute(self) -> float:
        """The squared distance.

        Raises:
            MetricError: fewer than 2 images on a side.
        """
        return frechet_distance(self._generated, self._real)

    def merge(self, other: "FrechetDistance") -> None:
        """Add the images of another instance."""
        self._generated.merge(other._generated)
        self._real.merge(other._real)

    def merge_ranks(self) -> None:
        """Add the images of all ranks, in order of rank, so that each rank has the total."""
        gathered = {name: gather_rows(value[None]) for name, value in self.state_dict().items()}
        self.reset()
        for index in range(len(gathered["real.count"])):
            one = FrechetDistance(self.num_features)
            one.load_state_dict({name: value[index] for name, value in gathered.items()})
            self.merge(one)

    def state_dict(self) -> dict[str, Tensor]:
        """Counts, means and covariances, to be stored."""
        state = {}
        for name, one in (("real", self._real), ("generated", self._generated)):
            assert one.count is not None
            state[f"{name}.count"] = torch.tensor(one.count)
            state[f"{name}.mean"] = one.mean.clone()
            state[f"{name}.covariance"] = one.covariance.clone()
        return state

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Load what `state_dict` gave.

        Raises:
            MetricError: of another metric, another number of features, or no covariance.
        """
        check_names(state, self.state_dict())
        loaded = []
        for name in ("real", "generated"):
            if state[f"{name}.mean"].shape != (self.num_features,):
                shape = tuple(state[f"{name}.mean"].shape)
                raise MetricError(f"{name}.mean must be ({self.num_features},); got {shape}: other features")
            count, moments = int(state[f"{name}.count"]), (state[f"{name}.mean"], state[f"{name}.covariance"])
            loaded.append(FeatureStatistics.from_moments(count, *moments))
        self._real, self._generated = loaded


class FeatureMetric(Generic[T]):
    """Any function of samples' and real images' features, which are kept: memory grows with the number of images.

    Features are kept in float32, or in float64 where they are float64.

    Args:
        function: (N, A) samples, (M, A) real images -> the metric, as `cmmd`, `precision_recall`,
            `density_coverage` or `functools.partial(kernel_inception_distance, subset_size=500)`.

    >>> from improved_gan.metrics import precision_recall
    >>> metric = FeatureMetric(precision_recall)
    >>> metric.update(torch.arange(8.0)[:, None], real=True)
    >>> metric.update(torch.arange(8.0)[:, None] + 0.1, real=False)
    >>> metric.compute()
    PrecisionRecall(precision=1.0, recall=1.0)
    """

    def __init__(self, function: Callable[[Tensor, Tensor], T]) -> None:
        self.function = function
        self.reset()

    def reset(self, *, real: bool = True) -> None:
        """Forget the samples, and the real images unless `real` is False."""
        self._generated: list[Tensor] = []
        if real:
            self._real: list[Tensor] = []

    def update(self, features: Tensor, *, real: bool) -> None:
        """Add a batch (M, A) of real images or samples, on any device.

        Raises:
            MetricError: another number of features, or numbers that are not finite or above 1e70.
        """
        self._add(features, self._real if real else self._generated)

    def _add(self, features: Tensor, kept: list[Tensor]) -> None:
        if features.dim() == 2 and not len(features):
            return
        features = features.detach().cpu()
        features = features.to(torch.promote_types(features.dtype, torch.float32))
        check_features(*(one[:1] for one in (*self._real[:1], *self._generated[:1])), features)
        kept.append(features)

    def compute(self) -> T:
        """The function of all features so far.

        Raises:
            MetricError: no images on a side, or too few for the function.
        """
        if not (self._real and self._generated):
            raise MetricError("the metric needs real images and samples: update(..., real=True) and real=False")
        return self.function(torch.cat(self._generated), torch.cat(self._real))

    def merge(self, other: "FeatureMetric[Any]") -> None:
        """Add the images of another instance.

        Raises:
            MetricError: another number of features.
        """
        for batches, kept in ((list(other._generated), self._generated), (list(other._real), self._real)):
            for batch in batches:
                self._add(batch, kept)

    def merge_ranks(self) -> None:
        """Add the images of all ranks, in order of rank, so that each rank has all of them."""
        state = self.state_dict()
        # A rank without images knows neither the width nor the dtype, and all send messages of one kind.
        own_kind = [state["real"].shape[1], *(value.dtype == torch.float64 for value in state.values())]
        width, *double = gather_rows(torch.tensor([own_kind])).amax(0).tolist()
        dtypes = [torch.float64 if one else torch.float32 for one in double]
        own = {
            name: (value if len(value) else value.new_zeros(0, width)).to(dtype)
            for (name, value), dtype in zip(state.items(), dtypes, strict=True)
        }
        self.load_state_dict({name: gather_rows(value) for name, value in own.items()})

    def state_dict(self) -> dict[str, Tensor]:
        """The features, to be stored: of each side (N, A), N = 0 where it has none, float32 or float64 as they came."""
        width = max((one.shape[1] for one in (*self._real, *self._generated)), default=0)
        return {
            name: torch.cat(kept) if kept else torch.zeros(0, width)
            for name, kept in (("real", self._real), ("generated", self._generated))
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Load what `state_dict` gave.

        Raises:
            MetricError: of another metric, or features that do not fit or are not finite.
        """
        check_names(state, ("real", "generated"))
        loaded = FeatureMetric(self.function)
        for name, kept in (("real", loaded._real), ("generated", loaded._generated)):
            loaded._add(state[name], kept)
        self._real, self._generated = loaded._real, loaded._generated
