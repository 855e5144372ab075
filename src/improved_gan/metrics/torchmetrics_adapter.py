"""Our streaming metrics as `torchmetrics.Metric`s, for `MetricCollection` and Lightning's logging.

    collection = MetricCollection({"fid": as_torchmetric(FrechetDistance(2048))}, compute_groups=False)
    collection.update(features, real=False)
    collection.compute()

The state is the metric's own, and `compute` merges it over the ranks by the metric's own rule. A batch has no value of
its own, so `collection(features)`, which torchmetrics uses for that, is refused. torchmetrics is imported when an
adapter is made.
"""

import copy
from dataclasses import is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import torch
from torch import Tensor

from improved_gan.metrics.errors import MetricError

if TYPE_CHECKING:
    from torchmetrics import Metric

__all__ = ["as_torchmetric"]


class Streaming(Protocol):
    """What `InceptionScore`, `FrechetDistance` and `FeatureMetric` have in common."""

    def reset(self) -> None:
        """Forget all images."""

    def compute(self) -> Any:
        """The metric."""

    def merge(self, other: Any) -> None:
        """Add the images of another one."""

    def merge_ranks(self) -> None:
        """Add the images of all ranks."""

    def state_dict(self) -> dict[str, Tensor]:
        """What is to be stored."""

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Load it."""


def as_torchmetric(metric: Any) -> "Metric":
    """An adapter whose `update` takes what the metric's takes; `compute` gives the total of all ranks.

    A metric of one number is computed as a tensor (), one of several as a dictionary of such tensors. The adapter can
    be copied, and pickled where the metric can; `merge_state` takes another adapter.

    Args:
        metric: an `InceptionScore`, `FrechetDistance` or `FeatureMetric`.

    Raises:
        ModuleNotFoundError: torchmetrics is not installed.
        MetricError: by `forward`, the call of the adapter: the remedy is `update`, and `compute` at the end; by
            `merge_state` of anything but an adapter.
    """
    adapter: Metric = _adapter_class()(metric)
    return adapter


def _remade(metric: Any, updates: int, training: bool) -> "Metric":  # positional, as pickle calls it
    adapter = as_torchmetric(metric).train(training)
    adapter._update_count = updates
    return adapter


@cache
def _adapter_class() -> Any:
    from torchmetrics import Metric

    class Adapter(Metric):
        full_state_update = False

        def __init__(self, streaming: Streaming) -> None:
            super().__init__(sync_on_compute=False)
            self.streaming = streaming

        def update(self, *args: Any, **kwargs: Any) -> None:
            self.streaming.update(*args, **kwargs)  # type: ignore[attr-defined]

        def forward(self, *args: Any, **kwargs: Any) -> NoReturn:
            # torchmetrics' own resets the metric to compute a batch alone: the earlier images would be lost
            raise MetricError("a batch of images has no value of its own: call update, and compute at the end")

        def merge_state(self, incoming_state: Any) -> None:
            if not isinstance(incoming_state, Adapter):  # torchmetrics' own takes a dictionary of its states, too
                raise MetricError(
                    f"merge_state takes another adapter of such a metric; got {type(incoming_state).__name__}. "
                    "load_state_dict loads what state_dict gave"
                )
            self.streaming.merge(incoming_state.streaming)
            self._update_count += incoming_state._update_count
            self._computed = None

        def __reduce__(self) -> Any:
            return _remade, (self.streaming, self._update_count, self.training)

        def compute(self) -> Tensor | dict[str, Tensor]:
            total = copy.deepcopy(self.streaming)  # this rank goes on with its own images
            total.merge_ranks()
            return _loggable(total.compute())

        def reset(self) -> None:
            super().reset()
            self.streaming.reset()

        def get_extra_state(self) -> dict[str, Tensor]:
            return self.streaming.state_dict()

        def set_extra_state(self, state: dict[str, Tensor]) -> None:
            self.streaming.load_state_dict(state)

    return Adapter


def _loggable(result: Any) -> Tensor | dict[str, Tensor]:
    """A number as a tensor; of a result with several numbers a dictionary of those that are one number each."""
    if isinstance(result, Tensor):
        return result
    if isinstance(result, (int, float)):
        return torch.tensor(result, dtype=torch.float64)
    named = vars(result) if is_dataclass(result) else result._asdict()
    numbers = {name: value for name, value in named.items() if isinstance(value, (int, float))}
    return {name: torch.tensor(value, dtype=torch.float64) for name, value in numbers.items()}
