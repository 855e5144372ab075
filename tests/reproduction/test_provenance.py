import json
import subprocess
from pathlib import Path

import pytest

from improved_gan.reproduction.provenance import commit, made_by
from tests.reproduction.jobs import fill, plan


@pytest.fixture
def repository(tmp_path: Path):
    def git(*words: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        done = subprocess.run(["git", *who, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    git("init", "-q")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "__init__.py").write_text("")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "__init__.py").write_text("")
    git("add", "own")
    git("commit", "-q", "-m", "first")
    commit.cache_clear()
    return tmp_path, git


def test_the_commit_of_the_package_and_whether_it_has_changed(repository) -> None:
    folder, git = repository
    head = git("rev-parse", "HEAD")
    assert commit(folder / "own") == head
    (folder / "own" / "__init__.py").write_text("changed")
    commit.cache_clear()
    assert commit(folder / "own") == f"{head} + changes"


def test_a_repository_around_an_installed_package_is_not_its_own(repository, tmp_path_factory) -> None:
    folder, _ = repository
    assert commit(folder / "other") is None
    assert commit(tmp_path_factory.mktemp("nothing")) is None


def test_every_run_that_has_begun_says_what_it_was_made_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = plan(tmp_path)
    first, second, _ = whole.all_jobs()
    fill(first, wrong=3)
    first.beside("machine.json").write_text(json.dumps({"machine": "abacus", "threads": 2, "commits": ["c0ffee"]}))
    fill(second, wrong=4)
    monkeypatch.setattr("sys.argv", ["anything", "reproduce", "--out", "a b"])
    about = made_by(whole)
    assert about["command"] == "improved-gan reproduce --out 'a b'"
    assert about["runs"]["digits-50/split-1-seed-1"] == {
        **{"machine": "abacus", "threads": 2, "commits": ["c0ffee"], "version": "0.1.0", "seed": 1, "split_seed": 1},
        "precision": json.loads((first.folder / "recipe.json").read_text())["settings"]["values"]["precision"],
    }
    assert list(about["runs"]) == ["digits-50/split-1-seed-1", "digits-50/split-2-seed-2"]
