"""Names and options of `improved-gan train`, beside cli.py; imports nothing slow."""

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
from improved_gan.commands.train_options import (
    MAX_SEED,
    ChannelsLast,
    Compile,
    DataFolder,
    GeneratorSteps,
    MicroBatch,
    Precision,
)
from improved_gan.commands.trust import TrustOption

__all__ = ["OneRecipe", "train"]


class OneRecipe(TyperCommand):
    """Names the missing option if a folder or a labels file is given as an extra argument."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Refuse extra arguments after the recipe, with the remedy.

        Raises:
            RecipeError: there are extra arguments.
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


Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 ...; default: a GPU if there is one.")]
ScoreWith = Annotated[
    str | None, typer.Option(help="Network that scores samples: inception, a run folder, or module:function.")
]

Models = Annotated[
    int,
    typer.Option(
        "--num-models",
        help="Train N models with different seeds at once (torch.func.vmap); run folders in --out.",
        min=1,
    ),
]
Epochs = Annotated[int | None, typer.Option(help="Epochs; default: the recipe's.")]
EvalSamples = Annotated[int | None, typer.Option(help="Number of samples that are scored; default: 10,000.", min=1)]


def train(
    recipe: RecipeName = None,
    labels: Labels = None,
    seed: Annotated[int, typer.Option(help="Seed of initialization, batches and noise.", min=0, max=MAX_SEED)] = 1,
    split_seed: SplitSeed = None,
    epochs: Epochs = None,
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
    eval_every: Annotated[int, typer.Option(help="Epochs between scores; 0: only at the end.", min=0)] = 0,
    eval_samples: EvalSamples = None,
    trust: TrustOption = False,
    models: Models = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Check the options, estimate the time, and stop.")
    ] = False,
    images: Images = None,
    num_labels: NumLabels = None,
    size: Size = None,
    validation: Validation = None,
    value_range: Values = None,
    data_cache: DataCache = None,
    workers: Workers = None,
    list_recipes: Annotated[bool, typer.Option("--list", help="List the recipes with the paper's results.")] = False,
) -> None:
    """Train a recipe; the same command continues a run that was stopped.

    On Ctrl-C and SIGTERM the step is finished and a checkpoint saved. A resumed run gives the same numbers as an
    uninterrupted one (same machine, same threads). Several processes:
    `torchrun --nproc-per-node 2 -m improved_gan train ...`.

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
