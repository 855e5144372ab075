"""One experiment over several processes: division of the batch, initial weights, sum of errors."""

import math

import torch
from torch import nn

from improved_gan.distributed import broadcast_from_rank0, mean_over_ranks, world_size
from improved_gan.networks.global_batch_norm import convert_global_batch_norm
from improved_gan.recipes.recipe import Recipe, RecipeError

__all__ = ["all_reduce_sum", "broadcast_networks", "check_batch_divisible"]


def check_batch_divisible(recipe: Recipe) -> None:
    """Check that the recipe's batch sizes divide by the number of processes.

    Raises:
        RecipeError: one does not.
    """
    parts = {"": recipe.batch_size, "labeled ": recipe.labeled_batch_size or recipe.batch_size}
    if recipe.pseudo_labeling is not None:
        parts["pseudo-labeled "] = recipe.pseudo_labeling.batch_size
    whole = math.gcd(*parts.values())
    numbers = [n for n in range(1, whole + 1) if whole % n == 0 and n <= 2 * world_size()]
    for part, size in parts.items():
        if size % world_size():
            raise RecipeError(
                f"the {part}batch of {size} does not divide by {world_size()} processes: start "
                f"{' or '.join(map(str, numbers))}, or give the recipe one that is a multiple of {world_size()}"
            )


def broadcast_networks(*networks: nn.Module) -> None:
    """Copy rank 0's parameters and buffers to all ranks, and make batch norm global; no change with one process."""
    for network in networks:
        convert_global_batch_norm(network)
        if world_size() > 1:
            for value in network.state_dict().values():
                value.copy_(broadcast_from_rank0(value))


def all_reduce_sum(count: int) -> int:
    """The sum of every process's count, exact below 2^53."""
    return round(float(mean_over_ranks(torch.tensor(float(count), dtype=torch.float64))) * world_size())
