"""Milliseconds per MNIST training step, ours against the port of the released script that a user would write.

    python benchmarks/mnist_step.py [--threads N] [--rounds R] [--json FILE]

The port makes three discriminator passes, draws noise with torch.randn, uses PyTorch's default Adam (except for the
epsilon of 1e-4, without which training diverges) and averages parameters in a loop. The variants alternate every five
steps within one process, so that changes of the machine's speed affect them alike; medians are shown. The floor is the
number of floating-point operations of the step's matrix products, divided by the rate measured here in the same
precision. Timing starts only after noiseless steps of all variants have given the same losses.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm as torch_weight_norm

from improved_gan.data import Batch
from improved_gan.networks import DenseDiscriminator, DenseGenerator
from improved_gan.techniques import WeightEMA, feature_matching_loss
from improved_gan.training import Optimizers, SemiSupervised, train_step

WIDTHS = (784, 1000, 500, 250, 250, 250, 10)
GENERATOR_WIDTHS = (100, 500, 500, 784)
BATCH = 100
_STEPS_A_ROUND = 5  # so that each variant has its weights in the cache, as in training


class PlainDiscriminator(nn.Module):
    """The released discriminator, ported line by line."""

    def __init__(self, noises: tuple[float, ...]) -> None:
        super().__init__()
        self.noises = noises
        pairs = list(pairwise(WIDTHS))
        self.layers = nn.ModuleList(torch_weight_norm(nn.Linear(a, b)) for a, b in pairs)
        for layer in list(self.layers)[:-1]:
            layer.get_parameter("parametrizations.weight.original0").requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for index, layer in enumerate(self.layers[:-1]):
            x = F.relu(layer(self.noisy(x, index)))
        return self.layers[-1](self.noisy(x, -1)), x

    def noisy(self, x: Tensor, index: int) -> Tensor:
        std = self.noises[index]
        return x + torch.randn(x.shape) * std if std else x


class PlainGenerator(nn.Module):
    """The released generator, ported line by line."""

    def __init__(self) -> None:
        super().__init__()
        sizes = list(pairwise(GENERATOR_WIDTHS))
        self.layers = nn.ModuleList(nn.Linear(a, b, bias=index == 2) for index, (a, b) in enumerate(sizes))
        torch_weight_norm(self.layers[-1])
        self.norms = nn.ModuleList(nn.BatchNorm1d(500, affine=False, eps=1e-6) for _ in range(2))
        self.shifts = nn.ParameterList(torch.zeros(500) for _ in range(2))

    def forward(self, z: Tensor) -> Tensor:
        for layer, norm, translate in zip(self.layers, self.norms, self.shifts, strict=False):
            z = F.softplus(norm(layer(z)) + translate)
        return torch.sigmoid(self.layers[-1](z))


class Plain:
    """The port's step."""

    def __init__(self, *, noisy: bool) -> None:
        noises = (0.3, 0.5, 0.5, 0.5, 0.5, 0.5) if noisy else (0.0,) * 6
        self.generator, self.discriminator = PlainGenerator(), PlainDiscriminator(noises)
        adam = partial(torch.optim.Adam, lr=0.003, betas=(0.5, 0.999), eps=1e-4)
        self.discriminator_adam = adam(self.discriminator.parameters())
        self.generator_adam = adam(self.generator.parameters())
        self.average = [torch.zeros_like(p) for p in self.discriminator.parameters()]

    def step(self, batch: Batch) -> dict[str, float]:
        images = [part.flatten(1) for part in (batch.labeled_images, batch.unlabeled_images, batch.matching_images)]
        generated = self.generator(torch.rand(BATCH, 100)).detach()
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
        _, features = self.discriminator(self.generator(torch.rand(BATCH, 100)))
        matching = (real_features.mean(0).detach() - features.mean(0)).square().mean()
        self.generator_adam.zero_grad()
        matching.backward()
        self.generator_adam.step()
        return {
            "discriminator/supervised": supervised.item(),
            "discriminator/unsupervised": unsupervised.item(),
            "generator/feature_matching": matching.item(),
        }


class Ours:
    """Our step with the settings of the mnist recipe."""

    def __init__(self, precision: torch.dtype, *, noisy: bool) -> None:
        self.precision = precision
        self.generator = DenseGenerator((1, 28, 28))
        input_noise, hidden_noise = (0.3, 0.5) if noisy else (0.0, 0.0)
        self.discriminator = DenseDiscriminator((1, 28, 28), 10, input_noise=input_noise, hidden_noise=hidden_noise)
        self.objective = SemiSupervised(generator_loss=partial(feature_matching_loss, variant="released-mnist"))
        self.optimizers = Optimizers(*(self._adam(network) for network in (self.discriminator, self.generator)))
        self.average = WeightEMA(self.discriminator, every=10)
        # As in training, until the process ends: nothing else updates D.
        self.steady = ExitStack()
        self.steady.enter_context(self.discriminator.cache_weights_across_steps())

    def step(self, batch: Batch) -> dict[str, float]:
        terms = train_step(
            self.generator, self.discriminator, self.objective, batch, self.optimizers, precision=self.precision
        )
        self.average.update()
        return {name: value.item() for name, value in terms.items()}

    def _adam(self, network: nn.Module) -> torch.optim.Adam:
        learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
        return torch.optim.Adam(learned, lr=0.003, betas=(0.5, 0.999), eps=1e-4, fused=True)


