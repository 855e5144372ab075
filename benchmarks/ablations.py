"""The six columns of the paper's table 3 at a size for one CPU core: MNIST, narrow networks, a few hundred steps.

    python benchmarks/ablations.py --data DIR --out runs/ablations --side 14 --steps 600

With `--side 14` images are halved first (means of 2x2 pixels), which makes a step several times as fast. Each column is
derived from one recipe with all techniques, as for CIFAR-10 (`recipes.cifar10.ablated`), and each run has a run
folder: the same command resumes. Samples and real test images are scored with a classifier, by its softmax (Inception
score) and features (Fréchet distance to real test images). It is trained first, with the labels of the training images.
The loop over seeds is the outer one, so that a partial table compares all columns on the same seeds.
"""

import argparse
import json
import math
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from improved_gan.cli.shared import TrainingOptions
from improved_gan.cli.training import train_recipe
from improved_gan.data import Dataset, LabeledImages, load_mnist
from improved_gan.metrics.inception import Outputs
from improved_gan.metrics.network import SampleScores, ScoringNetwork, digest_of
from improved_gan.networks import ConvolutionalDiscriminator, ConvolutionalGenerator, ReferenceGenerator
from improved_gan.recipes.cifar10 import COLUMNS, ablated
from improved_gan.recipes.recipe import Recipe
from improved_gan.runs import Run
from improved_gan.techniques import MinibatchDiscrimination, smoothed_discriminator_loss
from improved_gan.training import Adversarial, SupervisedBaseline
from improved_gan.training.errors import DivergedError
from improved_gan.training.sampling import grid, sample, write_png
from improved_gan.training.state import with_prefix

BATCH = 50


