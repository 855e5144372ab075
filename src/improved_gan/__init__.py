"""Improved Techniques for Training GANs (Salimans et al., 2016, arXiv 1606.03498) in PyTorch."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from improved_gan.estimator import LabelSpreadingClassifier, SemiSupervisedGANClassifier

__version__ = "0.1.0"
__all__ = ["LabelSpreadingClassifier", "SemiSupervisedGANClassifier", "__version__"]

_PACKAGES = (  # the public sub-packages
    "active_learning",
    "data",
    "embeddings",
    "estimator",
    "export",
    "kernels",
    "label_spreading",
    "metrics",
    "networks",
    "recipes",
    "reports",
    "reproduction",
    "techniques",
    "theory",
    "training",
    "turing_test",
)


def __getattr__(name: str) -> Any:
    """Import the estimators and the sub-packages, and with them torch and scikit-learn, on first use."""
    from importlib import import_module

    if name in ("LabelSpreadingClassifier", "SemiSupervisedGANClassifier"):
        return getattr(import_module("improved_gan.estimator"), name)
    if name in _PACKAGES:
        return import_module(f"improved_gan.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """All public names, imported already or not."""
    return sorted({*(name for name in globals() if name.startswith("_")), *__all__, *_PACKAGES})
