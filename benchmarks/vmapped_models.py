"""Several models in one vmapped step against one after the other: median milliseconds per model and step.

    python benchmarks/vmapped_models.py [--num-models 10] [--recipe digits] [--rounds 10] [--threads 1] [--device cpu]

Random images of the recipe's size; the precision is the recipe's default on this device.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from improved_gan.data import Batch
from improved_gan.recipes import RECIPES, Recipe
from improved_gan.recipes.precision import resolve_precision
from improved_gan.recipes.recipe import PRECISIONS
from improved_gan.techniques import WeightEMA
from improved_gan.training import Optimizers, train_step
from improved_gan.training.state import TrainingState
from improved_gan.training.vmapped import VmappedTraining


def start(recipe: Recipe, device: torch.device, seed: int) -> TrainingState:
    torch.manual_seed(seed)
    assert recipe.generator is not None
    generator, discriminator = recipe.generator().to(device).train(), recipe.discriminator().to(device).train()
    adams = [
        torch.optim.Adam(
            [one for one in network.parameters() if one.requires_grad],
            lr=recipe.learning_rate,
            betas=recipe.adam_betas,
            eps=recipe.adam_epsilon,
            fused=True,
        )
        for network in (discriminator, generator)
    ]
    average = WeightEMA(discriminator, recipe.ema_decay, every=recipe.ema_every).to(device)
    return TrainingState(generator, discriminator, Optimizers(*adams), average)


def draw(recipe: Recipe, device: torch.device) -> Batch:
    assert recipe.generator is not None
    generator = recipe.generator()
    shape = generator(generator.draw_latents(2)).shape[1:]
    images = [torch.rand(recipe.batch_size, *shape, device=device) for _ in range(3)]
    return Batch(images[0], torch.randint(10, (recipe.batch_size,), device=device), images[1], images[2])


def measure(work: Callable[[], None], device: torch.device) -> float:
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num-models", type=int, default=10)
    parser.add_argument("--recipe", default="digits", choices=["digits", "mnist", "cifar10", "svhn"])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    recipe = resolve_precision(RECIPES[arguments.recipe](None), device)
    precision = PRECISIONS[recipe.precision]
    apart = [start(recipe, device, seed) for seed in range(arguments.num_models)]
    states = [start(recipe, device, seed) for seed in range(arguments.num_models)]
    together = VmappedTraining(states, recipe.objective, precision)
    batches = [draw(recipe, device) for _ in range(arguments.num_models)]

    def one_by_one() -> None:
        for state, batch in zip(apart, batches, strict=True):
            train_step(
                state.generator, state.discriminator, recipe.objective, batch, state.optimizers, precision=precision
            )
            state.average.update()

    ways = {"one by one": one_by_one, "together": lambda: together.step(batches)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(arguments.rounds + 2):
        for name, work in ways.items():
            taken = measure(work, device)
            if turn >= 2:  # the first ones find memory and choose algorithms
                seconds[name].append(taken)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {arguments.threads} threads"
    print(f"{arguments.recipe}, {recipe.precision}, {arguments.num_models} models, {where}")
    medians = {name: statistics.median(values) / arguments.num_models for name, values in seconds.items()}
    for name, median in medians.items():
        print(f"{name:12} {1000 * median:8.2f} ms a model and step  {medians['one by one'] / median:5.2f} times")


if __name__ == "__main__":
    main()
