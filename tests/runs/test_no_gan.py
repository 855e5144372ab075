"""A recipe that trains no GAN: no generator anywhere, and whoever asks for samples is told so."""

import io
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from improved_gan.active_learning.classification import check_classes
from improved_gan.cli.export import ExportOptions, export_run
from improved_gan.cli.sample import SampleOptions, sample
from improved_gan.cli.shared import TrainingOptions
from improved_gan.cli.training import train_recipe
from improved_gan.networks import DenseDiscriminator
from improved_gan.recipes import RECIPES, Recipe, RecipeError, digits
from improved_gan.reports.evaluate_run import gather
from improved_gan.reports.page import ShownRun, render
from improved_gan.runs import Run
from improved_gan.runs.build import Experiment
from improved_gan.training import SupervisedBaseline, train_step
from improved_gan.training.errors import RunError
from tests.reports.test_page import NOW


def recipe(labels: int | None = None) -> Recipe:
    narrow = partial(DenseDiscriminator, image_shape=(1, 8, 8), num_classes=10, hidden=(32, 16))
    without = {"generator": None, "objective": SupervisedBaseline(), "discriminator": narrow}
    return replace(digits(labels), name="no-gan", report_every=1, sample_every=1, epochs=2, **without)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("no-gan") / "run"
    train_recipe(recipe(), TrainingOptions(out=folder, threads=1, device="cpu"), Console(file=io.StringIO()))
    return Run(folder)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "no-gan", recipe)


def test_no_part_of_the_run_has_a_generator(run: Run) -> None:
    newest = run.newest_checkpoint()
    assert newest is not None
    assert not [name for name in load_file(newest) if "generator" in name]
    assert not [name for report in run.log.reports for name in report if "generator" in name or "generated" in name]
    assert run.log.last["test/error"] < 0.9
    assert not run.has_generator
    assert not run.sample_grids
    assert run.load(warn=pytest.fail).discriminator(torch.rand(2, 1, 8, 8)).logits.shape == (2, 10)


def test_it_resumes_as_if_it_had_not_stopped(run: Run, tmp_path: Path) -> None:
    experiment = Experiment.prepare(recipe(), seed=1, split_seed=1, data_folder=None, device="cpu")
    state = experiment.start()
    tensors = run.load_checkpoint(warn=pytest.fail)
    assert tensors is not None
    state.load(tensors)
    again = state.tensors()
    assert again.keys() == tensors.keys()
    assert all(torch.equal(again[name], tensors[name]) for name in tensors)


def test_samples_are_refused_in_one_line(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"trains no GAN \(recipe no-gan\): it has no samples"):
        sample(SampleOptions(run.path, tmp_path / "out", device="cpu"), Console(file=io.StringIO()))
    assert not (tmp_path / "out").exists()
    with pytest.raises(RunError, match="trains no GAN"):
        run.load(warn=pytest.fail).generator  # noqa: B018


def test_the_report_says_so(run: Run) -> None:
    found = gather(run, data_folder=None, device="cpu", say=lambda _: None, warn=pytest.fail)
    assert found.missing == {"neighbors": "the run trains no GAN, so it has no samples"}
    assert found.classified is not None
    assert "The run trains no GAN, so it has no samples." in render([ShownRun(run, found)], title="t", now=NOW)


def test_the_discriminator_is_trained_as_beside_a_generator() -> None:
    states = []
    for changes in ({}, {"generator": digits().generator}):
        quiet = partial(recipe().discriminator, input_noise=0.0, hidden_noise=0.0)
        one = replace(recipe(), discriminator=quiet, init_batch_size=0, **changes)
        experiment = Experiment.prepare(one, seed=1, split_seed=1, data_folder=None, device="cpu")
        state = experiment.start()
        states.append((experiment, state))
    (first, without), (_, beside) = states
    without.discriminator.load_state_dict(beside.discriminator.state_dict())
    for batch in list(first.batches(without).epoch(0))[:3]:
        for state in (without, beside):
            train_step(state.generator, state.discriminator, SupervisedBaseline(), batch, state.optimizers)
    ours, theirs = (one.discriminator.state_dict() for one in (without, beside))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize(
    "changes",
    [{"objective": digits().objective}, {"generator_ema_decay": 0.9}, {"historical_averaging_weight": 0.1}],
    ids=lambda changes: next(iter(changes)),
)
def test_what_needs_a_generator_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match="generator=None trains no GAN"):
        replace(recipe(), **changes)


def test_its_classifier_is_exported_with_a_card_that_says_so(run: Run, tmp_path: Path) -> None:
    options = ExportOptions(run.path, tmp_path / "classifier.pt2", format="torch")
    card = export_run(options, Console(file=io.StringIO()))
    assert max(card["largest_difference"].values()) <= 1e-5
    assert card["outputs"][1]["meaning"] == "of no use: no GAN was trained"
    assert "The classifier of a run that trains no GAN" in (tmp_path / "classifier.card.md").read_text()
    with pytest.raises(RunError, match="trains no GAN"):
        export_run(replace(options, head="generator"), Console(file=io.StringIO()))


def test_its_real_score_comes_with_a_warning(run: Run) -> None:
    screen = io.StringIO()
    check_classes(run.load(warn=pytest.fail), run.path, Console(file=screen, width=200))
    assert "warning: this run trains no GAN, so its real_score does not tell real images" in screen.getvalue()
