"""Improved Techniques for Training GANs (Salimans et al., 2016, arXiv 1606.03498) in PyTorch."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from improved_gan.estimator import SemiSupervisedGANClassifier

__version__ = "0.1.0"
__all__ = ["SemiSupervisedGANClassifier", "__version__"]


def __getattr__(name: str) -> Any:
    """Import the estimator, and with it torch and scikit-learn, only where it is used."""
    if name == "SemiSupervisedGANClassifier":
        from improved_gan.estimator import SemiSupervisedGANClassifier

        return SemiSupervisedGANClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