def small_methods(options: argparse.Namespace) -> Recipe:
    """All techniques but feature matching and historical averaging, narrow; rate of `mnist-generation-short`."""
    image, num_images = (1, options.side, options.side), options.images
    return Recipe(
        name="mnist-samples",
        summary="MNIST samples by all methods but feature matching and historical averaging, narrow networks",
        load_data=partial(first_images, num_images, options.side),
        num_labels=num_images // 20 * 10,  # balanced, so not all of them
        generator=partial(
            ReferenceGenerator,
            partial(ConvolutionalGenerator, image_shape=image, widths=(32, 16)[: options.side // 14], output_std=1.0),
            num_reference=BATCH,
        ),
        discriminator=partial(
            ConvolutionalDiscriminator,
            image_shape=image,
            num_classes=10,
            widths=(16, 32),
            convolutions=1,
            input_dropout=0.0,
            hidden_dropout=0.0,
            input_noise=0.3,
            minibatch=partial(MinibatchDiscrimination, num_kernels=32, kernel_dim=4, variant="released"),
        ),
        objective=Adversarial(discriminator_loss=smoothed_discriminator_loss, supervised_weight=1.0),
        epochs=math.ceil(options.steps / (num_images // BATCH)),
        learning_rate=0.002,
        discriminator_lr_scale=1 / 3,
        adam_epsilon=1e-8,
        batch_size=BATCH,
        init_batch_size=200,
        image_shape=image,
        num_classes=10,
        sample_every=1000,
    )


def classifier(options: argparse.Namespace) -> ScoringNetwork:
    """A supervised classifier of these images, trained here."""
    recipe = small_methods(options)
    recipe = replace(
        recipe,
        name="classifier",
        discriminator=partial(recipe.discriminator, minibatch=None),  # type: ignore[call-arg]
        objective=SupervisedBaseline(),
        epochs=4,
        lr_decay_fraction=0.5,
        discriminator_lr_scale=1.0,
        ema_decay=0.9,
    )
    folder, network = finished(recipe, options, 1), recipe.discriminator()
    network.load_state_dict(with_prefix(last_tensors(folder), "discriminator"))
    network.eval()
    wrong = Run(folder).log.lines[-1]["test/error"]
    print(f"classifier: test error {wrong:.2%}", flush=True)

    @torch.no_grad()
    def scores(images: torch.Tensor) -> Outputs:
        output = network(images / 255)
        return Outputs(output.features, output.logits)

    digest = digest_of(network.state_dict())
    return ScoringNetwork("classifier", digest, 1, (options.side,) * 2, "none", "float32", lambda one: one, scores)


def first_images(num: int, side: int, folder: Path | None) -> Dataset:
    """The first `num` training images, so that an epoch, and with it a report, is short."""
    data = load_mnist(folder)
    train, test = (halved(one, 28 // side) for one in (data.train, data.test))
    return replace(data, train=LabeledImages(train.images[:num], train.labels[:num]), test=test)


def halved(images: LabeledImages, factor: int) -> LabeledImages:
    """Downsample by means of factor x factor pixels."""
    means = torch.nn.functional.avg_pool2d(images.images.float(), factor).round()
    return LabeledImages(means.to(torch.uint8), images.labels)


def finished(recipe: Recipe, options: argparse.Namespace, seed: int) -> Path:
    """The run folder of a recipe, after the last epoch."""
    with (options.out / "log.txt").open("a") as log:
        asked = TrainingOptions(seed=seed, out=options.out / f"{recipe.name}-seed{seed}", device="cpu")
        return train_recipe(recipe, asked, Console(file=log), data=options.data)


def last_tensors(folder: Path) -> dict[str, torch.Tensor]:
    """The tensors of the newest checkpoint."""
    tensors = Run(folder).load_checkpoint(warn=print)
    assert tensors is not None
    return tensors


def run(column: str, seed: int, options: argparse.Namespace, score: SampleScores) -> dict[str, Any] | None:
    """One run of one column: its scores and samples; None if training diverged."""
    recipe = ablated(small_methods(options), column)
    file = options.out / f"{recipe.name}-seed{seed}.json"
    if file.exists():
        found: dict[str, Any] = json.loads(file.read_text())
        return found
    try:
        folder = finished(recipe, options, seed)
    except DivergedError as error:
        print(f"{column}, seed {seed}: {error}", file=sys.stderr)
        return None
    assert recipe.generator is not None
    generator = recipe.generator()
    generator.load_state_dict(with_prefix(last_tensors(folder), "generator"))
    generator.eval()
    found = score.of(sample(generator, score.num, seed=1)) | {"column": column, "seed": seed, **times(folder)}
    write_png(options.out / f"{folder.name}.png", grid(sample(generator, 50, seed=0), columns=10, pixel_size=1, gap=1))
    file.write_text(json.dumps(found))
    return found


def times(folder: Path) -> dict[str, Any]:
    """Steps, seconds, and the diagnostics of the last report."""
    last = Run(folder).log.lines[-1]
    return {
        "steps": last["step"],
        "seconds": last["seconds"],
        "diagnostics": [one["name"] for one in last["diagnostics"]],
    }


def table(results: list[dict[str, Any]]) -> str:
    """Mean and standard deviation over seeds for each column."""
    lines = [
        "| column | seeds | Inception score | Fréchet distance | diagnostics at the end |",
        "|---|---|---|---|---|",
    ]
    for column in ("real test images", *COLUMNS):
        of_column = [one for one in results if one["column"] == column]
        if not of_column:
            continue
        cells = []
        for name in ("samples/inception_score", "samples/frechet_distance"):
            values = torch.tensor([one[name] for one in of_column], dtype=torch.float64)
            each = ", ".join(f"{value:.2f}" for value in values.tolist())
            cells.append(f"{values.mean():.2f} ± {values.std(correction=min(1, len(values) - 1)):.2f} ({each})")
        diagnostics = sorted({diagnostic for one in of_column for diagnostic in one.get("diagnostics", [])})
        lines.append(f"| {column} | {len(of_column)} | {cells[0]} | {cells[1]} | {', '.join(diagnostics)} |")
    return "\n".join(lines)


def main() -> None:
    """Train the missing runs, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None, help="folder with MNIST")
    parser.add_argument("--out", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--num-seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--side", type=int, choices=(14, 28), default=28, help="pixels")
    parser.add_argument("--images", type=int, default=15_000, help="training images")
    parser.add_argument("--num", type=int, default=2000, help="samples that are scored")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    test = halved(load_mnist(options.data).test, 28 // options.side).images
    half = len(test) // 2
    score = SampleScores(classifier(options), test[:half], num=options.num)
    results: list[dict[str, Any]] = [score.of(test[half:]) | {"column": "real test images", "seed": 0}]
    for seed in range(1, options.num_seeds + 1):
        for column in COLUMNS:
            found = run(column, seed, options, score)
            results += [] if found is None else [found]
        print(table(results), flush=True)
    (options.out / "ablations.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
