"""scikit-learn classifiers for few labels and many unlabeled examples."""

try:
    from sklearn.utils import get_tags as _of_1_6  # noqa: F401  the first version with what the estimator needs
except ImportError as _error:
    raise ImportError("the estimators need scikit-learn 1.6 or newer: pip install 'improved-gan[sklearn]'") from _error

from improved_gan.estimator.classifier import SemiSupervisedGANClassifier
from improved_gan.estimator.label_spreading_classifier import LabelSpreadingClassifier

__all__ = ["LabelSpreadingClassifier", "SemiSupervisedGANClassifier"]
