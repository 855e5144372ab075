"""Load the networks of a trained run from its `recipe.json` and its newest checkpoint."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from improved_gan.networks import Discriminator, Generator
from improved_gan.recipes.folder import folder_again
from improved_gan.recipes.own_code import Trust, code_of_run
from improved_gan.recipes.recipe import Recipe
from improved_gan.recipes.registry import built_in, from_code
from improved_gan.techniques import WeightEMA
from improved_gan.training.checkpoints import load_newest
from improved_gan.training.errors import RunError
from improved_gan.training.run_folder import DESCRIPTIVE_FIELDS, RunFolder
from improved_gan.training.sampling import ema_generator
from improved_gan.training.state import with_prefix

__all__ = ["Trained", "choose_device", "load_trained", "recipe_of_run"]


@dataclass(frozen=True)
class Trained:
    """A run's networks: D with averaged weights, both in evaluation mode."""

    generator: Generator
    discriminator: Discriminator
    settings: dict[str, Any]
    step: int

    @property
    def class_names(self) -> list[str]:
        """Names of the K classes."""
        return list(self.settings["class_names"])

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(C, H, W) of an image."""
        return tuple(self.settings["image_shape"])


def load_trained(path: Path, *, device: str = "cpu", warn: Callable[[str], None], trust: Trust = False) -> Trained:
    """Build the networks of a run and load its newest intact checkpoint.

    A run of a recipe file has a copy of it, which is executed here only if it is trusted (see `recipes.own_code`).

    Args:
        path: the run folder.
        device: of the networks.
        warn: called with a line about each damaged checkpoint that was skipped.
        trust: whether to execute the copy of a recipe file in the folder.

    Raises:
        RunError: no run folder, no checkpoint, one that does not fit, or code that is not trusted.
    """
    folder = RunFolder(path)
    stored = folder.trained_recipe()
    settings = stored["settings"]
    recipe = recipe_of_run(path, settings, code_sha256=stored.get("code_sha256"), trust=trust)
    # Settings of the command line are taken from the run; all others must be unchanged.
    values = settings["values"]
    recipe = replace(
        recipe,
        epochs=settings["epochs"],
        precision=values["precision"],
        generator_steps=values.get("generator_steps", 1),
    )
    now = json.loads(json.dumps(recipe.as_dict()))
    if changed := [key for key, value in values.items() if key not in DESCRIPTIVE_FIELDS and now.get(key) != value]:
        raise RunError(f"{path} was made with other values of {', '.join(changed)} than recipe {recipe.name} has now")
    tensors = load_newest(folder.checkpoints, fingerprint=stored["fingerprint"], warn=warn)
    if tensors is None:
        raise RunError(f"{path} has no checkpoint yet: train it first")
    try:
        generator, discriminator = recipe.generator(), recipe.discriminator()
        average = WeightEMA(discriminator, recipe.ema_decay, every=recipe.ema_every)
        for prefix, module in {"generator": generator, "discriminator": discriminator, "average": average}.items():
            module.load_state_dict(with_prefix(tensors, prefix))
        if recipe.generator_ema_decay is not None:
            generator_ema = WeightEMA(generator, recipe.generator_ema_decay)
            generator_ema.load_state_dict(with_prefix(tensors, "generator_ema"))
            generator = ema_generator(generator, generator_ema)
        step = int(tensors["progress.step"])
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        raise RunError(f"the checkpoint in {path} does not fit the networks of its recipe: {error}") from error
    averaged = average.averaged(discriminator)
    assert isinstance(averaged, Discriminator)
    return Trained(generator.to(device).eval(), averaged.to(device).eval(), settings, step)


def recipe_of_run(
    path: Path, settings: Mapping[str, Any], *, code_sha256: str | None = None, trust: Trust = False
) -> Recipe:
    """The recipe of a run: from the copy of its recipe file, which is executed, or the built-in recipe of that name.

    Args:
        path: the run folder.
        settings: of its `recipe.json`.
        code_sha256: of its `recipe.json` too; None for a run of a built-in recipe.
        trust: whether to execute the copy.

    Raises:
        RunError: code that is missing, changed or not trusted.
        RecipeError: no such recipe, or a file that defines none.
    """
    labels = settings["label_split"]["num_labels"]
    code = code_of_run(path, code_sha256, trust)
    if code is not None:
        return from_code(code, RunFolder(path).code_file, labels=labels)
    if settings["recipe"] == "folder":
        return folder_again(dict(settings), run=path)
    return built_in(settings["recipe"], labels=labels)


def choose_device(name: str | None) -> str:
    """The named device; without a name a GPU if there is one, otherwise the CPU.

    Raises:
        RunError: the device is not available.
    """
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        if torch.device(name).type not in ("cpu", "cuda"):
            raise RunError(f"device {name!r} is not supported: use cpu or cuda")
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise RunError(
            f"device {name!r} is not available here ({str(error).splitlines()[0]}): try --device cpu"
        ) from error
    return name
