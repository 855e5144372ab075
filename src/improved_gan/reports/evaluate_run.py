"""The parts of a report that need the run's networks and data; for an unavailable part, the reason."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from improved_gan.data.dataset import DataError, Dataset, LabeledImages
from improved_gan.data.download import offline
from improved_gan.networks.interface import Discriminator
from improved_gan.recipes.recipe import RecipeError
from improved_gan.reports.training_neighbors import CopyCheck, check_copies
from improved_gan.runs import Run
from improved_gan.runs.networks import logits_of
from improved_gan.runs.own_code import Trust
from improved_gan.training.errors import RunError
from improved_gan.training.sampling import sample

__all__ = ["ClassifiedImages", "Evidence", "find_data", "gather"]

_SEED = 0
_MOST_CLASSIFIED, _MOST_COMPARED = 10_000, 200


@dataclass(frozen=True)
class ClassifiedImages:
    """Test images and the class probabilities of the classifier with averaged weights."""

    images: LabeledImages
    probabilities: Tensor  # (N, K)
    num_test: int  # labeled test images in all; `images` may be a random subset of these
    shown_images: Tensor  # (N, C, H, W) uint8 to show: the images, or those that embeddings are of


@dataclass(frozen=True)
class Evidence:
    """The results for one run; None where a part is unavailable, and then `missing` holds the reason.

    Args:
        step: step of the checkpoint.
        classified: test images with their class probabilities.
        samples: newly drawn samples (N, C, H, W) uint8.
        copy_check: nearest training images of the samples.
        data: the run's data.
        missing: reason by part ("classifier", "neighbors").
    """

    step: int | None
    classified: ClassifiedImages | None
    samples: Tensor | None
    copy_check: CopyCheck | None
    data: Dataset | None
    missing: Mapping[str, str]


def gather(
    run: Run,
    *,
    data_folder: Path | None,
    device: str,
    say: Callable[[str], None],
    warn: Callable[[str], None],
    trust: Trust = False,
) -> Evidence:
    """Load networks and data if available, classify the test images, compare samples with training images.

    Args:
        run: the run; its folder holds the networks.
        data_folder: as for `train`; None searches where `train` does, but downloads nothing.
        device: device of the networks.
        say: called with a line before each slow part.
        warn: called with a line for each damaged checkpoint.
        trust: whether to execute the recipe file in the run folder; if not, the parts that need it are missing.
    """
    try:
        networks = run.load(device=device, warn=warn, trust=trust)
    except (RunError, RecipeError) as error:
        return Evidence(None, None, None, None, None, dict.fromkeys(("classifier", "neighbors"), str(error)))
    samples = sample(networks.generator, _MOST_COMPARED, seed=_SEED) if run.has_generator else None
    try:
        data = _without_held_out(find_data(run, data_folder, trust=trust))
    except (DataError, RunError, RecipeError) as error:
        missing = dict.fromkeys(("classifier", "neighbors"), f"the data was not found: {error}")
        return Evidence(networks.step, None, samples, None, None, missing)
    missing = {} if run.has_generator else {"neighbors": "the run trains no GAN, so it has no samples"}
    classified = None
    if reason := _no_classes(run, data):
        missing["classifier"] = reason
    else:
        say(f"{run.name}: classifying {min(len(data.test), _MOST_CLASSIFIED)} {data.test_kind} images")
        shown_images = data.test.images if data.shown_images is None else data.shown_images[1]
        batch_size = run.settings["values"]["batch_size"]
        classified = _classify(networks.discriminator, data.test, shown_images, device, batch_size)
        if classified is None:
            missing["classifier"] = "the discriminator has no class outputs"
        elif bad := int((~classified.probabilities.isfinite().all(1)).sum()):
            missing["classifier"] = f"it gives NaN for {bad} of {len(classified.images)} images"
            classified = None
    copies = None
    if samples is not None:
        say(f"{run.name}: comparing {len(samples)} samples with {len(data.train)} training images")
        unseen = data.test.images[_chosen(len(data.test), _MOST_COMPARED)] if len(data.test) else None
        copies = check_copies(samples, data.train.images, unseen)
    return Evidence(networks.step, classified, samples, copies, data, missing)


def find_data(run: Run, folder: Path | None, *, trust: Trust = False) -> Dataset:
    """The data that the run was trained on; nothing is downloaded.

    Raises:
        DataError: not found, or not the data of this run.
        RunError: the run's recipe file loads the data, and `trust` forbids executing it.
    """
    with offline():
        data = run.recipe(trust=trust).load_data(folder)
    split = run.settings["label_split"]
    same = tuple(data.image_shape) == run.image_shape
    if same:
        same = split["num_images"] == len(data.train) and _labels_agree(split, data)
    if not same:
        raise DataError(
            f"the data found has {len(data.train)} training images {tuple(data.image_shape)}, and it is not what "
            f"{run.path} was trained on: name the folder with --data"
        )
    return data


def _without_held_out(data: Dataset) -> Dataset:
    """The data without held-out images: a sample near one of these is no copy of a training image."""
    if not data.held_out:
        return data
    kept = torch.ones(len(data.train), dtype=torch.bool)
    kept[list(data.held_out)] = False
    train = LabeledImages(data.train.images[kept], data.train.labels[kept])
    shown_images = None if data.shown_images is None else (data.shown_images[0][kept], data.shown_images[1])
    return replace(data, train=train, held_out=(), shown_images=shown_images)


def _labels_agree(split: Mapping[str, Any], data: Dataset) -> bool:
    indices = torch.tensor(split.get("indices", []), dtype=torch.int64)
    return data.train.labels[indices].tolist() == list(split.get("labels", []))


def _no_classes(run: Run, data: Dataset) -> str:
    if len(run.class_names) < 2 or not run.log.learned_classes:
        return "the run was trained without labels"
    if len(data.test) == 0 or not bool((data.test.labels >= 0).any()):
        return f"the data has no {data.test_kind} images with labels"
    return ""


def _classify(
    discriminator: Discriminator, test: LabeledImages, shown_images: Tensor, device: str, batch_size: int
) -> ClassifiedImages | None:
    """Class probabilities of labeled test images, at most ten thousand; None without class outputs."""
    known = test.labels >= 0
    if not bool(known.all()):
        test, shown_images = LabeledImages(test.images[known], test.labels[known]), shown_images[known]
    chosen = _chosen(len(test), _MOST_CLASSIFIED)
    some = LabeledImages(test.images[chosen], test.labels[chosen])
    _, logits = logits_of(discriminator, some.images, device=device, batch_size=batch_size)
    if logits.dim() != 2 or logits.shape[1] < 2:
        return None
    return ClassifiedImages(some, logits.double().softmax(1), int(known.sum()), shown_images[chosen])


def _chosen(size: int, num: int) -> Tensor | slice:
    """Rows: all, or `num` of them drawn with a fixed seed."""
    if size <= num:
        return slice(None)
    return torch.randperm(size, generator=torch.Generator().manual_seed(_SEED))[:num].sort().values
