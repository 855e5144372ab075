"""Any byte of a run folder may be wrong: every reader of one goes on without it, or ends in one line and exit code 2.

`IMPROVED_GAN_MUTATIONS=2000 pytest tests/commands/test_damaged_runs.py` tries more of them.
"""

import io
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from improved_gan.cli.command_line import _expected
from improved_gan.cli.export import _finished_log
from improved_gan.cli.report import ReportOptions, report
from improved_gan.cli.sample import SampleOptions, sample
from improved_gan.cli.shared import TrainingOptions
from improved_gan.cli.training import run_training
from improved_gan.recipes.registry import find_recipe
from improved_gan.reproduction.job_status import read_status
from improved_gan.reproduction.plan import Job, RunOptions
from improved_gan.runs import Run, identity

NUM = int(os.environ.get("IMPROVED_GAN_MUTATIONS", "40"))
ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    10**30,
    1e308,
    float("nan"),
    "",
    "x",
    "../..",
    [],
    {},
    [[]],
    {"a": None},
    "9" * 5000,
]


def quiet() -> Console:
    return Console(file=io.StringIO(), width=200)


def export(run: Path) -> None:
    _finished_log(run, Run(run).load(warn=lambda _: None, trust=True), allow_incomplete=True)


def draw(run: Path) -> None:
    out = run.parent / "samples"
    shutil.rmtree(out, ignore_errors=True)
    sample(SampleOptions(run, out, num=1, device="cpu", trust=True), quiet())


def film(run: Path) -> None:
    out = run.parent / "samples"
    shutil.rmtree(out, ignore_errors=True)
    sample(SampleOptions(run, out, device="cpu", training_gif=True), quiet())


def describe(run: Path) -> None:
    report(ReportOptions((run,), run.parent / "report.html", log_only=True), quiet())


def go_on(run: Path) -> None:
    recipe = str(run.parent / "mine.py")
    run_training(recipe, TrainingOptions(epochs=4, out=run, threads=1, device="cpu"), quiet())


def reproduce(run: Path) -> None:
    job = Job(str(run.parent / "mine.py"), 50, 1, 1, run.parent / "group", 4, RunOptions())
    shutil.rmtree(job.folder, ignore_errors=True)
    shutil.copytree(run, job.folder)
    found = read_status(job)
    assert found.epoch >= 0
    Run(run).check_planned(find_recipe(job.recipe), seed=1, split_seed=1)


READERS: list[Callable[[Path], None]] = [export, draw, film, describe, go_on, reproduce]


def mutated(content: bytes, source: random.Random) -> bytes:
    """One or a few bytes otherwise: flipped, lost, doubled, cut off, or something odd between them."""
    result = bytearray(content)
    for _ in range(source.choice((1, 1, 1, 3, 20))):
        place = source.randrange(len(result)) if result else 0
        how = source.randrange(6)
        if how == 0 and result:
            result[place] ^= 1 << source.randrange(8)
        elif how == 1 and result:
            result[place] = source.choice(b'0123456789-.eE{}[]",: \n\x00\xff')
        elif how == 2:
            del result[place : place + source.choice((1, 2, 50))]
        elif how == 3:
            result[place:place] = result[place : place + source.choice((1, 30, 300))]
        elif how == 4 and source.random() < 0.2:
            del result[place:]
        elif how == 5:
            odd = (b"\xed\xa0\x80", b"[" * 5000, b"NaN", b"1e999", b"9" * 5000, b"\\ud800")
            result[place:place] = source.choice(odd)
    return bytes(result)


def with_odd_value(value: Any, source: random.Random) -> Any:
    """JSON in which one value somewhere is of another kind."""
    if not isinstance(value, (dict, list)) or not value or source.random() < 0.2:
        return source.choice(ODD)
    keys: Any = list(value) if isinstance(value, dict) else range(len(value))
    key = source.choice(list(keys))
    if isinstance(value, dict) and source.random() < 0.1:
        return {name: one for name, one in value.items() if name != key}
    changed = value.copy()
    changed[key] = with_odd_value(value[key], source)
    return changed


