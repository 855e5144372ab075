"""The ImprovedGAN of LAMDA-SSL 1.0.2 (PyPI), another implementation of the method, with fit and predict.

    pip install --no-deps --target PEER LAMDA-SSL==1.0.2        then  benchmarks/few_labels.py --peer PEER

Its own code runs unchanged: networks, losses, optimizer and loop at their defaults (lr 0.02, Adam's epsilon 1e-8, no
averaged weights, no data-dependent initialization). It was written for library versions of 2022, so three things are
patched: torchvision, torchtext and torch-geometric, which its dense networks do not use, are replaced by empty modules;
a private helper of scikit-learn is imported from its current module; its loaders have no prefetching, and get tensors.
"""

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import io
import sys
import types
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

__all__ = ["LamdaImprovedGAN"]

_ABSENT = ("torchvision", "torchtext", "torch_geometric")


class _Empty(types.ModuleType):
    """A module in which every name is an empty class."""

    __path__: list[str] = []  # noqa: RUF012

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (object,), {})


class _Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """The last finder: it is used only for libraries that are not installed."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> Any:
        known = name.split(".")[0] in _ABSENT
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if known else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _Empty(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def _load(folder: Path) -> Any:
    importlib.import_module("PIL.Image")
    utils, extmath = importlib.import_module("sklearn.utils"), importlib.import_module("sklearn.utils.extmath")
    utils._approximate_mode = extmath._approximate_mode  # type: ignore[attr-defined]
    importlib.import_module("sklearn.base").ClassifierMixin._estimator_type = "classifier"
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
        sys.meta_path.append(_Absent())
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        return importlib.import_module("LAMDA_SSL.Algorithm.Classification.ImprovedGAN").ImprovedGAN


class LamdaImprovedGAN:
    """fit(labeled, labels, unlabeled) and predict, on flat examples in [0, 1].

    Args:
        folder: where the package was installed to.
        steps: training steps.
        num_classes: K.
        seed: of its random numbers.
    """

    def __init__(self, folder: Path, *, steps: int, num_classes: int, seed: int) -> None:
        self._build, self._steps, self._num_classes, self._seed = _load(folder), steps, num_classes, seed

    def fit(self, labeled: np.ndarray, labels: np.ndarray, unlabeled: np.ndarray) -> "LamdaImprovedGAN":
        torch.manual_seed(self._seed)
        parts = {
            name: importlib.import_module(f"LAMDA_SSL.{name}")
            for name in (
                "Dataloader.LabeledDataloader",
                "Dataloader.UnlabeledDataloader",
                "Dataset.LabeledDataset",
                "Dataset.UnlabeledDataset",
                "Sampler.RandomSampler",
                "Transform.ToTensor",
            )
        }
        labeled_loader = parts["Dataloader.LabeledDataloader"].LabeledDataLoader
        loader = parts["Dataloader.UnlabeledDataloader"].UnlabeledDataLoader
        labeled_set = parts["Dataset.LabeledDataset"].LabeledDataset
        data_set = parts["Dataset.UnlabeledDataset"].UnlabeledDataset
        tensor = parts["Transform.ToTensor"].ToTensor
        options: dict[str, Any] = {"num_workers": 0, "prefetch_factor": None}
        per_epoch = max(1, len(unlabeled) // 200)
        self._model = self._build(
            labeled_dataset=labeled_set(transform=tensor(dtype="float")),
            unlabeled_dataset=data_set(transform=tensor(dtype="float")),
            test_dataset=data_set(transform=tensor(dtype="float")),
            labeled_dataloader=labeled_loader(batch_size=100, drop_last=True, **options),
            unlabeled_dataloader=loader(batch_size=200, drop_last=True, **options),
            test_dataloader=loader(batch_size=100, drop_last=False, **options),
            labeled_sampler=parts["Sampler.RandomSampler"].RandomSampler(replacement=True, num_samples=100 * per_epoch),
            epoch=-(-self._steps // per_epoch),
            num_it_epoch=per_epoch,
            num_it_total=self._steps,
            dim_in=(unlabeled.shape[1],),
            num_classes=self._num_classes,
            evaluation=None,
            device="cpu",
            verbose=False,
        )
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            self._model.fit(labeled, labels, unlabeled)
        return self

    def predict(self, examples: np.ndarray) -> np.ndarray:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            return np.asarray(self._model.predict(examples))
