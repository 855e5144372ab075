"""Peak memory of a training step of `imagenet-128`, with its minibatch features and without.

    python benchmarks/imagenet_memory.py [--batch N] [--precision P] [--threads N] [--json FILE]

Each variant runs in its own process, on random images; shown are the peak resident memory of the process, its resident
memory before the first step, and the process time of the last step.
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
from typing import Any

import torch

from improved_gan.data import Batch, LabelSplit, load_digits
from improved_gan.recipes.imagenet import imagenet_128
from improved_gan.recipes.recipe import PRECISIONS, Recipe
from improved_gan.runs.build import Experiment
from improved_gan.training import train_step
from improved_gan.training.state import TrainingState

VARIANTS = ("with minibatch features", "without")
MIB = 2**20


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=VARIANTS, help="measure one variant in this process, and print it as JSON")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.only:
        torch.set_num_threads(options.threads)
        print(json.dumps(measured(options.only, options.batch, options.steps, options.precision)))
        return
    results = {}
    for variant in VARIANTS:
        command = [sys.executable, __file__, "--only", variant]
        for name in ("batch", "steps", "precision", "threads"):
            command += [f"--{name}", str(getattr(options, name))]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        results[variant] = found = json.loads(done.stdout)
        print(
            f"{variant:24} peak {found['peak']:7.0f} MiB, of which {found['before']:5.0f} before the first step; "
            f"{found['seconds']:.1f} s a step",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps({**vars(options), "json": None, "results": results}, indent=1) + "\n")


def measured(variant: str, size: int, steps: int, precision: str) -> dict[str, float]:
    """Peak and initial memory in MiB, process seconds of the last step."""
    state, recipe = built(variant, size, precision)
    before, seconds = peak(), 0.0
    for _ in range(steps):
        images = torch.rand(3, size, *(recipe.image_shape or ()))
        batch = Batch(images[0], torch.arange(size), images[1], images[2])
        started = time.process_time()
        train_step(
            state.generator,
            state.discriminator,
            recipe.objective,
            batch,
            state.optimizers,
            precision=PRECISIONS[precision],
        )
        state.average.update()
        seconds = time.process_time() - started
    return {"peak": peak(), "before": before, "seconds": seconds}


def built(variant: str, size: int, precision: str) -> tuple[TrainingState, Recipe]:
    """Networks and optimizers as in a run of the recipe, without its data."""
    recipe = replace(imagenet_128(), batch_size=size, precision=precision)
    if variant == "without":
        discriminator: Any = recipe.discriminator
        recipe = replace(recipe, discriminator=partial(discriminator, minibatch=None))
    data = load_digits()
    split = LabelSplit.draw(data.train.labels, 100, seed=0)
    return Experiment(recipe, data, split, 0, torch.device("cpu")).start(), recipe


def peak() -> float:
    """The peak resident memory of this process, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB


if __name__ == "__main__":
    main()
