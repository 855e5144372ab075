"""The runs that a table needs: every label budget, split and seed, each a run folder of `improved-gan train`.

Split s is drawn with split seed s. Its first model has the training seed s as well, so that it is the run of
`improved-gan train RECIPE --seed s`; model k of the same split has the seed s + 1000 (k - 1).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch.nn.modules.conv import _ConvNd

from improved_gan.recipes import RECIPES, RecipeError
from improved_gan.recipes.registry import find_recipe
from improved_gan.reproduction.tables import TABLES, WRONG, PaperTable, Row
from improved_gan.runs import Run
from improved_gan.training.vmapped import not_vmappable_reasons

__all__ = ["Job", "Plan", "RunOptions", "make_plan", "run_name", "training_seed"]

MOST_SPLITS = 1000  # a further split would share its training seed with the second model of the first split


def training_seed(first: int, model: int) -> int:
    """Training seed of a model, counted from 1, of the split whose first model has the seed `first`."""
    return first + MOST_SPLITS * (model - 1)


def run_name(split: int, seed: int) -> str:
    """Name of a run folder among those of one recipe and budget."""
    return f"split-{split}-seed-{seed}"


@dataclass(frozen=True)
class RunOptions:
    """Options of every run of a table; None: the default of the recipe or the machine."""

    epochs: int | None = None
    precision: str | None = None
    data: Path | None = None
    device: str | None = None
    save_every: float = 60.0
    eval_network: str | None = None
    trust: bool = False


@dataclass(frozen=True)
class Job:
    """One run of a table.

    Args:
        recipe: a name, or the path of a recipe file.
        labels: the budget; None for all labels as they are given.
        split: number of the label split, from 1; its seed.
        model: number of the model on this split, from 1.
        group: folder of the runs with this recipe and budget.
        epochs: epochs of the run.
        options: options of all runs.
        models: number of models, from this one on, that are trained at once with vmap, each in its own folder.
    """

    recipe: str
    labels: int | None
    split: int
    model: int
    group: Path
    epochs: int
    options: RunOptions
    models: int = 1

    @property
    def seed(self) -> int:
        """The training seed."""
        return training_seed(self.split, self.model)

    @property
    def name(self) -> str:
        """Name of its folder."""
        return run_name(self.split, self.seed)

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.group / self.name

    def single(self) -> list["Job"]:
        """One job per model."""
        return [replace(self, model=self.model + index, models=1) for index in range(self.models)]

    def sidecar_path(self, suffix: str) -> Path:
        """A file next to the run folder, whose content only the training writes."""
        return self.group / f"{self.name}.{suffix}"

    def arguments(self, *, threads: int, device: str | None) -> list[str]:
        """Arguments of `improved-gan` for this run."""
        options = self.options
        words = ["train", self.recipe, *([] if self.labels is None else ["--labels", self.labels])]
        words += ["--seed", self.seed, "--split-seed", self.split]
        words += ["--out", self.folder if self.models == 1 else self.group]
        words += ["--threads", threads, "--save-every", options.save_every]
        words += ["--num-models", self.models] if self.models > 1 else []
        given = {"--epochs": options.epochs, "--precision": options.precision, "--data": options.data}
        for name, value in {
            **given,
            "--eval-network": options.eval_network,
            "--device": device or options.device,
        }.items():
            words += [] if value is None else [name, value]
        return [str(word) for word in words] + ["--trust"] * options.trust


@dataclass(frozen=True)
class Plan:
    """A table with all its runs.

    Args:
        table: measure, title and rows; the rows' figures are the paper's, or None if it has none.
        jobs: of each row, by split and model; None for a row without a recipe.
        splits, models: number of splits, and of models per split.
        ensemble: number of models of one split that are averaged.
    """

    table: PaperTable
    jobs: dict[Row, list[Job] | None]
    splits: int
    models: int
    ensemble: int

    def all_jobs(self) -> list[Job]:
        """Every run, the first model of every split of a row before any second one."""
        return [job for jobs in self.jobs.values() for job in jobs or ()]

    def grouped_jobs(self, *, convolutions: bool = True) -> list[Job]:
        """The same with all models of a split in one job, if vmap can train them together.

        Args:
            convolutions: also for networks with convolutions.
        """
        result: list[Job] = []
        for jobs in self.jobs.values():
            if self.models > 1 and jobs and _is_vmappable(jobs[0], convolutions):
                result += [replace(job, models=self.models) for job in jobs if job.model == 1]
            else:
                result += jobs or []
        return result


def make_plan(
    table: str | None,
    *,
    recipe: str | None,
    labels: Sequence[int],
    splits: int,
    models: int,
    ensemble: int,
    out: Path,
    options: RunOptions,
) -> Plan:
    """The runs that a table needs.

    Args:
        table: a name of `TABLES`; None if a recipe is given.
        recipe: replaces the table's recipe; the paper's results are kept if the data is the same.
        labels: label budgets; empty for all of the table, or for the recipe's own.
        splits: number of label splits.
        models: number of models per split.
        ensemble: number of models of one split that are averaged.
        out: folder for one folder per recipe and budget.
        options: options of every run.

    Raises:
        RecipeError: no such table or recipe, or a number out of its range.
        RunError: a run folder holds another run.
    """
    if not 1 <= splits <= MOST_SPLITS:
        raise RecipeError(f"splits must lie between 1 and {MOST_SPLITS}; got {splits}")
    if ensemble < 2:
        raise RecipeError(f"an ensemble has at least 2 models; got {ensemble}")
    chosen = _choose_rows(_find_table(table, recipe), recipe, labels)
    jobs = {row: _jobs(row, splits=splits, models=models, out=out, options=options) for row in chosen.rows}
    return Plan(chosen, jobs, splits, models, ensemble)


def _find_table(name: str | None, recipe: str | None) -> PaperTable:
    if name is None and recipe is not None:
        data = find_recipe(recipe).load_data
        fitting = [table for table in TABLES.values() if _own_data(table) == data]
        return fitting[0] if fitting else PaperTable("recipe", f"recipe {recipe}: wrong test images", WRONG, ())
    if name not in TABLES:
        raise RecipeError(f"no table is called {name!r}: there are {', '.join(TABLES)}; or give a --recipe")
    return TABLES[name]


def _own_data(table: PaperTable) -> object:
    """The data loader of a table's own recipe; None if there is no such recipe."""
    own = table.rows[0].recipe
    return RECIPES[own](None).load_data if own in RECIPES else None


