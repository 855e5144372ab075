"""Recipes: what to train, with which networks, data and settings."""

from improved_gan.recipes.digits import digits, digits_labels_alone
from improved_gan.recipes.folder import folder
from improved_gan.recipes.mnist import mnist
from improved_gan.recipes.mnist_pictures import mnist_pictures
from improved_gan.recipes.recipe import Recipe, RecipeError

__all__ = ["LABEL_CHOICES", "RECIPES", "Recipe", "RecipeError", "digits", "digits_labels_alone", "mnist"]

# Name on the command line -> function(num_labels or None for its default) -> Recipe.
RECIPES = {
    "digits": digits,
    "digits-labels-alone": digits_labels_alone,
    "mnist": mnist,
    "mnist-pictures": mnist_pictures,
    "folder": folder,
}
# Label budgets that a list shows; any other multiple of the classes works too.
LABEL_CHOICES = {"digits": (50,), "digits-labels-alone": (50,), "mnist": (20, 50, 100, 200)}
