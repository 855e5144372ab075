"""Which technique to switch on: a narrow DCGAN on 10,000 MNIST images with each technique alone and in sensible pairs.

    OMP_NUM_THREADS=1 nice -n 19 python benchmarks/which_technique.py --out runs/which_technique
    python benchmarks/which_technique.py --out runs/which_technique --report docs/images/which-technique.png

All runs have the same generator, discriminator, steps, batch and learning rate; nothing is tuned for a technique. Each
(technique, seed) is one JSON file, and files that exist are not computed again. Measures: Fréchet distance (FD) between
the features of 2,500 samples and of 2,500 test images, and the Inception score, with a classifier that was trained here
on the 50,000 images that no GAN saw; how many of 100 clusters of real features (k-means) get at least a quarter of
their share of the samples; CPU time of a step. The averaged weights (EMA) of every run are measured too.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
import torch.nn.functional as F
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor, nn

from improved_gan import techniques as t
from improved_gan.data import load_mnist
from improved_gan.metrics import feature_frechet_distance, inception_score

BATCH, LATENTS, WIDTH, STEPS, SAMPLES = 32, 32, 8, 800, 2500
LEARNING_RATE, EMA_DECAY, HISTORY_WEIGHT, CLUSTERS = 1e-3, 0.98, 0.01, 100

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Setup:
    """What a run adds to the plain DCGAN: losses of the logits, layers, terms."""

    discriminator_loss: Loss = t.adversarial_discriminator_loss
    generator_loss: Callable[[Tensor], Tensor] = t.non_saturating_generator_loss
    relativistic: bool = False  # compares the generated logits with real ones, in both losses
    adversarial_weight: float = 1.0  # of the generator's loss
    feature_weight: float = 0.0  # of feature matching
    r1: float = 0.0  # gamma, at each fourth step
    kernels: int = 0  # of minibatch discrimination
    std: bool = False  # minibatch standard deviation
    noise: float = 0.0
    history: bool = False
    virtual_batch_norm: bool = False
    weight_norm: bool = False


SETUPS = {
    "plain": Setup(),
    "feature matching": Setup(adversarial_weight=0.0, feature_weight=1.0),
    "minibatch discrimination": Setup(kernels=16),
    "historical averaging": Setup(history=True),
    "label smoothing": Setup(t.smoothed_discriminator_loss),
    "virtual batch norm": Setup(virtual_batch_norm=True),
    "weight norm": Setup(weight_norm=True),
    "Gaussian noise": Setup(noise=0.3),
    "minibatch std": Setup(std=True),
    "hinge": Setup(t.hinge_discriminator_loss, t.hinge_generator_loss),
    "least squares": Setup(t.least_squares_discriminator_loss, t.least_squares_generator_loss),
    "relativistic": Setup(t.relativistic_discriminator_loss, relativistic=True),
    "R1": Setup(r1=1.0),
    "adversarial + feature matching": Setup(feature_weight=1.0),
    "minibatch disc. + smoothing": Setup(t.smoothed_discriminator_loss, kernels=16),
    "minibatch disc. + virtual batch norm": Setup(kernels=16, virtual_batch_norm=True),
    "minibatch std + R1": Setup(std=True, r1=1.0),
    "relativistic + R1": Setup(t.relativistic_discriminator_loss, relativistic=True, r1=1.0),
}


class Discriminator(nn.Module):
    """Feature maps (N, 2 WIDTH, 7, 7), then the minibatch layer if any, then one logit."""

    def __init__(self, setup: Setup, images: Tensor) -> None:
        super().__init__()
        wrap: Callable[[nn.Conv2d], nn.Module] = partial(t.weight_norm, learn_scale=False)
        wrap = wrap if setup.weight_norm else lambda layer: layer
        noise = [t.GaussianNoise(setup.noise)] if setup.noise else []
        first = [*noise, wrap(nn.Conv2d(1, WIDTH, 4, 2, 1)), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*first, *noise, wrap(nn.Conv2d(WIDTH, 2 * WIDTH, 4, 2, 1)), nn.LeakyReLU(0.2))
        self.compare: nn.Module = t.MinibatchStandardDeviation() if setup.std else nn.Identity()
        maps = 2 * WIDTH + setup.std
        if setup.kernels:
            pooled = 2 * WIDTH * 7 * 7
            self.compare = t.MinibatchDiscrimination(pooled, setup.kernels, 4, pooling=nn.Flatten())
            maps = 2 * WIDTH + setup.kernels
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(maps * 7 * 7, 1), nn.Flatten(0))
        if setup.weight_norm:
            t.data_dependent_init_(self.body, images[:500])

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.compare(self.body(images)))
        return logits


def make_generator(setup: Setup) -> nn.Module:
    start = [nn.Linear(LATENTS, 4 * WIDTH * 49), nn.Unflatten(1, (4 * WIDTH, 7, 7)), nn.BatchNorm2d(4 * WIDTH)]
    middle = [nn.ReLU(), nn.ConvTranspose2d(4 * WIDTH, 2 * WIDTH, 4, 2, 1), nn.BatchNorm2d(2 * WIDTH), nn.ReLU()]
    generator = nn.Sequential(*start, *middle, nn.ConvTranspose2d(2 * WIDTH, 1, 4, 2, 1), nn.Tanh())
    if not setup.virtual_batch_norm:
        return generator
    return t.ReferenceBatch(t.convert_virtual_batch_norm(generator), torch.randn(BATCH, LATENTS))


@dataclass
class Gan:
    """The networks of a run, their optimizers and averages."""

    setup: Setup
    generator: nn.Module
    discriminator: Discriminator
    optimizers: list[torch.optim.Optimizer] = field(init=False)
    histories: list[t.HistoricalAverage] = field(init=False)
    ema: t.WeightEMA = field(init=False)

    def __post_init__(self) -> None:
        networks = self.discriminator, self.generator
        self.optimizers = [torch.optim.Adam(n.parameters(), LEARNING_RATE, (0.5, 0.999)) for n in networks]
        self.histories = [t.HistoricalAverage(n.parameters()) for n in networks] if self.setup.history else []
        self.ema = t.WeightEMA(self.generator, EMA_DECAY)

    def step(self, images: Tensor, step: int) -> None:
        """One update of each network."""
        real, fresh = images[torch.randint(len(images), (2, BATCH))]
        generated = self.generator(torch.randn(BATCH, LATENTS))
        loss = self.setup.discriminator_loss(self.discriminator(real), self.discriminator(generated.detach()))
        if self.setup.r1:
            loss = loss + t.gradient_penalty(self.discriminator, real, gamma=self.setup.r1, step=step, every=4)
        self._descend(0, loss)
        self.discriminator.requires_grad_(False)
        self._descend(1, self._generator_loss(fresh, generated))
        self.discriminator.requires_grad_(True)
        for history in self.histories:
            history.update()
        self.ema.update()

    def _generator_loss(self, real: Tensor, generated: Tensor) -> Tensor:
        loss = generated.new_zeros(())
        if self.setup.relativistic:
            loss = t.relativistic_generator_loss(self.discriminator(real), self.discriminator(generated))
        elif self.setup.adversarial_weight:
            loss = self.setup.generator_loss(self.discriminator(generated))
        if self.setup.feature_weight:
            maps = self.discriminator.body(real), self.discriminator.body(generated)
            loss = loss + self.setup.feature_weight * t.feature_matching_loss(*maps)
        return loss

    def _descend(self, index: int, loss: Tensor) -> None:
        if self.histories:
            loss = loss + HISTORY_WEIGHT * self.histories[index].penalty()
        self.optimizers[index].zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizers[index].step()


class Judge:
    """The classifier that was trained here, and what real test images look like to it."""

    def __init__(self, network: nn.Sequential, real: Tensor) -> None:
        self.network = network
        self.real = self.features(real)
        self.clusters = MiniBatchKMeans(CLUSTERS, random_state=0, n_init=3).fit(self.real.numpy())
        self.share = self._shares(self.real)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        return torch.cat([self.network[:-1](some) for some in torch.split(images, 500)])

    @torch.no_grad()
    def __call__(self, images: Tensor) -> dict[str, float]:
        if not bool(images.isfinite().all()):
            return {"fd": float("nan"), "score": float("nan"), "clusters": 0.0}
        features = self.features(images)
        covered = self._shares(features) >= 0.25 * self.share
        score = inception_score(self.network[-1](features).double().softmax(1), splits=1).mean
        return {"fd": feature_frechet_distance(features, self.real), "score": score, "clusters": int(covered.sum())}

    def _shares(self, features: Tensor) -> Tensor:
        counts = torch.bincount(torch.from_numpy(self.clusters.predict(features.numpy())).long(), minlength=CLUSTERS)
        return counts / len(features)


def trained_classifier(images: Tensor, labels: Tensor, file: Path) -> nn.Sequential:
    """A small convolutional network with 64 features; one epoch."""
    body = [nn.Conv2d(1, 16, 5, 2, 2), nn.ReLU(), nn.Conv2d(16, 32, 5, 2, 2), nn.ReLU(), nn.Flatten()]
    network = nn.Sequential(*body, nn.Linear(32 * 49, 64), nn.ReLU(), nn.Linear(64, 10))
    if file.exists():
        network.load_state_dict(torch.load(file, weights_only=True))
        return network.eval()
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    for rows in torch.split(torch.randperm(len(images)), 100):
        optimizer.zero_grad()
        F.cross_entropy(network(images[rows]), labels[rows]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    torch.save(network.state_dict(), file)
    return network.eval()


@torch.no_grad()
def samples(generator: nn.Module, seed: int) -> Tensor:
    """Images of batches, with the statistics of each batch where the generator has batch norm."""
    latents = torch.randn(SAMPLES, LATENTS, generator=torch.Generator().manual_seed(seed))
    return torch.cat([generator(some) for some in torch.split(latents, 250)])


def train(name: str, seed: int, images: Tensor, judge: Judge, steps: int) -> dict[str, Any]:
    """One run and its measures."""
    torch.manual_seed(seed)
    setup = SETUPS[name]
    generator = make_generator(setup)
    gan = Gan(setup, generator, Discriminator(setup, images))
    seconds = []
    for step in range(steps):
        start = time.process_time()
        gan.step(images, step)
        seconds.append(time.process_time() - start)
    figures = judge(samples(gan.generator, seed))
    averaged = judge(samples(gan.ema.averaged(gan.generator), seed))
    cost = {"step_seconds": mean(seconds), "step_median": median(seconds)}
    return {"name": name, "seed": seed, "steps": steps, **figures, "ema": averaged, **cost}


def rows(folder: Path) -> list[dict[str, Any]]:
    """One row a setup: means over seeds and the range of FD."""
    runs = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    result = []
    plain = {run["seed"]: run["step_seconds"] for run in runs if run["name"] == "plain"}
    for name in SETUPS:
        mine = [run for run in runs if run["name"] == name]
        # Diverged: numbers that are not finite, or nearly all samples in a few clusters.
        good = [run for run in mine if run["fd"] == run["fd"] and run["clusters"] >= CLUSTERS / 10]
        if not mine:
            continue
        row: dict[str, Any] = {"name": name, "seeds": len(mine), "diverged": len(mine) - len(good)}
        row |= {key: mean(run[key] for run in good) if good else None for key in ("fd", "score", "clusters")}
        row["ema_fd"] = mean(run["ema"]["fd"] for run in good) if good else None
        row["fds"], row["ema_fds"] = [run["fd"] for run in good], [run["ema"]["fd"] for run in good]
        row["cost"] = median([run["step_seconds"] / plain[run["seed"]] for run in mine if run["seed"] in plain])
        result.append(row)
    return result


def report(folder: Path, plot: Path) -> None:
    """The table as Markdown, and the plot."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    table = rows(folder)
    if not table:
        raise SystemExit(f"{folder} has no runs yet: run without --report first")
    print("| setup | FD | FD, seeds | FD of the EMA | score | clusters of 100 | diverged | cost ratio |")
    print("|---|---|---|---|---|---|---|---|")
    for row in table:
        each = ", ".join(f"{fd:.1f}" for fd in row["fds"])
        figures = f"{row['fd']:.1f} | {each} | {row['ema_fd']:.1f} | {row['score']:.2f} | {row['clusters']:.0f}"
        print(f"| {row['name']} | {figures} | {row['diverged']} of {row['seeds']} | {row['cost']:.2f} |")
    order = sorted(table, key=lambda row: row["fd"], reverse=True)
    figure, axes = plt.subplots(figsize=(8, 5.5), layout="constrained")
    for place, row in enumerate(order):
        axes.plot(row["fds"], [place] * len(row["fds"]), "o", color="tab:blue", label="last weights" * (place == 0))
        axes.plot(row["ema_fds"], [place] * len(row["ema_fds"]), "x", color="tab:orange", label="EMA" * (place == 0))
    reference = next(row["fd"] for row in table if row["name"] == "plain")
    axes.axvline(reference, color="gray", linewidth=1, label="plain, mean")
    axes.set_yticks(range(len(order)), [row["name"] for row in order])
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.xaxis.set_minor_formatter("{x:.0f}")
    axes.set_xlabel("Fréchet distance to test images (one mark a seed; lower is better)")
    axes.legend()
    figure.savefig(plot, dpi=110)


