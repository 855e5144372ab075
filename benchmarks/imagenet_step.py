"""Seconds and memory of a step of `imagenet-128` at full width, on a folder of images.

    python benchmarks/imagenet_step.py --images FOLDER --batch 16 --steps 10 --out imagenet_step.json

With and without minibatch discrimination, each in its own process, so that each has its own peak of resident memory.
The folder may have up to 1000 classes; images without a label are left out of the labeled part. Times are CPU seconds
of the process, which other programs affect less, and wall-clock seconds.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch

from improved_gan.data.download import cache_folder
from improved_gan.data.folder import FolderOptions, load_folder
from improved_gan.recipes.imagenet import imagenet_128
from improved_gan.recipes.recipe import Recipe
from improved_gan.runs.build import Experiment
from improved_gan.training import train_step
from improved_gan.training.sampling import grid, sample, write_png


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Some steps of one configuration in this process."""
    torch.set_num_threads(options.threads)
    experiment = prepare(options)
    state = experiment.start()
    objective, batches, epoch = experiment.objective(state), experiment.batches(state), 0
    cpu: list[float] = []
    wall: list[float] = []
    terms: dict[str, torch.Tensor] = {}
    while len(cpu) < options.steps:
        for batch in batches.epoch(epoch):
            before = time.process_time(), time.perf_counter()
            terms = train_step(
                state.generator,
                state.discriminator,
                objective,
                batch,
                state.optimizers,
                precision=torch.bfloat16 if options.precision == "bfloat16" else torch.float32,
            )
            cpu.append(time.process_time() - before[0])
            wall.append(time.perf_counter() - before[1])
            if len(cpu) == options.steps:
                break
        epoch += 1
    assert state.generator is not None
    if options.grid is not None:
        write_png(options.grid, grid(sample(state.generator, 8, seed=0), columns=4, pixel_size=1))
    return {
        "minibatch discrimination": not options.without_minibatch,
        "batch": options.batch,
        "steps": len(cpu),
        "median CPU seconds a step": round(median(cpu), 2),
        "median seconds a step": round(median(wall), 2),
        "peak memory, GiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "parameters": [sum(p.numel() for p in one.parameters()) for one in (state.generator, state.discriminator)],
        "last terms": {name: round(value.item(), 4) for name, value in terms.items()},
    }


def prepare(options: argparse.Namespace) -> Experiment:
    """The recipe with this batch size and this folder's labels."""
    cache = cache_folder() / "decoded"
    data = load_folder(FolderOptions(images=options.images, cache=cache, size=128, validation=0.0)).dataset
    recipe = replace(
        imagenet_128(), batch_size=options.batch, num_classes=None, load_data=lambda _: data, labels_as_given=True
    )
    assert recipe.generator is not None
    generator: Any = partial(recipe.generator, num_reference=options.batch)  # type: ignore[call-arg]
    recipe = replace(recipe, generator=generator)
    if options.without_minibatch:
        recipe = without_minibatch(recipe)
    return Experiment.prepare(recipe, seed=1, split_seed=1, data_folder=None, device="cpu")


def without_minibatch(recipe: Recipe) -> Recipe:
    """The same recipe without minibatch discrimination."""
    return replace(recipe, discriminator=partial(recipe.discriminator, minibatch=None))  # type: ignore[call-arg]


def main() -> None:
    """Run both configurations, print them, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--batch", type=int, default=16, help="as on each of the paper's four GPUs")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--grid", type=Path, default=None, help="write samples of the last step here")
    parser.add_argument("--without-minibatch", action="store_true", help="only this configuration, in this process")
    parser.add_argument("--with-minibatch", action="store_true", help="only this configuration, in this process")
    parser.add_argument("--out", type=Path, default=Path("imagenet_step.json"))
    options = parser.parse_args()
    if options.without_minibatch or options.with_minibatch:
        print(json.dumps(measure(options)))
        return
    results = []
    for one in ("--with-minibatch", "--without-minibatch"):
        done = subprocess.run([sys.executable, *sys.argv, one], check=True, capture_output=True, text=True)
        results.append(json.loads(done.stdout.splitlines()[-1]))
        print(json.dumps(results[-1], indent=1))
    options.out.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
