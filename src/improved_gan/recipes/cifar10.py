"""CIFAR-10 from 1000, 2000, 4000 or 8000 labels, and its samples (paper, section 6.2).

`cifar10` and `cifar10-generation` have the settings of the authors' scripts of the paper's date, those with `-released`
the settings of their last release (docs/history.md).

`labels` is everywhere the number of labels, by default 4000; the paper has 1000, 2000, 4000 and 8000.

The paper's ablation (table 3): CIFAR-10 samples with all techniques, and with one of them removed. "Our methods" has
all techniques but feature matching and historical averaging: minibatch discrimination, virtual batch normalization,
one-sided label smoothing, and all labels as K+1 classes. Each column derives from it. The script of this experiment was
never public; networks and learning rate are those of `cifar10-generation-released`. `ablated` derives the columns from
any other recipe of this kind, such as the small ones of benchmarks/ablations.py.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from improved_gan.data.cifar10 import load_cifar10
from improved_gan.data.dataset import Dataset
from improved_gan.networks.convolutional import ConvolutionalDiscriminator, ConvolutionalGenerator, ReferenceGenerator
from improved_gan.recipes.recipe import AUTO, Recipe, RecipeError
from improved_gan.techniques.adversarial import adversarial_discriminator_loss, minimax_generator_loss
from improved_gan.techniques.feature_matching import feature_matching_loss
from improved_gan.techniques.label_smoothing import smoothed_discriminator_loss
from improved_gan.techniques.minibatch_discrimination import MinibatchDiscrimination
from improved_gan.training.objectives import Adversarial, SemiSupervised, SupervisedBaseline

__all__ = [
    "ABLATIONS",
    "COLUMNS",
    "IMAGE",
    "PAPER_DISCRIMINATOR",
    "PAPER_GENERATOR",
    "PAPER_KERNELS",
    "RELEASED_KERNELS",
    "UNINITIALIZED_GENERATOR",
    "ablated",
    "all_techniques",
    "cifar10",
    "cifar10_generation",
    "cifar10_generation_released",
    "cifar10_released",
    "cifar10_small",
    "cifar10_small_supervised",
    "cifar10_supervised",
]


IMAGE = (3, 32, 32)
RELEASED_KERNELS = partial(MinibatchDiscrimination, num_kernels=100, kernel_dim=5, variant="released", init_std=0.05)
PAPER_KERNELS = partial(RELEASED_KERNELS, init_std=0.1)
# Slope and data-dependent initialization of 8 to 12 June 2016. With minibatch discrimination G had none.
PAPER_DISCRIMINATOR = partial(ConvolutionalDiscriminator, slope=0.1, output_std=1.0, init_per_unit=False)
PAPER_GENERATOR = partial(ConvolutionalGenerator, output_std=1.0, init_per_unit=False)
UNINITIALIZED_GENERATOR = partial(ConvolutionalGenerator, output_std=None)
_NOISY: dict[str, Any] = {"input_dropout": 0.0, "input_noise": 0.2}  # D's input with minibatch discrimination
# Test error in %, mean and standard deviation over ten label subsets (paper, table 2).
_PAPER = {1000: "21.83 ± 2.01", 2000: "19.61 ± 2.09", 4000: "18.63 ± 2.32", 8000: "17.72 ± 1.82"}


def cifar10(labels: int | None = None) -> Recipe:
    """Semi-supervised CIFAR-10: feature matching of absolute differences, 1001 epochs at a constant rate of 0.0003.

    The settings of the authors' script of 8 June 2016 (commit 8be79d0), two days before the paper: leaky ReLU of slope
    0.1, at initialization one standard deviation of 1 for each layer, D's weights averaged over about 1,000 steps. (The
    average started at the initialized weights; here it is corrected for its start, which is the same after some
    thousand steps. On 12 June, in 4c858bb, G was no longer initialized from data.)

    Table 2, "our model". Expected: the paper's figures. Measured at full width: not yet (a step takes seconds on a CPU
    core: 500,000 of them need a GPU).
    """
    return replace(
        cifar10_released(labels),
        name="cifar10",
        summary="CIFAR-10, 50,000 images of 32x32, convolutional networks, settings of the paper's date",
        generator=partial(PAPER_GENERATOR, image_shape=IMAGE),
        discriminator=partial(PAPER_DISCRIMINATOR, image_shape=IMAGE, num_classes=10),
        epochs=1001,
        lr_decay_fraction=0.0,
        ema_decay=0.999,
    )


def cifar10_released(labels: int | None = None) -> Recipe:
    """`cifar10` with the settings of the authors' last release: 1200 epochs, the last 400 at a falling rate.

    The settings of 14 June 2016 (commits 30d4beb and 0fa06b5): slope 0.2, at initialization a standard deviation of 1
    for each unit and of 0.1 in the last layers, D's weights averaged over about 10,000 steps.

    Table 2, "our model". Expected: the paper's figures. Measured at full width: not yet.
    """
    num_labels = 4000 if labels is None else labels
    figure = _PAPER.get(num_labels)
    return Recipe(
        name="cifar10-released",
        summary="CIFAR-10, convolutional networks, settings of the authors' last release",
        load_data=_load,
        num_labels=num_labels,
        generator=partial(ConvolutionalGenerator, image_shape=IMAGE),
        discriminator=partial(ConvolutionalDiscriminator, image_shape=IMAGE, num_classes=10),
        objective=SemiSupervised(generator_loss=partial(feature_matching_loss, variant="released-cifar10")),
        epochs=1200,
        learning_rate=0.0003,
        lr_decay_fraction=1 / 3,
        ema_every=10,
        image_shape=IMAGE,
        num_classes=10,
        precision=AUTO,
        channels_last=True,
        paper=f"{figure}% wrong" if figure else "not in the paper",
    )


def cifar10_small(labels: int | None = None) -> Recipe:
    """`cifar10` at a third of its width, for machines without a GPU.

    Widths of 32 and 64 in D and of 168, 84 and 42 in G, 60 epochs, the last 30 at a falling rate, D's weights averaged
    over about 1,000 steps. The baseline on the labeled images is `cifar10-small-supervised`. Expected: no figure in the
    paper. Measured: not yet.
    """
    return replace(
        cifar10(labels),
        name="cifar10-small",
        summary="CIFAR-10 at a third of the paper's width, 60 epochs, for machines without a GPU",
        generator=partial(PAPER_GENERATOR, image_shape=IMAGE, widths=(168, 84, 42)),
        discriminator=partial(PAPER_DISCRIMINATOR, image_shape=IMAGE, num_classes=10, widths=(32, 64)),
        epochs=60,
        lr_decay_fraction=0.5,
        paper="not in the paper",
    )


def cifar10_small_supervised(labels: int | None = None) -> Recipe:
    """The supervised baseline of `cifar10-small`: its discriminator, trained on the labeled images alone.

    Its best length is shorter than that of the GAN: choose `--epochs` on images that no run uses. Expected: no figure
    in the paper. Measured: not yet.
    """
    return replace(
        cifar10_small(labels),
        name="cifar10-small-supervised",
        summary="supervised baseline: the discriminator of `cifar10-small` without unlabeled images and without a GAN",
        generator=None,
        objective=SupervisedBaseline(),
    )


def cifar10_supervised(labels: int | None = None) -> Recipe:
    """The supervised baseline: the same discriminator, trained as long on the labeled images alone.

    Expected: no figure in the paper. Measured: at a sixth of the width only (docs/results.md): 43.6% wrong after 30
    epochs, where the GAN has 41.9%.
    """
    return replace(
        cifar10(labels),
        name="cifar10-supervised",
        summary="supervised baseline: the discriminator of `cifar10` without unlabeled images and without a GAN",
        generator=None,
        objective=SupervisedBaseline(),
        paper="not in the paper",
    )


def cifar10_generation(labels: int | None = None) -> Recipe:
    """CIFAR-10 samples: minibatch discrimination in place of feature matching, three updates of G for each of D.

    The settings of the authors' script of 8 June 2016 (commit 8be79d0): 500 epochs at 0.0003, the last 200 at a falling
    rate, the weights of D tested as they are; D's slope and initialization as in `cifar10`, and G is not initialized
    from data.

    Section 6.2, figure 4. Expected: annotators distinguish samples from real images in 78.7% of votes, where 50% is
    chance (21.3% error). Measured: not yet at full width.
    """
    return replace(
        cifar10_generation_released(labels),
        name="cifar10-generation",
        summary="CIFAR-10 samples: minibatch discrimination, input noise in place of dropout, labels as K+1 classes",
        generator=partial(UNINITIALIZED_GENERATOR, image_shape=IMAGE),
        discriminator=partial(
            PAPER_DISCRIMINATOR, image_shape=IMAGE, num_classes=10, minibatch=PAPER_KERNELS, **_NOISY
        ),
        epochs=500,
        lr_decay_fraction=0.4,
        ema_decay=0.0,
        ema_every=1,
    )


def cifar10_generation_released(labels: int | None = None) -> Recipe:
    """`cifar10-generation` with the settings of the authors' last release: 1200 epochs, the last 400 falling.

    Section 6.2, figure 4. Expected: as for `cifar10-generation`. Measured: not yet at full width.
    """
    return replace(
        cifar10_released(labels),
        name="cifar10-generation-released",
        summary="CIFAR-10 samples: minibatch discrimination, settings of the authors' last release",
        discriminator=partial(
            ConvolutionalDiscriminator, image_shape=IMAGE, num_classes=10, minibatch=RELEASED_KERNELS, **_NOISY
        ),
        objective=Adversarial(generator_loss=minimax_generator_loss, adversarial_weight=0.5, supervised_weight=1.0),
        generator_updates=3,
        paper="78.7% of annotators' votes right, where 50% is chance",
    )


def _load(folder: Path | None) -> Dataset:
    return load_cifar10(folder)


# What the paper calls a column -> what the recipe's name ends in, and the paper's Inception score.
COLUMNS = {
    "our methods": ("", "8.09 ± .07"),
    "-VBN+BN": ("-batch-norm", "7.54 ± .07"),
    "-L+HA": ("-historical-averaging", "6.86 ± .06"),
    "-LS": ("-no-smoothing", "6.83 ± .06"),
    "-L": ("-no-labels", "4.36 ± .04"),
    "-MBF": ("-no-minibatch-features", "3.87 ± .03"),
}
# The paper gives none; at 1 the penalty's gradient is hundreds of times that of the loss and nothing is learned.
_HISTORICAL_WEIGHT = 0.01


def all_techniques(labels: int | None = None) -> Recipe:
    """CIFAR-10 samples with all techniques but feature matching and historical averaging.

    Table 3, "Our methods". Expected: Inception score 8.09 ± .07 of 50,000 samples. Measured: at full width
    not yet; the six columns at 14x14 pixels are in docs/results.md.

    Args:
        labels: how many of the 50,000; default all.
    """
    return replace(
        cifar10_released(50_000 if labels is None else labels),
        name="cifar10-samples",
        summary="CIFAR-10 samples with all techniques of the paper but feature matching and historical averaging",
        generator=partial(ReferenceGenerator, partial(ConvolutionalGenerator, image_shape=IMAGE)),
        discriminator=partial(
            ConvolutionalDiscriminator,
            image_shape=IMAGE,
            num_classes=10,
            minibatch=RELEASED_KERNELS,
            **_NOISY,
        ),
        objective=Adversarial(discriminator_loss=smoothed_discriminator_loss, supervised_weight=1.0),
        score_samples=50_000,
        paper=f"Inception score {COLUMNS['our methods'][1]}",
    )


def ablated(recipe: Recipe, column: str) -> Recipe:
    """One column of the table, derived from a recipe that has all methods on.

    Args:
        recipe: with a `ReferenceGenerator`, a discriminator with minibatch discrimination, and the `Adversarial`
            objective with smoothing and labels.
        column: a name of `COLUMNS`.

    Raises:
        RecipeError: no such column, or a recipe of another kind.

    >>> ablated(all_techniques(), "-L").num_labels
    0
    """
    if column not in COLUMNS:
        raise RecipeError(f"no column is called {column!r}: there are {', '.join(COLUMNS)}")
    generator, discriminator, objective = recipe.generator, recipe.discriminator, recipe.objective
    if not (
        isinstance(generator, partial)
        and generator.func is ReferenceGenerator
        and isinstance(discriminator, partial)
        and isinstance(objective, Adversarial)
    ):
        raise RecipeError(f"{recipe.name} does not have all techniques, so none can be removed from it")
    unlabeled = {"num_labels": 0, "objective": replace(objective, supervised_weight=0.0)}
    changes: dict[str, dict[str, object]] = {
        "our methods": {},
        "-VBN+BN": {"generator": generator.args[0]},
        "-L+HA": {**unlabeled, "historical_averaging_weight": _HISTORICAL_WEIGHT},
        "-LS": {"objective": replace(objective, discriminator_loss=adversarial_discriminator_loss)},
        "-L": unlabeled,
        "-MBF": {"discriminator": partial(discriminator, minibatch=None)},
    }
    suffix, figure = COLUMNS[column]
    summary = f"{recipe.summary}; {column}" if suffix else recipe.summary
    texts = {"name": f"{recipe.name}{suffix}", "paper": f"Inception score {figure}", "summary": summary}
    return replace(recipe, **{**texts, **changes[column]})  # type: ignore[arg-type]


def batch_norm(labels: int | None = None) -> Recipe:
    """Table 3, "-VBN+BN": plain batch norm in G.

    Expected: Inception score 7.54 ± .07. Measured: not yet (docs/results.md).
    """
    return ablated(all_techniques(labels), "-VBN+BN")


def historical_averaging(labels: int | None = None) -> Recipe:
    """Table 3, "-L+HA": no labels, historical averaging of both networks instead.

    Expected: Inception score 6.86 ± .06. Measured: not yet (docs/results.md).
    """
    return _without_labels("-L+HA", labels)


def no_smoothing(labels: int | None = None) -> Recipe:
    """Table 3, "-LS": no label smoothing.

    Expected: Inception score 6.83 ± .06. Measured: not yet (docs/results.md).
    """
    return ablated(all_techniques(labels), "-LS")


def no_labels(labels: int | None = None) -> Recipe:
    """Table 3, "-L": no labels.

    Expected: Inception score 4.36 ± .04. Measured: not yet (docs/results.md).
    """
    return _without_labels("-L", labels)


def no_minibatch_features(labels: int | None = None) -> Recipe:
    """Table 3, "-MBF": no minibatch features.

    Expected: Inception score 3.87 ± .03. Measured: not yet (docs/results.md).
    """
    return ablated(all_techniques(labels), "-MBF")


ABLATIONS = {
    "cifar10-samples": all_techniques,
    "cifar10-samples-batch-norm": batch_norm,
    "cifar10-samples-historical-averaging": historical_averaging,
    "cifar10-samples-no-smoothing": no_smoothing,
    "cifar10-samples-no-labels": no_labels,
    "cifar10-samples-no-minibatch-features": no_minibatch_features,
}


def _without_labels(column: str, labels: int | None) -> Recipe:
    recipe = ablated(all_techniques(), column)
    if labels:
        raise RecipeError(f"{recipe.name} is trained without labels: leave out --labels")
    return recipe