def main() -> None:
    """Run what is missing, or report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/which_technique"))
    parser.add_argument("--data", type=Path, default=None, help="folder with MNIST")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--report", type=Path, default=None, help="write the plot here and print the table")
    options = parser.parse_args()
    if options.report is not None:
        report(options.out, options.report)
        return
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    data = load_mnist(options.data)
    train_images, test_images = (split.images.float() / 127.5 - 1 for split in (data.train, data.test))
    classifier = trained_classifier(train_images[10_000:], data.train.labels[10_000:], options.out / "classifier.pt")
    judge = Judge(classifier, test_images[:SAMPLES])
    print(f"classifier: error {accuracy_error(classifier, test_images, data.test.labels):.2%}", file=sys.stderr)
    print(f"the other test images: {judge(test_images[SAMPLES : 2 * SAMPLES])}", file=sys.stderr, flush=True)
    for seed, name in chain.from_iterable([(seed, name) for name in SETUPS] for seed in range(options.seeds)):
        file = options.out / f"{name.replace(' ', '_')}-{seed}.json"
        if not file.exists():
            result = train(name, seed, train_images[:10_000], judge, options.steps)
            file.write_text(json.dumps(result))
            print(json.dumps(result), flush=True)


@torch.no_grad()
def accuracy_error(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    wrong = [
        network(some).argmax(1) != truth
        for some, truth in zip(*(torch.split(one, 500) for one in (images, labels)), strict=True)
    ]
    return torch.cat(wrong).float().mean().item()


if __name__ == "__main__":
    main()