def _choose_rows(table: PaperTable, recipe: str | None, labels: Sequence[int]) -> PaperTable:
    """The table with the requested rows."""
    if recipe is None:
        if labels and any(row.labels is None for row in table.rows):
            raise RecipeError(f"table {table.name} has no label budgets to choose from: leave out --labels")
        rows = [_row(table, table.rows[0].recipe, budget) for budget in labels] if labels else table.rows
        return replace(table, rows=tuple(rows))
    found = find_recipe(recipe)
    if table.rows and _own_data(table) != found.load_data:
        title = f"recipe {found.name}: {table.measure.name} (not in the paper)"
        table = PaperTable("recipe", title, table.measure, ())
    budgets: list[int | None] = [*labels] or [row.labels for row in table.rows if row.labels]
    budgets = budgets or [None if found.labels_as_given else found.num_labels]
    return replace(table, rows=tuple(_row(table, recipe, budget) for budget in dict.fromkeys(budgets)))


def _row(table: PaperTable, recipe: str, labels: int | None) -> Row:
    """The paper's row of that budget for another recipe, or a row without the paper's results."""
    known: dict[int | None, Row] = {row.labels: row for row in table.rows if row.labels is not None}
    title = "all labels" if labels is None else f"{labels} labels"
    return replace(known.get(labels, Row(title, recipe, labels)), recipe=recipe)


def _jobs(row: Row, *, splits: int, models: int, out: Path, options: RunOptions) -> list[Job] | None:
    of_a_table = {known.recipe for table in TABLES.values() for known in table.rows}
    if row.recipe in of_a_table - set(RECIPES):
        return None
    recipe = find_recipe(row.recipe, labels=row.labels)
    if options.epochs is not None:
        recipe = replace(recipe, epochs=options.epochs)
    if options.precision is not None:
        recipe = replace(recipe, precision=options.precision)
    group, labels = out / f"{recipe.name}-{recipe.num_labels}", None if recipe.labels_as_given else recipe.num_labels
    source = str(Path(row.recipe).absolute()) if row.recipe.endswith(".py") else row.recipe
    jobs = [
        Job(source, labels, split, model, group, recipe.epochs, options)
        for model in range(1, models + 1)
        for split in range(1, splits + 1)
    ]
    for job in jobs:
        Run(job.folder).check_planned(recipe, seed=job.seed, split_seed=job.split)
    return jobs


def _is_vmappable(job: Job, convolutions: bool) -> bool:
    recipe = find_recipe(job.recipe, labels=job.labels)
    if recipe.generator is None or recipe.compile or recipe.score_samples or job.options.eval_network:
        return False
    networks = (recipe.generator(), recipe.discriminator())
    if not convolutions and any(isinstance(one, _ConvNd) for network in networks for one in network.modules()):
        return False
    return not not_vmappable_reasons(
        networks,
        recipe.objective,
        micro_batch=recipe.micro_batch,
        generator_has_ema=recipe.generator_ema_decay is not None,
        historical=bool(recipe.historical_averaging_weight),
    )
