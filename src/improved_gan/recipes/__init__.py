"""Recipes: named experiments with their networks, data and settings."""

from collections.abc import Callable

from improved_gan.recipes.cifar10 import (
    ABLATIONS,
    cifar10,
    cifar10_generation,
    cifar10_generation_released,
    cifar10_released,
    cifar10_small,
    cifar10_small_supervised,
    cifar10_supervised,
)
from improved_gan.recipes.digits import digits, digits_supervised
from improved_gan.recipes.folder import folder
from improved_gan.recipes.imagenet import imagenet_128
from improved_gan.recipes.mnist import (
    mnist,
    mnist_classifier,
    mnist_generation,
    mnist_generation_short,
    mnist_graph,
    mnist_graph_two_rounds,
    mnist_released,
    mnist_short,
)
from improved_gan.recipes.recipe import Recipe, RecipeError
from improved_gan.recipes.svhn import svhn, svhn_generation, svhn_generation_released, svhn_released

__all__ = [
    "LABEL_CHOICES",
    "RECIPES",
    "Recipe",
    "RecipeError",
    "cifar10",
    "cifar10_generation",
    "cifar10_generation_released",
    "cifar10_released",
    "cifar10_small",
    "cifar10_small_supervised",
    "cifar10_supervised",
    "digits",
    "digits_supervised",
    "folder",
    "imagenet_128",
    "mnist",
    "mnist_classifier",
    "mnist_generation",
    "mnist_generation_short",
    "mnist_graph",
    "mnist_graph_two_rounds",
    "mnist_released",
    "mnist_short",
    "svhn",
    "svhn_generation",
    "svhn_generation_released",
    "svhn_released",
]

# Name on the command line -> function(num_labels or None for its default) -> Recipe.
RECIPES: dict[str, Callable[[int | None], Recipe]] = {
    "digits": digits,
    "digits-supervised": digits_supervised,
    "mnist": mnist,
    "mnist-released": mnist_released,
    "mnist-graph": mnist_graph,
    "mnist-graph-two-rounds": mnist_graph_two_rounds,
    "mnist-short": mnist_short,
    "mnist-generation": mnist_generation,
    "mnist-generation-short": mnist_generation_short,
    "mnist-classifier": mnist_classifier,
    "cifar10": cifar10,
    "cifar10-released": cifar10_released,
    "cifar10-small": cifar10_small,
    "cifar10-small-supervised": cifar10_small_supervised,
    "cifar10-supervised": cifar10_supervised,
    "cifar10-generation": cifar10_generation,
    "cifar10-generation-released": cifar10_generation_released,
    "svhn": svhn,
    "svhn-released": svhn_released,
    "svhn-generation": svhn_generation,
    "svhn-generation-released": svhn_generation_released,
    **ABLATIONS,
    "imagenet-128": imagenet_128,
}
_MNIST = (20, 50, 100, 200)
# Numbers of labels shown in the list of recipes (None: the default); any other multiple of the classes works too.
LABEL_CHOICES: dict[str, tuple[int | None, ...]] = dict.fromkeys(RECIPES, (None,)) | {
    "mnist": _MNIST,
    "mnist-released": _MNIST,
    "mnist-graph": _MNIST,
    "mnist-graph-two-rounds": _MNIST,
    "mnist-short": _MNIST,
    "cifar10": (1000, 2000, 4000, 8000),
    "cifar10-released": (1000, 2000, 4000, 8000),
    "svhn": (500, 1000, 2000),
    "svhn-released": (500, 1000, 2000),
}
