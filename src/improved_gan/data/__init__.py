"""Data sets, label splits and batches; imports no other package of the library."""

from improved_gan.data.batches import Batch, Batches, PseudoLabels, PseudoLabelSource
from improved_gan.data.cifar10 import load_cifar10
from improved_gan.data.dataset import DataError, Dataset, LabeledImages
from improved_gan.data.digits import load_digits
from improved_gan.data.label_split import LabelSplit
from improved_gan.data.mnist import load_mnist
from improved_gan.data.svhn import load_svhn

__all__ = [
    "Batch",
    "Batches",
    "DataError",
    "Dataset",
    "LabelSplit",
    "LabeledImages",
    "PseudoLabelSource",
    "PseudoLabels",
    "load_cifar10",
    "load_digits",
    "load_mnist",
    "load_svhn",
]
