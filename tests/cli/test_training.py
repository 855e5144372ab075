import io
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from improved_gan.cli.shared import TrainingOptions
from improved_gan.cli.training import run_training, sample_scores
from improved_gan.data import DataError
from improved_gan.kernels import cpp_extension
from improved_gan.metrics import MetricError
from improved_gan.recipes import RecipeError
from improved_gan.runs import Run
from improved_gan.training.errors import RunError

OWN = """
from dataclasses import replace
from improved_gan.recipes import digits

def recipe(labels=None):
    return replace(digits(labels), name="mine", epochs={epochs}, lr_decay_fraction=0.0, ema_decay={decay})
"""


def go(recipe: str = "digits", *, labels: int | None = None, data: Path | None = None, **options: object) -> str:
    screen = io.StringIO()
    asked = TrainingOptions(**{"threads": 1, "device": "cpu", **options})  # type: ignore[arg-type]
    run_training(recipe, asked, Console(file=screen, width=200), labels=labels, data=data)
    return screen.getvalue()


def test_it_announces_data_labels_length_and_the_papers_figure(tmp_path: Path) -> None:
    text = go(epochs=2, out=tmp_path / "run")
    assert "50 labels of 1297 training images (split seed 1, sha256" in text
    assert "500 test images; paper: not in the paper" in text
    assert "2 epochs of 12 steps, float32 on cpu, 1 threads" in text
    assert "done: epoch 2/2  test error" in text
    assert str(tmp_path / "run" / "samples") in text


def test_the_learning_rate_is_that_of_the_command_line(tmp_path: Path) -> None:
    go(epochs=1, learning_rate=0.0005, out=tmp_path / "run")
    run = Run(tmp_path / "run")
    assert run.log.last["learning_rate"] == 0.0005
    assert run.settings["values"]["learning_rate"] == 0.0005
    run.load(device="cpu", warn=pytest.fail)  # the recipe's own rate is no contradiction
    with pytest.raises(RunError, match="learning_rate"):
        go(epochs=1, out=tmp_path / "run")
    with pytest.raises(RecipeError, match="learning_rate must be positive; got 0"):
        go(epochs=1, learning_rate=0.0, out=tmp_path / "other")


def test_missing_kernels_are_told_where_they_would_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpp_extension, "unavailable_reason", lambda: "no C++ compiler found")
    told = "without compiled kernels, so training takes about twice as long: no C++ compiler found"
    assert told in go(out=tmp_path / "run", precision="bfloat16", dry_run=True)
    assert told not in go(out=tmp_path / "run", precision="float32", dry_run=True)
    recipe = tmp_path / "bent.py"
    recipe.write_text(
        "from dataclasses import replace\nfrom improved_gan.recipes import digits\n"
        "from improved_gan.label_spreading.pseudo_labeling import PseudoLabeling\n"
        "def recipe(labels=None):\n    pseudo_labeling = PseudoLabeling(max_displacement=1)\n"
        "    return replace(digits(labels), name='idm', pseudo_labeling=pseudo_labeling)\n"
    )
    text = go(out=tmp_path / "run", recipe=str(recipe), precision="float32", dry_run=True)
    assert "label spreading takes about ten times as long: no C++ compiler found" in text


