"""What several processes share of one experiment: its batch, the weights at the start, the count of errors."""

import torch
from torch import nn

from improved_gan.distributed import from_main, mean_over_ranks, world_size
from improved_gan.models.global_batch_norm import convert_global_batch_norm
from improved_gan.recipes.recipe import Recipe, RecipeError

__all__ = ["check_share", "sum_over_processes", "take_from_main"]


def check_share(recipe: Recipe) -> None:
    """Whether the processes can share the recipe's batch evenly.

    Raises:
        RecipeError: they cannot.
    """
    if recipe.batch_size % world_size():
        numbers = [n for n in range(1, recipe.batch_size + 1) if recipe.batch_size % n == 0 and n <= 2 * world_size()]
        raise RecipeError(
            f"the batch of {recipe.batch_size} does not divide by {world_size()} processes: start "
            f"{' or '.join(map(str, numbers))}, or give the recipe a batch_size that is a multiple of {world_size()}"
        )


def take_from_main(*networks: nn.Module) -> None:
    """Rank 0's parameters and buffers for all, and batch norm over the rows of all; alone nothing changes."""
    for network in networks:
        convert_global_batch_norm(network)
        if world_size() > 1:
            for value in network.state_dict().values():
                value.copy_(from_main(value))


def sum_over_processes(count: int) -> int:
    """The sum of every process's count, exact below 2^53."""
    return round(float(mean_over_ranks(torch.tensor(float(count), dtype=torch.float64))) * world_size())
