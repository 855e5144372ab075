"""Names and options of `improved-gan train`: they are many, so they stand beside cli.py; imports nothing slow."""

from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperCommand

from improved_gan.commands.folder_options import (
    DataCache,
    Images,
    Labels,
    NumLabels,
    RecipeName,
    Size,
    SplitSeed,
    Validation,
    Values,
    Workers,
)
from improved_gan.commands.train_options import ChannelsLast, Compile, DataFolder, GeneratorSteps, MicroBatch, Precision
from improved_gan.commands.trust import TrustOption

__all__ = ["OneRecipe", "train"]

MAX_SEED = 2**32 - 1  # what NumPy takes


class OneRecipe(TyperCommand):
    """Says which option was meant where a folder or a labels file is given as one more word."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Words after the recipe are refused with the remedy.

        Raises:
            RecipeError: there are some.
        """
        ctx.allow_extra_args = True
        super().parse_args(ctx, args)
        if ctx.args:
            from improved_gan.recipes.recipe import RecipeError

            recipe, first = ctx.params.get("recipe"), ctx.args[0]
            option = "--labels" if Path(first).suffix.lower() in (".csv", ".tsv") else "--images"
            remedy = f"say {option} {first}" if recipe == "folder" else "train takes one recipe at a time"
            raise RecipeError(f"{' '.join(ctx.args)} after the recipe {recipe}: {remedy}")
        return ctx.args


Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 ...; default: a GPU where there is one.")]
ScoreWith = Annotated[
    str | None, typer.Option(help="Score samples: inception, a run folder, or module:function of your own.")
]

Models = Annotated[
    int, typer.Option("--num-models", help="Models with seeds of their own, in one step each; --out holds them.", min=1)
]


def train(
    recipe: RecipeName = None,
    labels: Labels = None,
    seed: Annotated[int, typer.Option(help="Decides networks, batches and noise.", min=0, max=MAX_SEED)] = 1,
    split_seed: SplitSeed = None,
    epochs: Annotated[int | None, typer.Option(help="Length of the run; default: the recipe's.")] = None,
    data: DataFolder = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default: runs/RECIPE-LABELS-seedSEED.")] = None,
    device: Device = None,
    precision: Precision = None,
    generator_steps: GeneratorSteps = None,
    micro_batch: MicroBatch = None,
    compile_networks: Compile = None,
    channels_last: ChannelsLast = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads; default: PyTorch's choice.", min=1)] = None,
    save_every: Annotated[float, typer.Option(help="Seconds between checkpoints.", min=0)] = 60.0,
    eval_network: ScoreWith = None,
    eval_every: Annotated[int, typer.Option(help="Epochs between scores; 0: at the end alone.", min=0)] = 0,
    eval_samples: Annotated[
        int | None, typer.Option(help="How many samples are scored; default: 10,000.", min=1)
    ] = None,
    trust: TrustOption = False,
    models: Models = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would be done, and stop.")] = False,
    images: Images = None,
    num_labels: NumLabels = None,
    size: Size = None,
    validation: Validation = None,
    value_range: Values = None,
    data_cache: DataCache = None,
    workers: Workers = None,
    list_recipes: Annotated[bool, typer.Option("--list", help="Show the recipes with the paper's figures.")] = False,
) -> None:
    """Train a GAN by a recipe; the same command again continues a run that was stopped.

    Ctrl-C and SIGTERM finish the step and save. A run that continues ends with the same numbers as one that was never
    stopped (same machine, same threads). Several processes: `torchrun --nproc-per-node 2 -m improved_gan train ...`.

    Examples: `improved-gan train digits`, `improved-gan train mnist --labels 100 --data DIR --out runs/mnist`,
    `improved-gan train folder --images photos --labels labels.csv`.
    """
    chosen = dict(locals())  # most of the parameters above are fields of TrainOptions, by name
    from rich.console import Console

    if list_recipes:
        from improved_gan.commands.recipes import list_all

        list_all(Console())
        return
    if recipe is None:
        raise typer.BadParameter("name a recipe, or see `improved-gan train --list`", param_hint="RECIPE")
    from improved_gan.commands.train import TrainOptions, run_training
    from improved_gan.commands.train_folder import ImageOptions, labels_or_file

    num, labels_file = labels_or_file(labels, num_labels)
    own = ImageOptions(images, labels_file, size, validation, data_cache, workers, value_range)
    chosen["compile"] = compile_networks
    given = {field.name: chosen[field.name] for field in fields(TrainOptions) if field.name in chosen}
    run_training(TrainOptions(**{**given, "labels": num, "own": own}), Console())