def test_a_complete_run_is_told_so_and_not_touched(tmp_path: Path) -> None:
    go(epochs=2, out=tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert "already complete" in go(epochs=2, out=tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")} == before


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    assert "nothing was trained or written" in go(epochs=2, out=tmp_path / "run", dry_run=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("change", [{"seed": 2}, {"labels": 20}, {"split_seed": 9}, {"precision": "bfloat16"}])
def test_a_folder_that_holds_another_run_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    go(epochs=1, out=tmp_path)
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*") if path.is_file())
    with pytest.raises(RunError, match="holds another run"):
        go(**{"epochs": 1, "out": tmp_path, **change})
    after = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*") if path.is_file())
    assert [entry for entry in after if entry[0].name != ".lock"] == [e for e in before if e[0].name != ".lock"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"recipe": "digit"}, RecipeError, "did you mean digits"),
        ({"labels": 25}, DataError, "cannot be divided evenly among 10 classes"),
        ({"labels": 5000}, DataError, "has only .* images: take at most"),
        ({"epochs": 0}, RecipeError, "epochs must be positive"),
        ({"precision": "int8"}, RecipeError, "precision must be one of"),
        ({"data": Path("/nowhere")}, RecipeError, "need no --data"),
        ({"recipe": "mnist", "data": Path("/nowhere")}, DataError, "lacks train-images"),
        ({"device": "abacus"}, RunError, "try --device cpu"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_written(
    tmp_path: Path, change: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        go(**{"epochs": 1, "out": tmp_path / "run", **change})
    assert not (tmp_path / "run").exists()


def test_a_recipe_file_of_ones_own_is_kept_with_the_run(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(OWN.format(epochs=2, decay=0.9))
    go(recipe=str(own), out=tmp_path / "run")
    own.unlink()
    assert Run(tmp_path / "run").load(warn=pytest.fail, trust=True).run.settings["recipe"] == "mine"


OWN_PARTS = """
from __future__ import annotations
from dataclasses import dataclass, replace
from improved_gan.networks import DenseGenerator
from improved_gan.recipes import digits
from improved_gan.training import SemiSupervised

def own_generator():
    return DenseGenerator((1, 8, 8), latent_size=7, hidden=(16,))

@dataclass(frozen=True)
class OwnObjective(SemiSupervised):
    weight: float = 2.0

def recipe(labels=None):
    return replace(digits(labels), name="mine", epochs=1, generator=own_generator, objective=OwnObjective())
"""


def test_a_recipe_with_parts_of_its_own_can_be_loaded_and_continued_from_its_copy(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN_PARTS)
    go(recipe=str(tmp_path / "own.py"), out=tmp_path / "run")
    (tmp_path / "own.py").unlink()
    assert Run(tmp_path / "run").load(warn=pytest.fail, trust=True).generator.latent_size == 7
    assert "already complete" in go(recipe=str(tmp_path / "run" / "recipe.py"), out=tmp_path / "run")


def test_an_edited_recipe_file_of_equal_values_is_told(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(OWN_PARTS)
    go(recipe=str(own), out=tmp_path / "run")
    own.write_text(OWN_PARTS.replace("hidden=(16,)", "hidden=(17,)"))
    with pytest.raises(RunError, match="does not fit this version's networks"):
        go(recipe=str(own), out=tmp_path / "run")
    assert (tmp_path / "run" / "recipe.py").read_text() == OWN_PARTS
    own.write_text(OWN_PARTS + "# a remark\n")
    assert "has changed since the run began" in go(recipe=str(own), out=tmp_path / "run")


def test_a_folder_of_other_things_is_left_alone_even_by_a_dry_run(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    for dry_run in (True, False):
        with pytest.raises(RunError, match="not empty and holds no run"):
            go(out=tmp_path, dry_run=dry_run)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(RunError, match="is a file"):
        go(out=tmp_path / "thesis.txt")


def test_what_a_killed_start_left_behind_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / ".recipe.json.123.tmp").write_text("{")
    go(epochs=1, out=tmp_path)
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_recipe_file_that_changed_is_another_run_but_a_longer_one_goes_on(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(OWN.format(epochs=2, decay=0.9))
    go(recipe=str(own), out=tmp_path / "run")
    own.write_text(OWN.format(epochs=3, decay=0.9))
    assert "continuing at step 24" in go(recipe=str(own), out=tmp_path / "run")
    own.write_text(OWN.format(epochs=3, decay=0.8))
    with pytest.raises(RunError, match="holds another run"):
        go(recipe=str(own), out=tmp_path / "run")


def test_a_damaged_checkpoint_is_told_and_the_one_before_taken(tmp_path: Path) -> None:
    go(epochs=20, out=tmp_path, save_every=0.1)
    newest = max(tmp_path.glob("checkpoints/*"))
    newest.write_bytes(newest.read_bytes()[:1000])
    text = go(epochs=20, out=tmp_path)
    assert f"{newest.name} is damaged" in text
    assert "continuing at step" in text
    assert "done: epoch 20/20" in text


def test_a_log_without_its_checkpoints_is_kept(tmp_path: Path) -> None:
    go(epochs=1, out=tmp_path)
    log = (tmp_path / "log.jsonl").read_bytes()
    shutil.rmtree(tmp_path / "checkpoints")
    text = go(epochs=1, out=tmp_path)
    assert f"{tmp_path} has a log up to epoch 1, but no checkpoint: training begins again" in text
    assert (tmp_path / "log-before.jsonl").read_bytes() == log
    assert len(Run(tmp_path).log.lines) == 1


def test_options_without_a_network_are_refused() -> None:
    experiment = SimpleNamespace(recipe=SimpleNamespace(score_samples=0))
    with pytest.raises(MetricError, match="need --eval-network"):
        sample_scores(experiment, None, num=100, every=0, console=Console(file=io.StringIO()))
    assert sample_scores(experiment, None, num=None, every=0, console=Console()) is None


def test_scores_of_a_run_without_samples_are_refused_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(MetricError, match="digits-supervised trains no GAN, so there are no samples to score"):
        go("digits-supervised", epochs=1, out=tmp_path / "run", eval_network="inception-2015")
    assert not (tmp_path / "run").exists()


def test_train_tells_a_wrong_score_option_in_a_dry_run_too(tmp_path: Path) -> None:
    options = TrainingOptions(out=tmp_path / "run", device="cpu", dry_run=True, eval_every=2)
    with pytest.raises(MetricError, match="need --eval-network"):
        run_training("digits", options, Console(file=io.StringIO()))
    assert not (tmp_path / "run").exists()
