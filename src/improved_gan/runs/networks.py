"""The networks of a recipe with the weights of a checkpoint, as they are used after training."""

from torch import Tensor

from improved_gan.networks import Discriminator, Generator
from improved_gan.recipes.recipe import Recipe
from improved_gan.techniques import WeightEMA
from improved_gan.training.sampling import ema_generator
from improved_gan.training.state import with_prefix

__all__ = ["trained_networks"]


def trained_networks(recipe: Recipe, tensors: dict[str, Tensor]) -> tuple[Generator | None, Discriminator]:
    """G as it makes samples (None where no GAN is trained), and D with averaged weights.

    Args:
        recipe: how they are built.
        tensors: of a checkpoint.

    Raises:
        RuntimeError, KeyError: the tensors are of other networks.
    """
    generator = None if recipe.generator is None else recipe.generator()
    discriminator = recipe.discriminator()
    average = WeightEMA(discriminator, recipe.ema_decay, every=recipe.ema_every)
    for prefix, module in {"generator": generator, "discriminator": discriminator, "average": average}.items():
        if module is None:
            continue
        module.load_state_dict(with_prefix(tensors, prefix))
    if generator is not None and recipe.generator_ema_decay is not None:
        generator_ema = WeightEMA(generator, recipe.generator_ema_decay)
        generator_ema.load_state_dict(with_prefix(tensors, "generator_ema"))
        generator = ema_generator(generator, generator_ema)
    averaged = average.averaged(discriminator)
    assert isinstance(averaged, Discriminator)
    return generator, averaged
