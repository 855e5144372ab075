import hashlib
import json
import py_compile
import shutil
from pathlib import Path

import pytest

from improved_gan.runs import Run
from improved_gan.runs.own_code import is_file_of
from improved_gan.training.errors import RunError
from tests.runs.made import run_of


@pytest.fixture
def own_run(small_runs: dict[str, Path], tmp_path: Path) -> Run:
    """A run of a recipe file."""
    return Run(Path(shutil.copytree(small_runs["first"], tmp_path / "run")))


def leave_mark(file: Path, mark: Path) -> None:
    """Prepend a program to the file."""
    file.write_text(f"open({str(mark)!r}, 'w').close()\n" + (file.read_text() if file.exists() else ""))


def test_code_is_executed_only_where_it_is_trusted(own_run: Run) -> None:
    with pytest.raises(RunError, match=r"read that file, and give --trust \(trust=True in Python\)"):
        Run(own_run.path).load(warn=pytest.fail)
    assert Run(own_run.path).load(warn=pytest.fail, trust=True).run.settings["recipe"] == "small-SemiSupervised"


def test_the_trust_function_gets_the_file_and_its_hash(own_run: Run) -> None:
    asked = []
    Run(own_run.path).load(warn=pytest.fail, trust=lambda *words: not asked.append(words))
    assert asked == [(own_run.code_file, hashlib.sha256(own_run.code_file.read_bytes()).hexdigest())]
    with pytest.raises(RunError, match="--trust"):
        Run(own_run.path).load(warn=pytest.fail, trust=lambda *_: False)


def test_other_code_than_the_recorded_is_not_executed_even_where_it_is_trusted(own_run: Run, tmp_path: Path) -> None:
    leave_mark(own_run.code_file, tmp_path / "mark")
    with pytest.raises(RunError, match="is not the recipe file that the run was made from"):
        Run(own_run.path).load(warn=pytest.fail, trust=True)
    assert not (tmp_path / "mark").exists()
    own_run.code_file.unlink()
    with pytest.raises(RunError, match="cannot be read"):
        Run(own_run.path).load(warn=pytest.fail, trust=True)


def test_a_run_of_a_built_in_recipe_executes_nothing(trained_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained_run, tmp_path / "run"))
    leave_mark(run / "recipe.py", tmp_path / "mark")
    assert Run(run).load(warn=pytest.fail, trust=True).step > 0
    assert not (tmp_path / "mark").exists()


def test_a_name_is_never_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    leave_mark(tmp_path / "evil.py", tmp_path / "mark")
    for name in ("evil.py", "evil.py.py", str(tmp_path / "evil.py")):
        run = run_of(recipe=name)
        run._stored = {}
        with pytest.raises(ValueError, match="no recipe is called"):
            run.recipe(trust=True)
    assert not (tmp_path / "mark").exists()


def test_a_compiled_copy_is_not_executed(own_run: Run, tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    leave_mark(other, tmp_path / "mark")
    cached = own_run.path / "__pycache__" / "recipe.cpython-312.pyc"
    py_compile.compile(str(other), str(cached), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    Run(own_run.path).load(warn=pytest.fail, trust=True)
    assert not (tmp_path / "mark").exists()


def test_a_file_without_a_recorded_hash_is_not_executed(own_run: Run) -> None:
    stored = json.loads(own_run.recipe_file.read_text())
    del stored["code_sha256"]
    own_run.recipe_file.write_text(json.dumps(stored))
    with pytest.raises(ValueError, match="no recipe is called 'small-SemiSupervised'"):
        Run(own_run.path).load(warn=pytest.fail, trust=True)


def test_only_the_file_that_the_user_named_is_trusted(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("one")
    trust = is_file_of(str(file))
    assert callable(trust)
    assert trust(tmp_path, hashlib.sha256(b"one").hexdigest())
    assert not trust(tmp_path, hashlib.sha256(b"two").hexdigest())
    assert is_file_of("digits") is False