def damaged(name: str, content: bytes, source: random.Random) -> bytes:
    """A file of a run with something wrong in it; half of the JSON stays JSON, with its fingerprint made to fit."""
    if source.random() < 0.5:
        if name == "recipe.json":
            stored = json.loads(content)
            changed = with_odd_value(stored["settings"], source)
            print_of = identity._fingerprint(changed, ("epochs",)) if isinstance(changed, dict) else "x"
            return json.dumps({**stored, "settings": changed, "fingerprint": print_of}).encode()
        if name == "log.jsonl":
            lines = content.splitlines()
            place = source.randrange(len(lines))
            lines[place] = json.dumps(with_odd_value(json.loads(lines[place]), source)).encode()
            return b"\n".join(lines)
    return mutated(content, source)


@pytest.fixture(scope="module")
def whole(small_runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    shutil.copy(small_runs["first"] / "recipe.py", folder / "mine.py")
    return Path(shutil.copytree(small_runs["first"], folder / "run"))


NAMES = ["recipe.json", "log.jsonl", "checkpoint", "sample", "recipe.py"]


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_ends_in_one_line_or_is_passed_over(name: str, whole: Path) -> None:
    source = random.Random(f"{name} 1")
    files = {"checkpoint": next((whole / "checkpoints").iterdir()), "sample": next((whole / "samples").iterdir())}
    place = files.get(name, whole / name).relative_to(whole)
    content = (whole / place).read_bytes()
    told = 0
    for number in range(NUM):
        run = whole.parent / "damaged"
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(whole, run, ignore=shutil.ignore_patterns("tensorboard"))
        (run / place).write_bytes(damaged(name, content, source))
        reader = READERS[number % len(READERS)]
        try:
            reader(run)
        except Exception as error:
            message, code = _expected(error)
            if message is None:
                raise AssertionError(f"{reader.__name__} of {run} (mutation {number})") from error
            assert code == 2
            assert message.strip()
            told += 1
    assert told or name in ("log.jsonl", "sample")


@pytest.mark.parametrize("name", ["tensorboard", "checkpoints", "samples", "log.jsonl", "recipe.json", "recipe.py"])
@pytest.mark.parametrize("reader", READERS)
def test_a_file_for_a_folder_and_a_folder_for_a_file(reader: Callable[[Path], None], name: str, whole: Path) -> None:
    run = whole.parent / "damaged"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(whole, run)
    if (run / name).is_dir():
        shutil.rmtree(run / name)
        (run / name).write_bytes(b"x")
    else:
        (run / name).unlink()
        (run / name).mkdir()
    try:
        reader(run)
    except Exception as error:
        message, code = _expected(error)
        assert message, f"{reader.__name__} with {name}"
        assert code == 2


def test_a_checkpoint_of_the_right_sum_that_lacks_tensors(whole: Path, tmp_path: Path) -> None:
    from improved_gan.training.state import load_checkpoint, save_checkpoint

    run = Run(Path(shutil.copytree(whole, tmp_path / "run")))
    fingerprint = run.fingerprint
    file = next(run.checkpoints.iterdir())
    tensors = load_checkpoint(file, fingerprint=fingerprint)
    shutil.copy(whole.parent / "mine.py", tmp_path)
    for name in ("progress.step", "generator.", "average.", "random.cpu"):
        kept = {key: value for key, value in tensors.items() if not key.startswith(name)}
        save_checkpoint(run.checkpoints, int(file.stem.split("-")[1]), kept, fingerprint=fingerprint)
        for reader in (export, go_on):
            try:
                reader(run.path)
            except Exception as error:
                message, code = _expected(error)
                assert message, f"{reader.__name__} without {name}"
                assert code == 2
