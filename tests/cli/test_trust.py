"""One rule for every command that can load a run: its code is executed with --trust, or a yes at a terminal."""

import io
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image
from rich.console import Console

from improved_gan.cli import app
from improved_gan.cli import trust as trust_module
from improved_gan.cli.trust import trust_or_ask
from improved_gan.data.digits import load_digits
from improved_gan.reproduction.results import average_probabilities
from improved_gan.runs import Run
from improved_gan.runs.own_code import is_file_of
from improved_gan.training.errors import RunError

WORDS = {
    "classify": "classify {run} {tmp}/images --out {tmp}/out.csv",
    "sample": "sample {run} --num 2 --out {tmp}/samples",
    "nearest": "sample {run} --nearest-real --out {tmp}/samples",
    "export": "export {run} --format torch --out {tmp}/out.pt2",
    "evaluate": "evaluate {tmp}/images --network {run} --num-splits 1 --cache {tmp}/cache",
    "score-with": "train digits --epochs 1 --threads 1 --dry-run --eval-network {run} --out {tmp}/new",
    "reproduce": "reproduce --recipe digits --num-splits 1 --epochs 1 --eval-network {run} --out {tmp}/new",
}


def words_of(command: str, run: Path, tmp: Path) -> list[str]:
    return [word.format(run=run, tmp=tmp) for word in WORDS[command].split()]


@pytest.fixture
def marked_run(small_runs: dict[str, Path], tmp_path: Path) -> Path:
    """A run from a recipe file that leaves a mark where it is executed."""
    run = Run(Path(shutil.copytree(small_runs["first"], tmp_path / "run")))
    mark = f"open({str(tmp_path / 'mark')!r}, 'w').close()\n"
    run.keep_code(mark.encode() + run.code_file.read_bytes())
    (tmp_path / "images").mkdir()
    for number in range(2):
        Image.new("L", (8, 8), number).save(tmp_path / "images" / f"{number}.png")
    return run.path


@pytest.mark.parametrize("command", WORDS)
def test_a_command_executes_no_code_without_a_yes(command: str, marked_run: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, words_of(command, marked_run, tmp_path))
    assert isinstance(result.exception, RunError)
    assert "give --trust" in str(result.exception)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("command", [name for name in WORDS if name != "reproduce"])
def test_with_trust_it_does_and_says_so(command: str, marked_run: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [*words_of(command, marked_run, tmp_path), "--trust"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "mark").exists()
    assert result.stdout.replace("\n", "").count("which the run names") == 1


def test_a_report_says_what_it_lacks_and_why(marked_run: Path, tmp_path: Path) -> None:
    words = ["report", str(marked_run), "--out", str(tmp_path / "report.html")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0
    assert "give --trust" in result.stdout
    assert not (tmp_path / "mark").exists()
    assert CliRunner().invoke(app, [*words, "--trust"]).exit_code == 0
    assert (tmp_path / "mark").exists()


def test_going_on_with_a_run_names_the_file_and_asks_nothing(marked_run: Path, tmp_path: Path) -> None:
    words = ["train", str(marked_run / "recipe.py"), "--epochs", "4", "--threads", "1", "--out", str(marked_run)]
    result = CliRunner().invoke(app, [*words, "--device", "cpu"])
    assert result.exit_code == 0, result.output
    assert "already complete" in result.stdout


def test_runs_of_a_file_that_was_named_are_averaged_without_a_further_yes(marked_run: Path, tmp_path: Path) -> None:
    images = load_digits().test
    with pytest.raises(RunError, match="--trust"):
        average_probabilities([marked_run], images, device="cpu", warn=pytest.fail)
    trust = is_file_of(str(marked_run / "recipe.py"))
    assert len(average_probabilities([marked_run], images, device="cpu", warn=pytest.fail, trust=trust)) == 500


@pytest.mark.parametrize("answer", [True, False])
def test_at_a_terminal_it_is_asked_once(answer: bool, marked_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(trust_module, "_answer", lambda file, _: asked.append(file) or answer)
    trust = trust_or_ask(Console(file=io.StringIO()), trust=False)
    for _ in range(2):
        if answer:
            Run(marked_run).load(warn=pytest.fail, trust=trust)
        else:
            with pytest.raises(RunError, match="--trust"):
                Run(marked_run).load(warn=pytest.fail, trust=trust)
    assert asked == [marked_run / "recipe.py"]


def test_without_a_terminal_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust_module.click, "confirm", pytest.fail)
    assert not trust_or_ask(Console(file=io.StringIO()), trust=False)(Path("recipe.py"), "0" * 64)
