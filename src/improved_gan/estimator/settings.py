"""The estimator's parameters, checked once in `fit`."""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from improved_gan.estimator.arrays import statistics
from improved_gan.estimator.inputs import InputSpec
from improved_gan.estimator.layout import find_layout
from improved_gan.estimator.scaling import ColumnScale, EmbeddingScale, RangeScale
from improved_gan.recipes.recipe import AUTO, PRECISIONS

__all__ = ["Settings", "check_same", "check_same_networks"]

_SCALES = {"range": RangeScale, "columns": ColumnScale, "embedding": EmbeddingScale}


@dataclass(frozen=True)
class Settings:
    """The parameters of `SemiSupervisedGANClassifier` that training needs; see there."""

    network: str
    epochs: int | None
    batch_size: int
    learning_rate: float | None
    unsupervised_weight: float
    label_spreading: bool
    n_estimators: int
    validation_fraction: float
    n_iter_no_change: int
    warm_start: bool
    precision: str
    device: str
    verbose: int

    @classmethod
    def check(cls, params: Any) -> "Settings":
        """From an object that has them as attributes.

        Raises:
            ValueError: a number out of its range, or a precision or device that is not to be had.
        """
        _check_numbers(params)
        if params.precision not in (AUTO, *PRECISIONS):
            raise ValueError(f"precision must be one of {AUTO}, {', '.join(PRECISIONS)}; got {params.precision!r}")
        if params.label_spreading and params.unsupervised_weight == 0:
            raise ValueError(
                "label_spreading=True uses examples without labels, unsupervised_weight=0 does not: take one"
            )
        return cls(
            network=params.network,
            epochs=None if params.epochs is None else int(params.epochs),
            batch_size=int(params.batch_size),
            learning_rate=None if params.learning_rate is None else float(params.learning_rate),
            unsupervised_weight=float(params.unsupervised_weight),
            label_spreading=bool(params.label_spreading),
            n_estimators=int(params.n_estimators),
            validation_fraction=float(params.validation_fraction),
            n_iter_no_change=int(params.n_iter_no_change),
            warm_start=params.warm_start,
            precision=params.precision,
            device=_find_device(params.device),
            verbose=int(params.verbose),
        )


def _check_numbers(params: Any) -> None:
    for name, least in (("epochs", 1), ("batch_size", 2), ("n_estimators", 1), ("n_iter_no_change", 1)):
        value = getattr(params, name)
        if name == "epochs" and value is None:
            continue
        if not _is_number(value, Integral) or value < least:
            raise ValueError(f"{name} must be a whole number of at least {least}; got {value!r}")
    rate = params.learning_rate
    if rate is not None and (not _is_number(rate) or not 0 < rate < float("inf")):
        raise ValueError(f"learning_rate must be a positive number, or None for that of the recipe; got {rate!r}")
    if not _is_number(params.unsupervised_weight) or not 0 <= params.unsupervised_weight < float("inf"):
        raise ValueError(f"unsupervised_weight must be a number of at least 0; got {params.unsupervised_weight!r}")
    if not _is_number(params.validation_fraction):
        raise ValueError(f"validation_fraction must be a number of at least 0; got {params.validation_fraction!r}")


def _is_number(value: Any, kind: type = Real) -> bool:
    """Python's and NumPy's numbers; a bool is none."""
    return isinstance(value, kind) and not isinstance(value, bool)


def _find_device(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(name).type
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device {name!r} is not available here ({reason}): use device='cpu'") from error
    if kind not in ("cpu", "cuda"):
        raise ValueError(f"device {name!r} is not supported: take 'cpu' or 'cuda'")
    return name


def check_same(
    parts: list[np.ndarray],
    spec: InputSpec,
    states: list[dict[str, Tensor] | None],
    classes: np.ndarray,
    classes_before: np.ndarray,
    settings: Settings,
) -> None:
    """Whether a warm start can go on from an earlier fit.

    Raises:
        ValueError: that fit kept no states, or examples, classes or the number of models have changed; or numbers that
            are not finite.
    """
    for part in parts:
        spec.check(part)
    statistics(parts)
    if None in states:
        raise ValueError("warm_start=True continues from a fit that was made with warm_start=True: set it before both")
    if not np.array_equal(classes, classes_before) or settings.n_estimators != len(states):
        raise ValueError(
            f"warm_start=True continues with classes {classes_before.tolist()} and {len(states)} models; got "
            f"{classes.tolist()} and {settings.n_estimators}: set warm_start=False to start again, or name all classes "
            "with classes="
        )
    if any(name.startswith("generator.") for name in states[0] or ()) != (settings.unsupervised_weight > 0):
        raise ValueError(
            "warm_start=True continues with a GAN or without: unsupervised_weight must stay 0, or stay above 0; set "
            "warm_start=False to start again"
        )


def check_same_networks(params: Any, spec: InputSpec, network: str, shape: tuple[int, ...]) -> None:
    """Whether a warm start, which keeps networks and scaling, does what the parameters say.

    Args:
        params: the estimator.
        spec: how the earlier fit read X.
        network: its kind of networks.
        shape: of X now.

    Raises:
        ValueError: a parameter that was changed and would have no effect.
    """
    scale, wanted = spec.scale, params.value_range
    changed = {
        "network": params.network not in ("auto", network),
        "layout": params.layout != "auto" and find_layout(shape, params.layout) != spec.layout,
        "scaling": params.scaling != "auto" and not isinstance(scale, _SCALES.get(params.scaling, ())),
        "value_range": wanted is not None
        and not (isinstance(scale, RangeScale) and (scale.low, scale.high) == tuple(map(float, wanted))),
    }
    if name := next((name for name, is_changed in changed.items() if is_changed), None):
        raise ValueError(
            f"warm_start=True continues with {network} networks and {spec.describe()}; got "
            f"{name}={getattr(params, name)!r}: set warm_start=False to start again"
        )
