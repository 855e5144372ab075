"""What a report finds out anew: the run's networks on its data. What is missing is said in words, never an error."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from improved_gan.data import DataError, Dataset
from improved_gan.data.dataset import LabeledImages, to_float01
from improved_gan.data.download import offline
from improved_gan.networks import Discriminator
from improved_gan.recipes.load_run import Trained, load_trained, recipe_of_run
from improved_gan.recipes.own_code import Trust
from improved_gan.recipes.recipe import RecipeError
from improved_gan.reports.run_log import RunRecord
from improved_gan.reports.training_neighbors import Memory, memory
from improved_gan.training.errors import RunError
from improved_gan.training.sampling import sample

__all__ = ["Evidence", "Judged", "find_data", "gather"]

_SEED = 0
_MOST_JUDGED, _MOST_COMPARED = 10_000, 200
_JUDGED_AT_ONCE = 256


@dataclass(frozen=True)
class Judged:
    """Test images and what the classifier with averaged weights makes of them."""

    images: LabeledImages
    probabilities: Tensor  # (N, K)
    num_test: int  # of which the images are a random part where they are fewer


@dataclass(frozen=True)
class Evidence:
    """What could be found out about one run; None where it could not, and then `missing` says why, by part.

    Args:
        step: of the checkpoint.
        judged: the classifier on test images.
        samples: fresh samples (N, C, H, W) uint8.
        memory: their nearest training images.
        data: the run's data.
        missing: "classifier", "neighbors" -> why there is none.
    """

    step: int | None
    judged: Judged | None
    samples: Tensor | None
    memory: Memory | None
    data: Dataset | None
    missing: Mapping[str, str]


def gather(
    run: RunRecord,
    *,
    data_folder: Path | None,
    device: str,
    say: Callable[[str], None],
    warn: Callable[[str], None],
    trust: Trust = False,
) -> Evidence:
    """Load networks and data as far as they are to be had, judge the test images, compare samples.

    Args:
        run: whose folder holds the networks.
        data_folder: as `train` takes it; None looks where `train` does, but downloads nothing.
        device: where the networks shall run.
        say: told what takes time.
        warn: told of damaged checkpoints.
        trust: whether to execute the recipe file that the run keeps; where it is not, that is what is missing.
    """
    try:
        trained = load_trained(run.path, device=device, warn=warn, trust=trust)
    except (RunError, RecipeError) as error:
        return Evidence(None, None, None, None, None, dict.fromkeys(("classifier", "neighbors"), str(error)))
    samples = sample(trained.generator, _MOST_COMPARED, seed=_SEED)
    try:
        data = _without_held_out(find_data(run, data_folder, trust=trust))
    except (DataError, RunError, RecipeError) as error:
        missing = dict.fromkeys(("classifier", "neighbors"), f"the data is not at hand: {error}")
        return Evidence(trained.step, None, samples, None, None, missing)
    missing = {}
    judged = None
    if reason := _no_classes(run, trained, data):
        missing["classifier"] = reason
    else:
        say(f"{run.name}: judging {min(len(data.test), _MOST_JUDGED)} {data.test_kind} images")
        judged = _judge(trained.discriminator, data.test, device)
        if judged is None:
            missing["classifier"] = "the discriminator says only whether an image is real: there are no classes"
    say(f"{run.name}: comparing {len(samples)} samples with {len(data.train)} training images")
    unseen = _some(data.test, _MOST_COMPARED).images if len(data.test) else None
    return Evidence(trained.step, judged, samples, memory(samples, data.train.images, unseen), data, missing)


def find_data(run: RunRecord, folder: Path | None, *, trust: Trust = False) -> Dataset:
    """The data that the run was trained on; nothing is downloaded.

    Raises:
        DataError: not at hand, or not the data of this run.
        RunError: the run's own code says where the data is, and `trust` does not let it be executed.
    """
    with offline():
        recipe = recipe_of_run(run.path, run.settings, code_sha256=run.code_sha256, trust=trust)
        data = recipe.load_data(folder)
    split = run.settings.get("label_split")
    same = tuple(data.image_shape) == run.image_shape
    if same and isinstance(split, dict):
        same = split["num_images"] == len(data.train) and _labels_agree(split, data)
    if not same:
        raise DataError(
            f"the data found has {len(data.train)} training images {tuple(data.image_shape)}, and it is not what "
            f"{run.path} was trained on: name the folder with --data"
        )
    return data


def _without_held_out(data: Dataset) -> Dataset:
    """With the images alone that training saw: a sample near a validation image is no copy."""
    if not data.held_out:
        return data
    kept = torch.ones(len(data.train), dtype=torch.bool)
    kept[list(data.held_out)] = False
    return replace(data, train=LabeledImages(data.train.images[kept], data.train.labels[kept]), held_out=())


def _labels_agree(split: Mapping[str, Any], data: Dataset) -> bool:
    places = torch.tensor(split.get("indices", []), dtype=torch.int64)
    return data.train.labels[places].tolist() == list(split.get("labels", []))


def _no_classes(run: RunRecord, trained: Trained, data: Dataset) -> str:
    if len(trained.class_names) < 2 or not run.learnt_classes:
        return "the run was trained without labels"
    if len(data.test) == 0 or not bool((data.test.labels >= 0).any()):
        return f"the data has no {data.test_kind} images with labels"
    return ""


def _judge(discriminator: Discriminator, test: LabeledImages, device: str) -> Judged | None:
    """Class probabilities of labeled test images, at most ten thousand; None where D gives no classes."""
    known = test.labels >= 0
    some = _some(test if bool(known.all()) else LabeledImages(test.images[known], test.labels[known]), _MOST_JUDGED)
    parts = []
    with torch.no_grad():
        for images in torch.split(some.images, _JUDGED_AT_ONCE):
            logits = discriminator(to_float01(images.to(device))).logits
            if logits.dim() != 2 or logits.shape[1] < 2:
                return None
            parts.append(logits.double().softmax(1).cpu())
    return Judged(some, torch.cat(parts), int(known.sum()))


def _some(images: LabeledImages, num: int) -> LabeledImages:
    """All, or `num` at random, the same every time."""
    if len(images) <= num:
        return images
    chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(_SEED))[:num].sort().values
    return LabeledImages(images.images[chosen], images.labels[chosen])
