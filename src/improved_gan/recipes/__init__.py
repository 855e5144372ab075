"""Recipes: what to train, with which networks, data and settings."""

from collections.abc import Callable

from improved_gan.recipes.ablations import ABLATIONS
from improved_gan.recipes.cifar10 import cifar10, cifar10_labels_alone, cifar10_pictures
from improved_gan.recipes.digits import digits, digits_labels_alone
from improved_gan.recipes.folder import folder
from improved_gan.recipes.imagenet import imagenet_128
from improved_gan.recipes.mnist import mnist, mnist_best, mnist_fast, mnist_game
from improved_gan.recipes.mnist_pictures import mnist_classifier, mnist_pictures
from improved_gan.recipes.recipe import Recipe, RecipeError
from improved_gan.recipes.svhn import svhn, svhn_pictures

__all__ = [
    "LABEL_CHOICES",
    "RECIPES",
    "Recipe",
    "RecipeError",
    "cifar10",
    "cifar10_labels_alone",
    "cifar10_pictures",
    "digits",
    "digits_labels_alone",
    "folder",
    "imagenet_128",
    "mnist",
    "mnist_best",
    "mnist_classifier",
    "mnist_fast",
    "mnist_game",
    "mnist_pictures",
    "svhn",
    "svhn_pictures",
]

# Name on the command line -> function(num_labels or None for its default) -> Recipe.
RECIPES: dict[str, Callable[[int | None], Recipe]] = {
    "digits": digits,
    "digits-labels-alone": digits_labels_alone,
    "mnist": mnist,
    "mnist-fast": mnist_fast,
    "mnist-best": mnist_best,
    "mnist-game": mnist_game,
    "mnist-pictures": mnist_pictures,
    "mnist-classifier": mnist_classifier,
    "cifar10": cifar10,
    "cifar10-labels-alone": cifar10_labels_alone,
    "cifar10-pictures": cifar10_pictures,
    "svhn": svhn,
    "svhn-pictures": svhn_pictures,
    **ABLATIONS,
    "imagenet-128": imagenet_128,
    "folder": folder,
}
_MNIST = (20, 50, 100, 200)
# Label budgets that a list shows (None: the recipe's own); any other multiple of the classes works too.
LABEL_CHOICES: dict[str, tuple[int | None, ...]] = dict.fromkeys(RECIPES, (None,)) | {
    "mnist": _MNIST,
    "mnist-fast": _MNIST,
    "mnist-best": _MNIST,
    "mnist-game": _MNIST,
    "cifar10": (1000, 2000, 4000, 8000),
    "svhn": (500, 1000, 2000),
}
