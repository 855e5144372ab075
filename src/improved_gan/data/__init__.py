"""Data sets, label splits and batches; imports nothing of ours."""

from improved_gan.data.batches import Batch, Batches, Guesses
from improved_gan.data.dataset import DataError, Dataset, LabelledImages
from improved_gan.data.digits import load_digits
from improved_gan.data.label_split import LabelSplit
from improved_gan.data.mnist import load_mnist

__all__ = [
    "Batch",
    "Batches",
    "DataError",
    "Dataset",
    "Guesses",
    "LabelSplit",
    "LabelledImages",
    "load_digits",
    "load_mnist",
]
