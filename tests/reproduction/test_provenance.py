import json
import subprocess
from pathlib import Path

import pytest

from improved_gan.reproduction.provenance import commit, made_by, record_start
from improved_gan.reproduction.table_formats import as_json
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
    return tmp_path, git


def test_the_commit_of_the_package_and_whether_it_has_changed(repository) -> None:
    folder, git = repository
    head = git("rev-parse", "HEAD")
    assert commit(folder / "own") == head
    (folder / "own" / "__init__.py").write_text("changed")
    assert commit(folder / "own") == f"{head} + changes"


def test_a_repository_around_an_installed_package_is_not_its_own(repository, tmp_path_factory) -> None:
    folder, _ = repository
    assert commit(folder / "other") is None
    assert commit(tmp_path_factory.mktemp("nothing")) is None


def test_every_run_that_has_begun_says_what_it_was_made_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = plan(tmp_path)
    first, second, _ = whole.all_jobs()
    fill(first, wrong=3)
    first.sidecar_path("machine.json").write_text(json.dumps({"machine": "abacus", "threads": 2, "starts": [None]}))
    fill(second, wrong=4)
    monkeypatch.setattr("sys.argv", ["pytest", "-q"])
    assert made_by(whole)["command"] is None
    monkeypatch.setattr("sys.argv", ["/usr/bin/improved-gan", "reproduce", "--out", "a b"])
    about = as_json(whole, [])
    assert (about["version"], about["commit"]) == ("0.1.0", commit())
    assert about["command"] == "improved-gan reproduce --out 'a b'"
    assert about["runs"]["digits-50/split-1-seed-1"] == {
        **{"machine": "abacus", "threads": 2, "starts": [None], "version": "0.1.0", "seed": 1, "split_seed": 1},
        "precision": json.loads((first.folder / "recipe.json").read_text())["settings"]["values"]["precision"],
    }
    assert list(about["runs"]) == ["digits-50/split-1-seed-1", "digits-50/split-2-seed-2"]


@pytest.mark.parametrize("content", ["[]", "null", "{", '{"settings": []}', '{"settings": {"values": {}}}'])
def test_notes_that_are_damaged_are_nothing_and_stop_nothing(content: str, tmp_path: Path) -> None:
    whole = plan(tmp_path)
    first = whole.all_jobs()[0]
    fill(first, wrong=3)
    first.sidecar_path("machine.json").write_text(content)
    (first.folder / "recipe.json").write_text(content)
    runs = made_by(whole)["runs"]
    assert set(runs) <= {"digits-50/split-1-seed-1"}
    assert all(about["version"] is None for about in runs.values())


@pytest.mark.parametrize(
    ("before", "begun", "earlier"),
    [
        (None, False, []),
        (None, True, [None]),
        ('{"machine": "of an earlier version"}', True, [None]),
        ('{"starts": null}', True, [None]),
        ('{"starts": [{"commit": "a"}]}', True, [{"commit": "a"}]),
    ],
)
def test_a_start_that_nobody_noted_is_not_claimed(before, begun: bool, earlier: list, tmp_path: Path) -> None:
    file = tmp_path / "machine.json"
    if before is not None:
        file.write_text(before)
    noted = record_start(file, {"threads": 2}, begun=begun)
    assert noted == {"threads": 2, "starts": [*earlier, {"threads": 2, "commit": commit()}]}