def make_batch() -> Batch:
    """Random pixels, on which the time of a step does not depend."""
    parts = [torch.rand(BATCH, 1, 28, 28) for _ in range(3)]
    return Batch(parts[0], torch.arange(BATCH) % 10, parts[1], parts[2])


def copy_start(plain: Plain, ours: Ours) -> None:
    """Copy the initial weights of our networks into the port."""
    with torch.no_grad():
        for theirs, our in zip(
            plain.discriminator.layers, [*ours.discriminator.hidden, ours.discriminator.output], strict=True
        ):
            theirs.load_state_dict(our.state_dict())
        for theirs, block in zip(plain.generator.layers[:-1], ours.generator.hidden, strict=True):
            theirs.get_parameter("weight").copy_(block.get_parameter("weight"))
        plain.generator.layers[-1].load_state_dict(ours.generator.output.state_dict())


def largest_difference(precision: torch.dtype, steps: int = 2) -> float:
    """The largest relative difference of a loss over the first noiseless steps (later Adam amplifies rounding)."""
    torch.manual_seed(0)
    ours, plain = Ours(precision, noisy=False), Plain(noisy=False)
    copy_start(plain, ours)
    worst = 0.0
    for index in range(steps):
        batch = make_batch()
        torch.manual_seed(index)
        our_terms = ours.step(batch)
        torch.manual_seed(index)
        for name, value in plain.step(batch).items():
            worst = max(worst, abs(our_terms[name] - value) / abs(value))
    return worst


def floating_point_operations() -> float:
    """Operations of the matrix products of a step: 300 rows through D forward and back, 200 forward, 100 back for G."""
    d = sum(2 * a * b for a, b in pairwise(WIDTHS))
    g = sum(2 * a * b for a, b in pairwise(GENERATOR_WIDTHS))
    first = 2 * WIDTHS[0] * WIDTHS[1]
    to_features = d - 2 * WIDTHS[-2] * WIDTHS[-1]
    discriminator = 300 * (3 * d - first)  # no gradient for the images of D's own step
    generator = 200 * d + 100 * to_features + 100 * (g + 3 * g - 2 * GENERATOR_WIDTHS[0] * GENERATOR_WIDTHS[1])
    return float(discriminator + generator)


def matrix_product_rate(precision: torch.dtype) -> float:
    """Operations per second of the largest product of the step."""
    a, b = torch.randn(300, 784).to(precision), torch.randn(784, 1000).to(precision)
    return 2 * 300 * 784 * 1000 / statistics.median(timed(lambda: a @ b) for _ in range(60))


def steps(variant: Plain | Ours, batch: Batch) -> None:
    for _ in range(_STEPS_A_ROUND):
        variant.step(batch)


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    differences = {str(p).removeprefix("torch."): largest_difference(p) for p in (torch.float32, torch.bfloat16)}
    if differences["float32"] > 1e-5:
        raise SystemExit(f"the port and ours compute different losses: {differences}")
    variants: dict[str, Plain | Ours] = {
        "plain port": Plain(noisy=True),
        "ours float32": Ours(torch.float32, noisy=True),
        "ours bfloat16": Ours(torch.bfloat16, noisy=True),
    }
    times: dict[str, list[float]] = {name: [] for name in variants}
    for round_number in range(options.rounds + 2):
        batch = make_batch()
        for name, variant in variants.items():
            seconds = timed(partial(steps, variant, batch))
            if round_number >= 2:
                times[name].append(seconds / _STEPS_A_ROUND)
    floors = {p: floating_point_operations() / matrix_product_rate(p) for p in (torch.float32, torch.bfloat16)}
    rows = {}
    for name, own_times in times.items():
        ratios = [plain / own for plain, own in zip(times["plain port"], own_times, strict=True)]
        floor = floors[torch.bfloat16 if "bfloat16" in name else torch.float32]
        rows[name] = {
            "median_ms": 1e3 * statistics.median(own_times),
            "times_as_fast": statistics.median(ratios),
            "floor_ms": 1e3 * floor,
        }
    print(f"{options.threads} threads, {options.rounds} rounds, torch {torch.__version__}, batch {BATCH}")
    print(f"largest relative difference of a loss in two noiseless steps: {differences}")
    print(f"{'':16}{'ms a step':>10}{'times the port':>16}{'floor, ms':>11}")
    for name, row in rows.items():
        print(f"{name:16}{row['median_ms']:10.1f}{row['times_as_fast']:16.2f}{row['floor_ms']:11.1f}")
    if options.json:
        content = {"threads": options.threads, "torch": torch.__version__, "differences": differences, "rows": rows}
        options.json.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
