"""Milliseconds per CIFAR-10 training step, ours against the port of the released script that a user would write.

    python benchmarks/convolution_step.py [--threads N] [--rounds R] [--width W] [--batch N] [--variants NAME ...]
    python benchmarks/convolution_step.py --curves 200 --width 16 --json FILE

The port makes three forward passes of D, uses PyTorch's default memory format in float32 and PyTorch's default Adam
(with the released epsilon), and averages parameters in a loop. "ours, by default" is the step of the recipe `cifar10`
with its defaults on this machine. The variants alternate step by step within one process; medians of process time are
shown, so that other work on the machine affects all alike. `--curves` trains port and ours from three seeds and
compares the losses, on the package's digits, enlarged and colored. Width 96 is the paper's.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm as torch_weight_norm

from improved_gan.data import Batch, LabelSplit, load_digits
from improved_gan.recipes.cifar10 import cifar10_released
from improved_gan.recipes.precision import resolve_precision
from improved_gan.recipes.recipe import PRECISIONS
from improved_gan.runs.build import Experiment
from improved_gan.training import train_step

SEEDS = (1, 2, 3)
TERMS = ("discriminator/supervised", "discriminator/unsupervised", "generator/feature_matching")


class PlainDiscriminator(nn.Module):
    """The released discriminator, ported line by line; images in [-1, 1]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        a, b = width, 2 * width
        shapes = [(3, a, 3, 1, 1), (a, a, 3, 1, 1), (a, a, 3, 2, 1), (a, b, 3, 1, 1), (b, b, 3, 1, 1), (b, b, 3, 2, 1)]
        shapes += [(b, b, 3, 1, 0), (b, b, 1, 1, 0), (b, b, 1, 1, 0)]
        self.layers = nn.ModuleList(torch_weight_norm(nn.Conv2d(*shape)) for shape in shapes)
        self.output = torch_weight_norm(nn.Linear(b, 10))
        for layer in (*self.layers, self.output):
            nn.init.normal_(layer.get_parameter("parametrizations.weight.original1"), std=0.05)
            nn.init.ones_(layer.get_parameter("parametrizations.weight.original0"))
            nn.init.zeros_(layer.get_parameter("bias"))
        for layer in self.layers:
            layer.get_parameter("parametrizations.weight.original0").requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.dropout(x, 0.2, self.training)
        for index, layer in enumerate(self.layers):
            x = F.leaky_relu(layer(x), 0.2)
            if index in (2, 5):
                x = F.dropout(x, 0.5, self.training)
        features = x.mean((2, 3))
        return self.output(features), features


class PlainGenerator(nn.Module):
    """The released generator, ported line by line; images in [-1, 1]."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.first = widths[0]
        self.dense = nn.Linear(100, 16 * widths[0], bias=False)
        pairs = zip(widths, (*widths[1:], 3), strict=True)
        self.layers = nn.ModuleList(nn.ConvTranspose2d(a, b, 5, 2, 2, output_padding=1, bias=b == 3) for a, b in pairs)
        for layer in (self.dense, *self.layers):
            nn.init.normal_(layer.get_parameter("weight"), std=0.05)
        torch_weight_norm(self.layers[-1], dim=1)
        nn.init.ones_(self.layers[-1].get_parameter("parametrizations.weight.original0"))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width, affine=False) for width in widths)
        self.shifts = nn.ParameterList(torch.zeros(width, 1, 1) for width in widths)

    def forward(self, z: Tensor) -> Tensor:
        x = self.dense(z).view(-1, self.first, 4, 4)
        for norm, shift, layer in zip(self.norms, self.shifts, self.layers, strict=True):
            x = layer(F.relu(norm(x) + shift))
        return torch.tanh(x)


class Plain:
    """The port's step."""

    def __init__(self, width: int) -> None:
        self.discriminator, self.generator = PlainDiscriminator(width), PlainGenerator(generator_widths(width))
        adam = partial(torch.optim.Adam, lr=0.0003, betas=(0.5, 0.999), eps=1e-4)
        self.discriminator_adam = adam(self.discriminator.parameters())
        self.generator_adam = adam(self.generator.parameters())
        self.average = [torch.zeros_like(p) for p in self.discriminator.parameters()]

    def step(self, batch: Batch) -> dict[str, float]:
        images = [2 * part - 1 for part in (batch.labeled_images, batch.unlabeled_images, batch.matching_images)]
        num = len(images[0])
        generated = self.generator(torch.rand(num, 100)).detach()
        labeled, _ = self.discriminator(images[0])
        real = torch.logsumexp(self.discriminator(images[1])[0], 1)
        fake = torch.logsumexp(self.discriminator(generated)[0], 1)
        supervised = F.cross_entropy(labeled, batch.labels)
        unsupervised = 0.5 * (-real.mean() + F.softplus(real).mean() + F.softplus(fake).mean())
        self.discriminator_adam.zero_grad()
        torch.autograd.backward(supervised + unsupervised)
        self.discriminator_adam.step()
        with torch.no_grad():
            for average, parameter in zip(self.average, self.discriminator.parameters(), strict=True):
                average += 0.0001 * (parameter - average)
        _, real_features = self.discriminator(images[2])
        _, features = self.discriminator(self.generator(torch.rand(num, 100)))
        matching = (real_features.mean(0).detach() - features.mean(0)).abs().mean()
        self.generator_adam.zero_grad()
        matching.backward()
        self.generator_adam.step()
        return dict(zip(TERMS, (supervised.item(), unsupervised.item(), matching.item()), strict=True))


class Ours:
    """The recipe `cifar10-released` and its step; by default with the recipe's settings on this machine.

    The data-dependent start is left out, so that all variants begin alike.
    """

    def __init__(self, width: int, **how: Any) -> None:
        recipe = cifar10_released()
        generator: Any = recipe.generator
        discriminator: Any = recipe.discriminator
        recipe = replace(
            recipe,
            generator=partial(generator, widths=generator_widths(width)),
            discriminator=partial(discriminator, widths=(width, 2 * width)),
            init_batch_size=0,
            **how,
        )
        self.recipe = resolve_precision(recipe, torch.device("cpu"))
        split = LabelSplit.draw(load_digits().train.labels, 100, seed=0)
        experiment = Experiment(self.recipe, load_digits(), split, torch.initial_seed(), torch.device("cpu"))
        self.state = experiment.start()

    def step(self, batch: Batch) -> dict[str, float]:
        """One step as in `runs.loop.take_steps`."""
        terms = train_step(
            self.state.generator,
            self.state.discriminator,
            self.recipe.objective,
            batch,
            self.state.optimizers,
            precision=PRECISIONS[self.recipe.precision],
        )
        self.state.average.update()
        return {name: terms[name].item() for name in TERMS}


def generator_widths(width: int) -> tuple[int, int, int]:
    """512, 256 and 128 at the paper's width of 96, proportional at other widths."""
    first = max(4, 4 * round(128 * width / 96))
    return first, first // 2, first // 4


VARIANTS: dict[str, Callable[[int], Plain | Ours]] = {
    "plain port, float32": Plain,
    "ours, by default": Ours,
    "ours, float32": partial(Ours, precision="float32", channels_last=False),
    "ours, float32, channels last": partial(Ours, precision="float32"),
    "ours, bfloat16": partial(Ours, precision="bfloat16", channels_last=False),
}
PORT, DEFAULT = "plain port, float32", "ours, by default"


def batches(num: int, size: int, seed: int) -> Iterator[Batch]:
    """Digits of 32x32 pixels, each in a random color."""
    data = load_digits().train
    source = torch.Generator().manual_seed(seed)
    images = F.interpolate(data.images.float() / 255, size=32, mode="bilinear")
    colors = torch.rand(len(images), 3, 1, 1, generator=source)
    for _ in range(num):
        rows = [torch.randint(len(images), (size,), generator=source) for _ in range(3)]
        parts = [images[row] * colors[row] for row in rows]
        yield Batch(parts[0], data.labels[rows[0]], parts[1], parts[2])


def timed(names: list[str], width: int, rounds: int, size: int) -> dict[str, float]:
    """Median milliseconds of process time per step, the variants alternating."""
    torch.manual_seed(0)
    made = {name: VARIANTS[name](width) for name in names}
    times: dict[str, list[float]] = {name: [] for name in made}
    for number, batch in enumerate(batches(rounds + 1, size, 0)):
        for name, variant in made.items():
            started = time.process_time()
            variant.step(batch)
            milliseconds = 1000 * (time.process_time() - started)
            print(f"round {number}/{rounds}: {name} {milliseconds:.0f} ms", flush=True)
            if number:  # the first round allocates memory and selects kernels
                times[name].append(milliseconds)
    return {name: statistics.median(some) for name, some in times.items()}


def curve(name: str, width: int, steps: int, size: int, seed: int) -> list[dict[str, float]]:
    torch.manual_seed(seed)
    variant = VARIANTS[name](width)
    return [variant.step(batch) for batch in batches(steps, size, seed)]


def compared(width: int, steps: int, size: int) -> dict[str, Any]:
    """Mean losses over the last quarter of three runs each, and their difference in standard errors over seeds."""
    ends: dict[str, dict[str, list[float]]] = {}
    last = steps // 4
    for name in (PORT, "ours, float32", DEFAULT):
        runs = [curve(name, width, steps, size, seed) for seed in SEEDS]
        ends[name] = {term: [statistics.mean(step[term] for step in run[-last:]) for run in runs] for term in TERMS}
        print(name, {term: [round(value, 4) for value in values] for term, values in ends[name].items()}, flush=True)
    result: dict[str, Any] = {"last": last, "ends": ends}
    for other in (PORT, "ours, float32"):
        for term in TERMS:
            a, b = ends[DEFAULT][term], ends[other][term]
            standard_error = max(1e-12, ((statistics.variance(a) + statistics.variance(b)) / len(SEEDS)) ** 0.5)
            t = (statistics.mean(a) - statistics.mean(b)) / standard_error
            result[f"{term}, against {other}"] = t
            print(f"{term}: {DEFAULT} - {other} is {t:+.2f} standard errors (3 seeds; noise: within 2.8)")
    return result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--width", type=int, default=96)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--curves", type=int, default=0, metavar="STEPS")
    parser.add_argument(
        "--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="variants to time; all, if not given"
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    default = resolve_precision(cifar10_released(), torch.device("cpu"))
    print(f"{DEFAULT}: {default.precision}, channels last {default.channels_last}", flush=True)
    result: dict[str, Any] = {**vars(options), "json": None, "torch": torch.__version__}
    if options.curves:
        result |= compared(options.width, options.curves, options.batch)
    else:
        result["milliseconds"] = timed(options.variants, options.width, options.rounds, options.batch)
        slower = PORT if PORT in options.variants else options.variants[0]
        for name, milliseconds in result["milliseconds"].items():
            ratio = result["milliseconds"][slower] / milliseconds
            print(f"{name:32} {milliseconds:9.1f} ms a step   {ratio:5.2f} times the speed of: {slower}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
